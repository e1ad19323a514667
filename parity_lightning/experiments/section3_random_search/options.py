"""Options of the experiment on random search."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated

from parity_lightning.errors import SettingError
from parity_lightning.experiments.options import BoundedOptions, Bounds, Count, Seed
from parity_lightning.experiments.work_limits import check_langevin_search, check_searches, check_training

EXAMPLES = 40
"""Fresh examples that a set of coordinates is tried on."""

UNITS = 4
"""Hidden units of a network that moves at random."""

_FEWEST_TRIALS = 10
_Number = Annotated[int, Bounds(at_least=_FEWEST_TRIALS, at_most=100_000)]
_Inputs = Annotated[int, Bounds(at_least=1, at_most=10_000)]


@dataclass(frozen=True)
class Options(BoundedOptions):
    """Options of the experiment.

    Attributes:
        n: Inputs of the parity that SGD learns.
        k: Size of its support.
        networks: How many networks SGD trains, each with a support and examples of its own.
        width: Their hidden ReLU units.
        batch_size: Examples in a batch.
        lr: The learning rate.
        every: After how many steps to look whether a network is right on all held-out examples.
        max_steps: How many steps each network is given.
        trials: A Parquet file of `parity-lightning trials`, whose times are tested instead of training networks here.
        search_n: Inputs of the parity whose support is searched among sets of coordinates.
        search_k: Size of that support.
        searches: How many such searches of either kind.
        langevin_n: Inputs of the parities of two that networks of 4 units find by moving at random.
        langevin_networks: How many of these networks.
        langevin_step: How far they go at each step, above 0 to 1: 1 forgets everything.
        langevin_tries: How many tries each has.
        seed: Decides everything random.
    """

    n: _Inputs = 20
    k: Count = 3
    networks: _Number = 300
    width: Count = 100
    batch_size: Count = 32
    lr: Annotated[float, Bounds(above=0, below=math.inf)] = 0.1
    every: Count = 5
    max_steps: Count = 5000
    trials: str | None = None
    search_n: _Inputs = 10
    search_k: Count = 3
    searches: _Number = 2000
    langevin_n: Annotated[tuple[int, ...], Bounds(at_least=2, at_most=10)] = (2, 3)
    langevin_networks: _Number = 200
    langevin_step: Annotated[float, Bounds(above=0, at_most=1)] = 0.1
    langevin_tries: Count = 60_000
    seed: Seed = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        self.check_at_most(k=self.n, search_k=self.search_n)
        if self.max_steps < self.every:
            raise SettingError("max_steps", self.max_steps, f"must be at least {self.every:,}")
        check_searches(self.search_n, self.subsets, self.searches, EXAMPLES, _FEWEST_TRIALS)
        if self.trials is None:
            check_training(self.n, self.networks, self.width, self.batch_size, self.max_steps, self.every)
        for n in self.langevin_n:
            check_langevin_search(n, UNITS, self.langevin_networks, self.langevin_tries)

    @property
    def subsets(self) -> int:
        """How many sets are searched."""
        return math.comb(self.search_n, self.search_k)
