"""Median convergence times of Figure 1 (right) of arXiv 2207.08799v3, read off the vector figure (error below 0.5 %).

The paper gives eta: 1 for both MLPs, 0.01 for the sinusoid, 0.05 for the PolyNet; it does not give batch size, loss and
initialization.
"""

from __future__ import annotations

PUBLISHED: dict[str, dict[int, dict[int, float]]] = {
    "relu_mlp": {
        2: {10: 14.0, 20: 18.0, 30: 21.9, 40: 25.0},
        3: {10: 46.0, 20: 91.5, 30: 149.2, 40: 220.2},
        4: {10: 61.9, 20: 200.7, 30: 807.9, 40: 1423.9},
    },
    "poly_mlp": {
        2: {10: 16.0, 20: 35.6, 30: 51.5, 40: 63.3},
        3: {10: 40.8, 20: 95.1, 30: 142.9},
        4: {10: 76.4, 20: 236.5, 30: 446.9, 40: 710.8},
    },
    "sinusoid": {
        2: {10: 31.8, 20: 36.3, 30: 41.6, 40: 42.9},
        3: {10: 73.8, 20: 131.3, 30: 172.8},
        4: {10: 215.5, 20: 565.3, 30: 1247.8},
    },
    "polynet": {
        2: {10: 33.7, 20: 41.0, 30: 46.0, 40: 49.2},
        3: {10: 81.7, 20: 126.3, 30: 160.5, 40: 191.3},
        4: {10: 183.4, 20: 370.6, 30: 537.2, 40: 728.4},
    },
}
"""Median t_c in steps, by architecture, k and n."""
