"""Medians of convergence times of which some were never reached."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

from scipy.stats import binom


class Median(NamedTuple):
    """A median with an interval; infinite where the runs did not get there."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        low, high = (f"{bound:,g}" if math.isfinite(bound) else "unsolved" for bound in (self.low, self.high))
        return f"{self.value:,g} ({low} to {high})" if math.isfinite(self.value) else "unsolved"


def median_of(times: Sequence[float], level: float = 0.95) -> Median:
    """The median and an interval between two order statistics that covers it with at least this probability.

    Args:
        times: Convergence times in steps, infinite for runs that were stopped unsolved (they are censored: all that
            is known is that theirs is larger).
        level: How probable it is to be that the interval covers the median.
    """
    ordered, count = sorted(times), len(times)
    middle = (ordered[(count - 1) // 2] + ordered[count // 2]) / 2
    below = int(binom.ppf((1 - level) / 2, count, 0.5))
    return Median(middle, ordered[max(below - 1, 0)], ordered[min(count - below, count - 1)])
