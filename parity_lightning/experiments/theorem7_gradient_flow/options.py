"""Options of the experiment on gradient flow."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from parity_lightning.experiments.options import BoundedOptions, Bounds, Seed


@dataclass(frozen=True)
class Options(BoundedOptions):
    """Options of the experiment.

    Attributes:
        k: Sizes of the support; the paper claims nothing for k=2, which shows what k >= 3 adds.
        block_length: The lengths n' = n/k of blocks.
        draws: How many Gaussian initializations, of each k and n'; of fewer than 6 a median has no interval.
        draws_to: Up to which n' Gaussian initializations are drawn.
        seed: Decides the Gaussian initializations.
    """

    k: Annotated[tuple[int, ...], Bounds(at_least=2, at_most=8)] = (2, 3, 4, 5)
    block_length: Annotated[tuple[int, ...], Bounds(at_least=20, at_most=10**7)] = (30, 100, 300, 1000, 3000, 10000)
    draws: Annotated[int, Bounds(at_least=6)] = 40
    draws_to: int = 1000
    seed: Seed = 0
