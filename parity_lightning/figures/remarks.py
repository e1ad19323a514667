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
        "When a run of Figure 1 (right) has converged: of 26 hypotheses and five criteria none explains all panels. "
        "For ReLUs and PolyNets 75 % accuracy, B = 32 and the hinge loss come near.",
        ("1-right-hypotheses",),
    ),
    Remark(
        "Units z^k: the rate that the paper seems to state diverges, and no setting explains all published (n, k).",
        ("1-right", "1-right-hypotheses"),
    ),
    Remark(
        "The sinusoidal neuron: for k = 2 the published times are shorter than those of settings that solve larger k.",
        ("1-right", "1-right-hypotheses"),
    ),
    Remark("Networks of at most ten ReLUs on the (40, 3)-parity are slower than published.", ("4-left",)),
    Remark(
        "The robustness grid: most cells are solvable, not all; most of those that are not have a square loss and a "
        "batch of at most four examples.",
        ("finding-1",),
    ),
    Remark("Single neurons on single examples at the rates of Figure 6, on the (50, 3)-parity.", ("6",)),
)
OPEN = (
    "for most figures the batch size, the loss, the initialization and how often a run is evaluated",
    "when a run of Figure 1 (right) counts as converged",
    "the scale of the input of sinusoidal neurons, and whether their biases are trained",
    "the weight decay of Figure 4 (right), and the grids of Figures 15, 16 and 17",
    "how the Transformer's blocks are built",
)
