"""The share of variance that lies between groups: the intraclass correlation, with its interval."""

from __future__ import annotations

import numpy as np
from scipy import stats

from parity_lightning.statistics.survival import Share


def share_between(values: np.ndarray, level: float = 0.95) -> Share:
    """The share of the variance of a value that its group explains, in a one-way model of random effects.

    The interval is that of the F ratio, exact where effects and errors are normal. An estimate below 0 is told as 0.

    Args:
        values: One row a group, of shape ``(groups, repetitions)``, at least two of each.
        level: How probable it is that the interval has the share.

    Example:
        >>> share = share_between(np.array([[1.0, 1.1], [5.0, 5.1], [9.0, 9.1]]))
        >>> share.value > 0.99, share.low > 0.9
        (True, True)
        >>> share_between(np.array([[1.0, 2.0], [1.1, 2.1]])).value
        0.0
    """
    groups, repetitions = values.shape
    means = values.mean(1)
    between = repetitions * means.var(ddof=1)
    within = values.var(1, ddof=1).mean()
    freedom = (groups - 1, groups * (repetitions - 1))
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.divide(between, within)
    tail = (1 + level) / 2
    ratios = (ratio, ratio / stats.f.ppf(tail, *freedom), ratio * stats.f.ppf(tail, *reversed(freedom)))
    shares = [
        float(np.clip((each - 1) / (each + repetitions - 1), 0, 1)) if np.isfinite(each) else 1.0 for each in ratios
    ]
    return Share(*shares)
