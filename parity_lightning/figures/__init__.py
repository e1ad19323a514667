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
    "1-right": Entry("figure1_right", "median convergence time against n for k from 2 to 8, four architectures"),
    "4-left": Entry("figure4_left", "convergence time against width, beside random search's 1/r"),
}
"""The figures by the names that the command line has for them, in the order of the paper."""


def figure_of(name: str) -> PaperFigure:
    """Imports a figure.

    Args:
        name: Its name in `FIGURES`.

    Raises:
        SettingError: If there is none of that name.
    """
    if name not in FIGURES:
        raise SettingError(name, None, f"no such figure; {nearest(name, FIGURES)}")
    module: Any = importlib.import_module(f"parity_lightning.figures.{FIGURES[name].package}")
    figure: PaperFigure = module.FIGURE
    return figure
