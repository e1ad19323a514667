"""Numbers in the form that claims and tables have them in: with an interval, or None where there is none."""

from __future__ import annotations

import math

from torch import Tensor

from parity_lightning.statistics.survival import share_of
from parity_lightning.studies.claims import Estimate


def share_estimate(count: int, total: int, level: float = 0.95, *, censored: bool = False) -> Estimate:
    """A share with its exact interval.

    Args:
        count: How many there are.
        total: Of how many.
        level: The level of the interval.
        censored: Whether the others ended before it could happen to them, as trials that were not solved.

    Example:
        >>> share_estimate(10, 10, censored=True).censored, round(share_estimate(0, 10).high, 4)
        (0, 0.3085)
    """
    return Estimate(*share_of(count, total, level), n=total, censored=total - count if censored else None)


def mean_with_error(values: Tensor) -> tuple[float, float]:
    """The mean of a vector and its standard error, which is NaN for a single value."""
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
