"""Quantiles of the binomial distribution, and the exact interval of a share.

On the special functions that scipy.stats rests on as well: importing scipy.stats takes as long as summing up a million
and a half of trials.
"""

from __future__ import annotations

import math

from scipy import special


def binomial_quantile(probability: float, trials: int, share: float) -> int:
    """The smallest number of successes that so many trials stay at or below with at least this probability.

    Args:
        probability: Above 0 and below 1.
        trials: How many trials.
        share: The probability that one succeeds.

    Example:
        >>> binomial_quantile(0.5, 10, 0.5), binomial_quantile(0.025, 10, 0.5)
        (5, 2)
    """
    count: int = max(math.ceil(special.bdtrik(probability, trials, share)), 0)
    # The inverse is rounded: the number below may do.
    return count - 1 if count and special.bdtr(count - 1, trials, share) >= probability else count


def share_interval(successes: int, trials: int, level: float = 0.95) -> tuple[float, float]:
    """The exact (Clopper-Pearson) interval of a share.

    Args:
        successes: How many trials succeeded.
        trials: Of how many.
        level: How probable it is at least that the interval covers the share.

    Example:
        >>> low, high = share_interval(0, 10)
        >>> low, round(high, 4)
        (0.0, 0.3085)
    """
    tail, failures = (1 - level) / 2, trials - successes
    low = special.betaincinv(successes, failures + 1, tail) if successes else 0.0
    high = special.betaincinv(successes + 1, failures, 1 - tail) if failures else 1.0
    return float(low), float(high)
