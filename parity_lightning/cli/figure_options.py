"""The options of ``figure`` and ``paper``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from jsonargparse.typing import NonNegativeInt


@dataclass(frozen=True)
class FigureOptions:
    """How to run a figure.

    Args:
        scale: smoke takes seconds, laptop at most half an hour on two cores, paper as many runs as the paper has.
        output: Below which folder to write; a figure has one folder there, and goes on with what it holds.
        seed: The seed of the first trial of each setting; the others count on from it.
    """

    scale: Literal["smoke", "laptop", "paper"] = "laptop"
    output: str = "runs"
    seed: NonNegativeInt = 0


@dataclass(frozen=True)
class PaperOptions(FigureOptions):
    """How to run all figures and experiments, and where to write the page.

    Args:
        scale: smoke takes minutes and leaves the experiments on the theory out; laptop takes an hour of two cores,
            paper days.
        output: Below which folder figures and experiments are, or are looked for.
        seed: The seed of the first trial of each setting of a figure.
        page: The page, a Markdown file; pictures and verdicts go into a folder beside it of the same name. By default
            paper.md below the output.
        run: missing: run what has no verdict yet, or is not complete. nothing: make the page of what there is.
    """

    page: str | None = None
    run: Literal["missing", "nothing"] = "missing"
