"""Options of the experiment on solvers, and how much work they may ask for."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

from parity_lightning.errors import SettingError, check_int
from parity_lightning.experiments.options import BoundedOptions, Bounds, Count, Seed
from parity_lightning.experiments.work_limits import DRAW_OPERATIONS, MOST_SETS, MOST_SOLVER_OPERATIONS
from parity_lightning.theory.solver_laws import sufficient_samples

_FEWEST_TRIALS = 20


@dataclass(frozen=True)
class Options(BoundedOptions):
    """Options of the experiment.

    Attributes:
        n: Numbers of inputs.
        k: Size of the support.
        noise: Probabilities that a label is wrong, below 1/2; elimination is tried with all of them.
        trials: How many parities to measure each success rate on.
        curve: Whether to measure success at several numbers of samples for the picture.
        seed: Decides supports, samples and noise.
    """

    n: tuple[int, ...] = (20, 30, 50)
    k: Count = 3
    noise: Annotated[tuple[float, ...], Bounds(at_least=0, below=0.5)] = (0.0, 0.01, 0.1, 0.3)
    trials: Annotated[int, Bounds(at_least=_FEWEST_TRIALS, at_most=100_000)] = 200
    curve: bool = True
    seed: Seed = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        for n in self.n:
            check_int("n", n, at_least=self.k + 1, at_most=2000)
            if math.comb(n, self.k) > MOST_SETS:
                hint = f"has {math.comb(n, self.k):,} sets of {self.k}, take at most {MOST_SETS:,}"
                raise SettingError("n", n, hint)
        _check_work(self.n, self.k, self.noise, self.trials)


def _check_work(n: Sequence[int], k: int, noise: Sequence[float], trials: int) -> None:
    """Refuses samples and trials that would take hours."""
    total = 0
    for size in n:
        draw = DRAW_OPERATIONS * math.ceil(size / 128)
        elimination = (2 * size + 20) * (draw + size * size // 8)
        for rate in noise:
            samples = sufficient_samples(size, k, rate)
            one = elimination + samples * (draw + size * math.comb(size, k - 1))
            if one * _FEWEST_TRIALS > MOST_SOLVER_OPERATIONS:
                hint = f"needs {samples:,} samples for {k} of n={size} inputs, too many to try: take a smaller one"
                if rate:
                    raise SettingError("noise", rate, f"{hint}, or smaller n")
                raise SettingError("n", size, hint)
            total += one
    if total * trials > MOST_SOLVER_OPERATIONS:
        most = MOST_SOLVER_OPERATIONS // total
        if most < _FEWEST_TRIALS:
            raise SettingError("n", tuple(n), f"too many, with noise {tuple(noise)}, to try each: take fewer of either")
        hint = f"too many for so many inputs, sets and samples: take at most {most:,}"
        raise SettingError("trials", trials, hint)
