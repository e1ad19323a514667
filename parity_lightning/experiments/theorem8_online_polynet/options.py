"""Options of the experiment on online SGD."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from parity_lightning.errors import SettingError
from parity_lightning.experiments.options import BoundedOptions, Bounds, Count, Seed

_Lengths = Annotated[tuple[int, ...] | None, Bounds(at_least=2, at_most=14)]


@dataclass(frozen=True)
class Options(BoundedOptions):
    """Options of the experiment.

    Attributes:
        two: Block lengths n' = n/k of runs with k=2 and learning rates by the weights' norms; null for none.
        three: Those with k=3.
        oracle: Those with k=2 and learning rates by the relevant weights, which need many more steps.
        trials: How many trials, each with initial weights and examples of its own; of fewer than 6 a median has no
            interval.
        epsilon: The error to reach.
        delta: How probably the samples may mislead; learning rates depend on it.
        horizon: For learning rates by norms, to the power k-1 the share of the theorem's T that they are made for.
        max_steps: No trial goes on for longer.
        seed: Decides initial weights and examples.
    """

    two: _Lengths = (3, 4, 5, 6, 8, 10)
    three: _Lengths = (3, 4, 5)
    oracle: _Lengths = (3, 4)
    trials: Annotated[int, Bounds(at_least=6)] = 80
    epsilon: Annotated[float, Bounds(above=0, below=0.5)] = 0.1
    delta: Annotated[float, Bounds(above=0, below=1)] = 0.1
    horizon: Annotated[float, Bounds(above=0, at_most=1)] = 0.04
    max_steps: Count = 1_000_000
    seed: Seed = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        if not (self.two or self.three or self.oracle):
            raise SettingError("two", self.two, "give one block length at least, or some to three or oracle")
