"""The interval that holds the middle part of resampled values."""

from __future__ import annotations

import numpy as np


def percentile_interval(values: np.ndarray, level: float = 0.95) -> tuple[float, float]:
    """The middle part of values, this share of them; infinite ones count as larger than all others.

    Example:
        >>> percentile_interval(np.arange(1001.0))
        (25.0, 975.0)
        >>> percentile_interval(np.arange(1001.0), level=0.99)
        (5.0, 995.0)
    """
    low, high = np.quantile(values, [(1 - level) / 2, (1 + level) / 2], method="nearest")
    return float(low), float(high)
