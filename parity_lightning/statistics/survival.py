"""Convergence times of which some were never reached: medians, quantiles and survival curves.

A trial that was not solved is censored: all that is known is that its time is larger than the steps it was given.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from parity_lightning.statistics.binomial import binomial_quantile, share_interval


class Quantile(NamedTuple):
    """A quantile of convergence times with an interval, in steps; infinite where trials did not get there.

    Attributes:
        value: The time by which this share of trials was solved; if it falls between two trials, the mean of theirs.
        low: The lower end of the interval.
        high: Its upper end.
    """

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        value, low, high = (f"{time:,g}" if math.isfinite(time) else "unsolved" for time in self)
        return f"{value} ({low} to {high})" if math.isfinite(self.value) or 0 < self.low < math.inf else "unsolved"

    def in_words(self) -> str:
        """The quantile and its interval, or that there are too few trials for one.

        Example:
            >>> Quantile(100.0, 0.0, math.inf).in_words(), Quantile(100.0, 50.0, 150.0).in_words()
            ('100 (too few trials for an interval)', '100 (50 to 150)')
        """
        if math.isfinite(self.value) and self.low == 0 and math.isinf(self.high):
            return f"{self.value:,g} (too few trials for an interval)"
        return str(self)


def quantile_of(
    times: Sequence[float] | np.ndarray, share: float = 0.5, level: float = 0.95, least: float = 0.0
) -> Quantile:
    """A quantile and the exact interval between two order statistics that covers it with at least this probability.

    The interval assumes nothing about the distribution. All trials are censored at the same step, so the quantile
    equals that of the Kaplan-Meier curve.

    Args:
        times: Convergence times in steps, infinite for trials that were not solved.
        share: Which quantile, above 0 and below 1.
        level: How probable it is at least that the interval covers it.
        least: What no time can be below, the lower end of an interval that too few trials bound.

    Example:
        >>> quantile_of(np.array([100.0, 200.0, 300.0, 400.0, np.inf]))
        Quantile(value=300.0, low=0.0, high=inf)
    """
    ordered, count = np.sort(times), len(times)
    place = share * count
    upper = min(math.floor(place + 1e-9), count - 1)
    lower = upper - 1 if abs(place - round(place)) < 1e-9 and 0 < round(place) < count else upper
    with np.errstate(invalid="ignore"):
        value = float((ordered[lower] + ordered[upper]) / 2)
    first, last = _interval_places(count, share, level)
    low = least if first is None else float(ordered[first])
    return Quantile(value, low, math.inf if last is None else float(ordered[last]))


@lru_cache(maxsize=4096)
def _interval_places(count: int, share: float, level: float) -> tuple[int | None, int | None]:
    """Between which of so many ordered times an interval lies; few of them may bound it on no side."""
    tail = (1 - level) / 2
    low, high = binomial_quantile(tail, count, share) - 1, binomial_quantile(1 - tail, count, share)
    return (None if low < 0 else low), (None if high >= count else high)


class Share(NamedTuple):
    """A share of trials with an exact (Clopper-Pearson) 95 % interval."""

    value: float
    low: float
    high: float


def solved_share(times: np.ndarray, level: float = 0.95) -> Share:
    """The share of trials that were solved.

    Example:
        >>> share = solved_share(np.array([10.0, np.inf, 30.0, 40.0]))
        >>> share.value, round(share.low, 3), round(share.high, 3)
        (0.75, 0.194, 0.994)
    """
    return share_of(int(np.isfinite(times).sum()), len(times), level)


def share_of(successes: int, trials: int, level: float = 0.95) -> Share:
    """The share of trials that succeeded, with its exact interval.

    Example:
        >>> round(share_of(0, 10).high, 4)
        0.3085
    """
    return Share(successes / trials, *share_interval(successes, trials, level))


class SurvivalCurve(NamedTuple):
    """The Kaplan-Meier estimate of the share of trials not yet solved after so many steps.

    Attributes:
        steps: When any trial was solved or censored, ascending.
        share: The share still unsolved after each.
        low: The lower end of the pointwise 95 % interval (log-log transformed Greenwood).
        high: Its upper end.
    """

    steps: np.ndarray
    share: np.ndarray
    low: np.ndarray
    high: np.ndarray


def kaplan_meier(times: np.ndarray, max_steps: int) -> SurvivalCurve:
    """The survival curve of trials that were censored after ``max_steps``.

    Example:
        >>> curve = kaplan_meier(np.array([10.0, 20.0, np.inf, np.inf]), max_steps=100)
        >>> curve.steps.tolist(), curve.share.tolist()
        ([10.0, 20.0, 100.0], [0.75, 0.5, 0.5])
    """
    # An import that takes half a second, for the one picture that needs it.
    from scipy import stats

    solved = np.isfinite(times)
    sample = stats.CensoredData(uncensored=times[solved], right=np.full(int((~solved).sum()), float(max_steps)))
    function = stats.ecdf(sample).sf
    with warnings.catch_warnings():
        # That it has no width where the share is 0 or 1.
        warnings.simplefilter("ignore")
        interval = function.confidence_interval(method="log-log")
    low = np.nan_to_num(interval.low.probabilities, nan=0.0)
    high = np.nan_to_num(interval.high.probabilities, nan=1.0)
    return SurvivalCurve(function.quantiles, function.probabilities, low, high)
