"""Options of the experiment on one large step."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated

from parity_lightning.errors import SettingError
from parity_lightning.experiments.majority_options import check_even_supports, check_odd_inputs
from parity_lightning.experiments.options import BoundedOptions, Bounds, Count, Seed
from parity_lightning.experiments.theorem4_one_big_step.laws import first_batch


@dataclass(frozen=True)
class Options(BoundedOptions):
    """Options of the experiment.

    Attributes:
        n: Numbers of inputs, odd.
        k: Sizes of the support, even.
        trials: How many trials each, with a support, an initialization and samples of its own.
        steps: Steps of the second layer.
        tested: Fresh examples on which error and loss are measured; the interval of the loss is that of a normal mean.
        epsilon: Which expected hinge loss is to be reached.
        at_most: Pairs of n and k that need a larger first batch are left out, and named.
        seed: Where the seeds of trials start.
    """

    n: Annotated[tuple[int, ...], Bounds(at_least=6)] = (31, 51)
    k: Annotated[tuple[int, ...], Bounds(at_least=2)] = (2, 4)
    trials: Count = 2
    steps: Count = 8_000
    tested: Annotated[int, Bounds(at_least=1_000)] = 20_000
    epsilon: Annotated[float, Bounds(above=0, below=1)] = 0.1
    at_most: Count = 5_000_000
    seed: Seed = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        check_even_supports(self.k)
        check_odd_inputs(self.n, at_least=3 * max(self.k))
        if not self.tried:
            least = min(first_batch(*pair) for pair in self.left_out)
            hint = f"must be at least {least}" if least < math.inf else "leaves nothing: give smaller n or k"
            raise SettingError("at_most", self.at_most, hint)

    @property
    def pairs(self) -> list[tuple[int, int]]:
        """All pairs of n and k."""
        return [(n, k) for k in self.k for n in sorted(self.n)]

    @property
    def tried(self) -> list[tuple[int, int]]:
        """The pairs whose first batch is not too large."""
        return [pair for pair in self.pairs if first_batch(*pair) <= self.at_most]

    @property
    def left_out(self) -> list[tuple[int, int]]:
        """The other pairs."""
        return [pair for pair in self.pairs if first_batch(*pair) > self.at_most]
