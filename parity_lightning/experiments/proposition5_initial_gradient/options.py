"""Options of the experiment on the initial gradient."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from parity_lightning.experiments.majority_options import check_odd_inputs
from parity_lightning.experiments.options import BoundedOptions, Bounds, Count, Seed


@dataclass(frozen=True)
class Options(BoundedOptions):
    """Options of the experiment.

    Attributes:
        n: Numbers of inputs, odd: an even number of signs may have no majority.
        k: Sizes of the support. An odd one is tried without a bias, with bias 2 and with one near sqrt(n).
        trials: How many trials of each setting, each with a support, weights and samples of its own; the bootstrap of
            fewer than 10 is often too narrow.
        at_most: Settings whose trials would draw more samples each are left out, and named.
        seed: Where the seeds of trials start.
    """

    n: Annotated[tuple[int, ...], Bounds(at_least=6, at_most=10_001)] = (15, 21, 31, 51, 101)
    k: Annotated[tuple[int, ...], Bounds(at_least=2, at_most=50)] = (2, 3, 4)
    trials: Annotated[int, Bounds(at_least=10)] = 20
    at_most: Count = 3_000_000
    seed: Seed = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        check_odd_inputs(self.n, at_least=3 * max(self.k))
