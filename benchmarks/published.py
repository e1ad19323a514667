"""Median convergence times of Figure 1 (right) for k from 2 to 4, of those that the figure is compared with.

The paper gives eta: 1 for both MLPs, 0.01 for the sinusoid, 0.05 for the PolyNet; it does not give batch size, loss and
initialization.
"""

from __future__ import annotations

from parity_lightning.figures.published import MEDIANS

PANELS = {"relu_mlp": "relu", "poly_mlp": "power", "sinusoid": "sinusoid", "polynet": "polynet"}

PUBLISHED = {name: {k: MEDIANS[panel][k] for k in (2, 3, 4)} for name, panel in PANELS.items()}
"""Median t_c in steps, by architecture, k and n."""
