"""What the page on the paper says in words: what was easy, what was hard, and what the paper leaves open."""

from __future__ import annotations

EASY = (
    "The main thing: a plateau, a sudden transition, and weights that move all along. Every network of the paper shows "
    "it at the first setting that one tries.",
    "PolyNet: one setting (square loss, PyTorch's own initialization, B = 32, the paper's rate) gives the published "
    "times of all n and k.",
    "The theory: closed forms agree with enumeration to the last digit, and bounds hold with room to spare.",
)
HARD = (
    "Units z^k: the rate that the paper seems to state diverges, and no smaller one solves all the published (n, k).",
    "The sinusoidal neuron: for k = 2 the published times are several times shorter than any that we found with a "
    "setting that also solves larger k.",
    "ReLUs at large k and small n, and networks of fewer than ten units on the (40, 3)-parity: slower than published.",
)
OPEN = (
    "for most figures the batch size, the loss, the initialization and how often a run is evaluated",
    "when a run of Figure 1 (right) counts as converged",
    "the scale of the input of sinusoidal neurons, and whether their biases are trained",
    "the weight decay of Figure 4 (right), and the grids of Figures 15, 16 and 17",
    "how the Transformer's blocks are built",
)
