"""What a trial found, and the rows of the tables."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy import stats


class Result(NamedTuple):
    """What a trial with one batch size found.

    Attributes:
        n: Number of inputs.
        k: Size of the support.
        width: How many neurons the network has.
        batch: Examples B of the first batch.
        seed: Decides the support, the initialization and the samples.
        lucky: How many neurons become features.
        weights: The lucky neurons' weights on S in units of 1/(2k), of shape ``(lucky, k)``.
        weights_error: The standard error of the mean of these weights; 0 if there are none.
        leaks: For each of these neurons the sum of its squared weights off S, in the same units: of shape ``(lucky,)``.
        wrong: On how many test examples the network errs in the end.
        hinge: The mean hinge loss on them.
        hinge_error: Its standard error.
    """

    n: int
    k: int
    width: int
    batch: int
    seed: int
    lucky: int
    weights: np.ndarray
    weights_error: float
    leaks: np.ndarray
    wrong: int
    hinge: float
    hinge_error: float

    def loss_interval(self, level: float = 0.95) -> tuple[float, float]:
        """The interval of the hinge loss, that of a normal mean."""
        reach = normal_reach(level) * self.hinge_error
        return self.hinge - reach, self.hinge + reach


class Row(NamedTuple):
    """What the trials with one batch size did.

    Attributes:
        n: Number of inputs.
        k: Size of the support.
        batch: Examples B of the first batch.
        lucky: The share of neurons that become features.
        expected: The share that is expected, 2^-k.
        on_support: The mean of the lucky neurons' weights on S times 2k, if there are lucky neurons.
        off_support: The root mean square of the norms of their weights off S times 2k.
        law: What the law of the noise says of that norm.
        error: The share of test examples that are wrong after the second layer was trained.
        hinge: The mean hinge loss.
        worst: The hinge loss of the worst trial.
    """

    n: int
    k: int
    batch: int
    lucky: float
    expected: float
    on_support: float | None
    off_support: float | None
    law: float
    error: float
    hinge: float
    worst: float


class Trial(NamedTuple):
    """One trial with one batch size, its error and hinge loss with intervals."""

    n: int
    k: int
    width: int
    batch: int
    seed: int
    lucky: int
    error: float
    error_low: float
    error_high: float
    hinge: float
    hinge_low: float
    hinge_high: float


def normal_reach(level: float) -> float:
    """How many standard errors an interval of a normal mean reaches to either side."""
    return float(stats.norm.ppf((1 + level) / 2))
