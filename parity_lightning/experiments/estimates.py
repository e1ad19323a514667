"""Numbers as claims and tables have them: with an interval, and None where there is no finite one."""

from __future__ import annotations

import math

from torch import Tensor

from parity_lightning.statistics.survival import share_of
from parity_lightning.studies.claims import Estimate


def share_estimate(count: int, total: int, level: float = 0.95, *, censored: bool = False) -> Estimate:
    """A share with its exact interval.

    Args:
        count: How often it happened.
        total: How often it could have happened.
        level: The level of the interval.
        censored: Whether the rest count as censored: trials that ended unsolved.

    Example:
        >>> share_estimate(10, 10, censored=True).censored, round(share_estimate(0, 10).high, 4)
        (0, 0.3085)
    """
    return Estimate(*share_of(count, total, level), n=total, censored=total - count if censored else None)


def mean_with_error(values: Tensor) -> tuple[float, float]:
    """The mean of two values or more, of shape ``(m,)``, and its standard error."""
    return float(values.mean()), float(values.std() / math.sqrt(len(values)))


def finite(value: float) -> float | None:
    """The value, or None for infinity and NaN."""
    return value if math.isfinite(value) else None


def rounded(value: float) -> int | None:
    """The nearest whole number, or None for infinity and NaN.

    Example:
        >>> rounded(2.7), rounded(math.inf)
        (3, None)
    """
    return round(value) if math.isfinite(value) else None
