"""The paper's figures, a short module for each: what to run, what is claimed, how it looks.

They lie above the experiments on the theory, whose tables and files they share, and below the command line, which runs
them: a figure itself needs no Lightning. This module imports nothing heavy, so that the list is printed at once.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from parity_lightning.errors import SettingError, nearest
from parity_lightning.experiments import Entry

if TYPE_CHECKING:
    from parity_lightning.figures.figure import PaperFigure

FIGURES = {
    "1-left": Entry("figure1_left", "training curves of eight networks on the (50, 3)-parity"),
    "1-right": Entry("figure1_right", "median convergence time against n for k from 2 to 8, four architectures"),
    "1-right-hypotheses": Entry(
        "figure1_right_hypotheses", "settings and criteria that the paper leaves open, scored on all four panels"
    ),
    "finding-1": Entry("finding1", "which cells of the robustness grid are solvable, on cells drawn at random"),
    "2-left": Entry("figure2_left", "histograms of convergence times, none early, against random search"),
    "2-center": Entry("figure2_center", "the same initializations with other batches: what explains t_c"),
    "2-right": Entry("figure2_right", "the exponent of t_c against n degrades on larger problems"),
    "3": Entry("figure3", "the weights of a sinusoidal neuron and hidden progress, behind a flat loss"),
    "4-left": Entry("figure4_left", "convergence time against width, beside random search's 1/r"),
    "4-right": Entry("figure4_right", "grokking: training curves for m = 10,000, 1,800, 1,000 and 700"),
    "6": Entry("figure6", "training curves of more networks, parities and batch sizes (extended version)"),
    "10": Entry("figure10", "median convergence time against n of more architectures (extended version)"),
    "12": Entry("figure12", "Fourier gaps at random weights and along SGD (extended version)"),
    "13": Entry("figure13", "weight trajectories and hidden progress by batch size (extended version)"),
    "15": Entry("figure15", "which sample sizes and weight decays generalize (extended version)"),
    "16": Entry("figure16", "labels flipped with probabilities to 49 % (extended version)"),
    "17": Entry("figure17", "no plateau for wide z^k in large batches (extended version)"),
}
"""The figures by the names that the command line has for them, in the order of the paper."""


def check_figure(name: str) -> None:
    """Checks the name of a figure.

    Raises:
        SettingError: If there is none of that name.
    """
    if name not in FIGURES:
        raise SettingError(name, None, f"no such figure; {nearest(name, FIGURES)}")


def figure_of(name: str) -> PaperFigure:
    """Imports a figure.

    Args:
        name: Its name in `FIGURES`.

    Raises:
        SettingError: If there is none of that name.
    """
    check_figure(name)
    module: Any = importlib.import_module(f"parity_lightning.figures.{FIGURES[name].package}")
    figure: PaperFigure = module.FIGURE
    return figure
