"""The options of ``figure``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from jsonargparse.typing import NonNegativeInt, PositiveInt


@dataclass(frozen=True)
class FigureOptions:
    """How to run a figure.

    Args:
        scale: smoke takes seconds, laptop at most half an hour on two cores, paper as many runs as the paper has.
        output: Below which folder to write; a figure has one folder there, and goes on with what it holds.
        workers: How many processes; by default one for each core, the first alone for the first seconds.
        seed: The seed of the first trial of each setting; the others count on from it.
    """

    scale: Literal["smoke", "laptop", "paper"] = "laptop"
    output: str = "runs"
    workers: PositiveInt | None = None
    seed: NonNegativeInt = 0
