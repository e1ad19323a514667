"""The options that ``trials`` has beside those of ``fit``."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from jsonargparse.typing import PositiveInt


@dataclass(frozen=True)
class TrialOptions:
    """How many trials to run of which settings, and how.

    Args:
        trials: How many trials of each setting; trial j is the run of `fit` with --seed_everything S+j, S being the
            configuration's seed.
        output: A .parquet file to write, one row a trial; by default in a folder below runs/. The same command goes on
            where an earlier one was stopped.
        vary: OPTION=VALUES, a list [0.01,0.1,1] or, for whole numbers, a range 0..99: all trials are run for each
            value. May be given several times, for all combinations.
        workers: How many processes; by default one for each core, the first alone for the first seconds.
        threads: How many threads each process uses.
        stack_size: How many trials a process trains at a time; by default chosen for throughput and memory.
        compile_after: 0 for compiled steps: each trial is then, bit for bit, the run of fit --model.compile_after 0,
            which is fit's default for networks with steps in C++. null for none.
    """

    trials: PositiveInt
    output: str | None = None
    vary: list[str] = field(default_factory=list)
    workers: PositiveInt | None = None
    threads: PositiveInt = 1
    stack_size: PositiveInt | None = None
    compile_after: Literal[0] | None = 0
