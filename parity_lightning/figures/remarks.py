"""What the page on the paper says in words: what was easy, what was hard, and what the paper leaves open."""

from __future__ import annotations

from typing import NamedTuple


class Remark(NamedTuple):
    """A sentence, and the figures and experiments that it rests on: without their verdicts it is not said."""

    text: str
    about: tuple[str, ...]


EASY = (
    Remark(
        "Plateaus, sudden transitions, and weights that move all along: networks of every kind show them.",
        ("1-left", "3", "13"),
    ),
    Remark(
        "PolyNet: one setting (square loss, PyTorch's own initialization, B = 32, the paper's rate) gives the "
        "published times.",
        ("1-right",),
    ),
    Remark("Grokking: train and validation error fall together or far apart, by the sample size alone.", ("4-right",)),
    Remark("No run is lucky: none of 400,000 is solved within a tenth of the median time.", ("2-left",)),
)
HARD = (
    Remark(
        "Units z^k: the rate that the paper seems to state diverges, and no smaller one solves all published (n, k).",
        ("1-right",),
    ),
    Remark(
        "The sinusoidal neuron: for k = 2 the published times are shorter than those of settings that solve larger k.",
        ("1-right",),
    ),
    Remark("Networks of fewer than ten ReLUs on the (40, 3)-parity are slower than published.", ("4-left",)),
    Remark(
        "The robustness grid: most cells are solvable, not all; small batches with the square loss are not.",
        ("finding-1",),
    ),
)
OPEN = (
    "for most figures the batch size, the loss, the initialization and how often a run is evaluated",
    "when a run of Figure 1 (right) counts as converged",
    "the scale of the input of sinusoidal neurons, and whether their biases are trained",
    "the weight decay of Figure 4 (right), and the grids of Figures 15, 16 and 17",
    "how the Transformer's blocks are built",
)
