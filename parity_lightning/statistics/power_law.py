"""Power laws of median convergence times: ``t_c = c x^alpha``, fitted in logarithms."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from parity_lightning.statistics.percentiles import percentile_interval
from parity_lightning.statistics.survival import quantile_of

RESAMPLES = 2000


class PowerLaw(NamedTuple):
    """A law ``t = scale * x ** exponent`` with an interval of its exponent.

    Attributes:
        exponent: The exponent alpha.
        low: The lower end of its 95 % interval.
        high: The upper end.
        scale: The factor c, in steps.
        points: To how many medians it was fitted.
        unsolved: How many settings have a median that was not reached, and are larger than the law can know.
    """

    exponent: float
    low: float
    high: float
    scale: float
    points: int
    unsolved: int

    def at(self, x: np.ndarray) -> np.ndarray:
        """The law's steps at some x."""
        return np.asarray(self.scale * np.asarray(x, dtype=float) ** self.exponent)

    def __str__(self) -> str:
        return f"{self.exponent:.2f} ({self.low:.2f} to {self.high:.2f})"


def fit_power_law(
    x: Sequence[float], times: Sequence[np.ndarray], limits: Sequence[float], level: float = 0.95, seed: int = 0
) -> PowerLaw | None:
    """Fits a power law to the medians of convergence times by least squares in logarithms.

    The interval is that of a bootstrap over trials: the median of trials drawn with replacement is the order statistic
    at a place that follows a beta distribution (Maritz and Jarrett, 1978). It says how far chance among trials moves
    the exponent, given that there is a power law. A setting whose median was not reached takes no part in the fit, so
    that the exponent is rather too small where there are any; a median that is not reached in a resample is put where
    its trials were given up.

    Args:
        x: The number that varies, above 0.
        times: The convergence times at each x in steps, infinite where a trial was not solved.
        limits: After how many steps trials at each x were given up.
        level: How probable it is that the interval has the exponent.
        seed: Of the bootstrap.

    Returns:
        The law; None if fewer than two different x have a median.

    Example:
        >>> x = [10, 20, 40]
        >>> law = fit_power_law(x, [np.full(5, 3.0 * n**2) for n in x], [1e6] * 3)
        >>> round(law.exponent, 6), round(law.scale, 6), law.points
        (2.0, 3.0, 3)
        >>> fit_power_law([10, 20], [np.array([5.0]), np.array([np.inf])], [100, 100]) is None
        True
    """
    medians = [quantile_of(own).value if len(own) else np.inf for own in times]
    fitted = [place for place, median in enumerate(medians) if 0 < median < np.inf and x[place] > 0]
    if len({x[place] for place in fitted}) < 2:
        return None
    random = np.random.default_rng(seed)
    logs = np.log([x[place] for place in fitted])
    resampled = [_resampled_medians(times[place], limits[place], random) for place in fitted]
    exponents = slopes(logs, np.log(np.stack(resampled, axis=-1)))
    middle = np.log([medians[place] for place in fitted])
    slope = float(slopes(logs, middle))
    scale = float(np.exp(middle.mean() - slope * logs.mean()))
    low, high = percentile_interval(exponents, level)
    return PowerLaw(slope, low, high, scale, len(fitted), len(medians) - len(fitted))


def _resampled_medians(times: np.ndarray, limit: float, random: np.random.Generator) -> np.ndarray:
    ordered, count = np.sort(times), len(times)
    places = (random.beta((count + 1) / 2, (count + 1) / 2, RESAMPLES) * count).astype(int)
    return np.asarray(np.minimum(ordered[np.minimum(places, count - 1)], limit))


def slopes(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Slopes of lines by least squares.

    Args:
        x: Of shape ``(points,)``.
        y: Of shape ``(..., points)``; a line for each row.

    Example:
        >>> slopes(np.array([0.0, 1.0, 2.0]), np.array([[1.0, 3.0, 5.0], [0.0, 0.0, 3.0]])).tolist()
        [2.0, 1.5]
    """
    centred = x - x.mean()
    return np.asarray(y @ centred / (centred @ centred))
