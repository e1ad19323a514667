"""Times of memoryless searches, and tests of times against them (Section 3.2).

Times count tries, or SGD steps, from 1 and are infinite for trials that were not solved. A search is memoryless if each
try succeeds with the same probability, whatever came before: its times are geometric.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

_MOST_DRAWS = 20_000_000
_FEWEST_SAMPLES = 399


def geometric_law(rate: float) -> Callable[[np.ndarray], np.ndarray]:
    """The probability that a memoryless search takes at most t tries.

    Example:
        >>> geometric_law(0.5)(np.array([1, 2])).tolist()
        [0.5, 0.75]
    """
    return lambda tries: 1 - (1 - rate) ** tries


def uniform_law(count: int) -> Callable[[np.ndarray], np.ndarray]:
    """The probability that a search through ``count`` sets in random order takes at most t tries."""
    return lambda tries: np.clip(tries / count, 0, 1)


def dkw_pvalue(times: np.ndarray, law: Callable[[np.ndarray], np.ndarray]) -> float:
    """A bound on the probability that times of a law lie as far from it as these (Dvoretzky-Kiefer-Wolfowitz).

    It holds for every law, discrete ones included.

    Args:
        times: Whole numbers, all finite.
        law: The probability of at most so many tries.

    Example:
        >>> dkw_pvalue(np.array([1.0, 2.0, 2.0, 3.0]), uniform_law(3))
        1.0
        >>> dkw_pvalue(np.full(20, 3), uniform_law(9)) < 1e-7
        True
    """
    values, counts = np.unique(times, return_counts=True)
    up_to = np.cumsum(counts) / len(times)
    before = up_to - counts / len(times)
    farthest = max(np.abs(up_to - law(values)).max(), np.abs(before - law(values - 1)).max())
    return min(1.0, 2 * math.exp(-2 * len(times) * farthest**2))


def waited(times: np.ndarray, limit: float | np.ndarray) -> np.ndarray:
    """How long each trial was watched: its time, or the limit for a trial that was not solved."""
    watched: np.ndarray = np.minimum(times, limit)
    return watched


def rate_of(times: np.ndarray, every: int, limit: float | np.ndarray) -> float:
    """The likeliest probability of success of a try, one every so many steps: trials solved over tries watched.

    Example:
        >>> rate_of(np.array([5.0, 10.0, np.inf]), every=5, limit=10)
        0.4
    """
    return float(np.isfinite(times).sum() * every / waited(times, limit).sum())


def first_success_pvalue(times: np.ndarray, every: int, limit: float | np.ndarray) -> float:
    """How probable it is that a memoryless search has no success before the fastest of these trials.

    Of r memoryless trials in continuous time the waits from one success to the next, times the number of trials then
    searching, are independent and exponential of one rate. So the first of j exceeds the share c of their sum with
    probability ``(1 - c)^(j-1)``, whatever the rate. Here j is half of the trials, the fastest, decided beforehand:
    trials that were never solved count with all they waited. Times told every so many steps are rounded up, and the
    first wait is taken as shorter by as much: the probability is too large, if anything. It is an approximation where
    fewer than half of the trials are solved; j is their number then.

    Args:
        times: Convergence times in steps, at least two of them.
        every: After how many steps trials were looked at, so the first time that there can be.
        limit: How many steps trials were given, together or each.

    Example:
        >>> first_success_pvalue(np.array([5, 10, 20, 60]), every=5, limit=100)
        1.0
        >>> first_success_pvalue(np.arange(100, 200, 5), every=5, limit=1000) < 0.001
        True
    """
    half = min(max(2, len(times) // 2), int(np.isfinite(times).sum()))
    if half < 2:
        return 1.0
    first, last = np.sort(times)[[0, half - 1]]
    share = len(times) * (first - every) / np.minimum(waited(times, limit), last).sum()
    return float((1 - share) ** (half - 1)) if share < 1 else 0.0


def dispersion_pvalue(
    times: np.ndarray,
    every: int,
    limit: float | np.ndarray,
    samples: int = 999,
    seed: int = 0,
    wide: bool = False,
) -> float:
    """How probable it is that a memoryless search has times as alike as these: a Monte Carlo test.

    It is at least ``1 / (1 + samples)``.

    Args:
        times: Convergence times in steps.
        every: As of `first_success_pvalue`.
        limit: As of `first_success_pvalue`; times drawn are cut off as the given ones are.
        samples: As of `simulated_spreads`.
        seed: As of `simulated_spreads`.
        wide: Whether to ask for times as far apart instead, such as those of a mixture of geometric laws.

    Example:
        >>> dispersion_pvalue(np.array([100, 105, 110, 115]), every=5, limit=1000) < 0.01
        True
        >>> dispersion_pvalue(np.array([5] * 20 + [900]), every=5, limit=1000, wide=True) < 0.01
        True
    """
    if not np.isfinite(times).any():
        return 1.0
    simulated, own = (
        simulated_spreads(times, every, limit, samples, seed),
        coefficient_of_variation(waited(times, limit)),
    )
    return float((1 + np.sum(simulated >= own if wide else simulated <= own)) / (1 + samples))


def simulated_spreads(
    times: np.ndarray, every: int, limit: float | np.ndarray, samples: int = 999, seed: int = 0
) -> np.ndarray:
    """The `coefficient_of_variation` of as many geometric times of the likeliest rate, cut off as these are.

    Args:
        times: Convergence times in steps, not all infinite.
        every: As of `first_success_pvalue`.
        limit: As of `first_success_pvalue`.
        samples: How many samples of geometric times to draw.
        seed: Decides them.

    Returns:
        float64 of shape ``(samples,)``.
    """
    rate, generator = rate_of(times, every, limit), np.random.default_rng(seed)
    drawn = (np.minimum(every * generator.geometric(rate, len(times)), limit) for _ in range(samples))
    return np.array([coefficient_of_variation(each) for each in drawn])


def samples_for(trials: int, level: float) -> int:
    """How many samples `dispersion_pvalue` needs for a test at a level; of very many trials fewer, perhaps too few.

    Example:
        >>> samples_for(100, 0.01), samples_for(100, 0.001), samples_for(10**6, 0.001)
        (999, 2000, 399)
    """
    return min(max(999, math.ceil(2 / level)), max(_FEWEST_SAMPLES, _MOST_DRAWS // trials))


def detectable_deviation(trials: int, level: float) -> float:
    """How far times must lie from a law for `dkw_pvalue` to be below a level.

    Example:
        >>> round(detectable_deviation(2000, 0.01), 4)
        0.0364
    """
    return math.sqrt(math.log(2 / level) / (2 * trials))


def coefficient_of_variation(times: np.ndarray) -> float:
    """The standard deviation over the mean: about 1 of geometric times of a small rate.

    Example:
        >>> coefficient_of_variation(np.array([1.0, 3.0]))
        0.5
    """
    return float(np.std(times) / np.mean(times))


def excess_over_fastest(times: np.ndarray, every: int) -> np.ndarray:
    """How long the other trials took after the fastest one.

    These times are geometric again if the times were, whatever the first step at which a search can succeed.

    Example:
        >>> excess_over_fastest(np.array([50, 70, 55]), every=5).tolist()
        [25, 10]
    """
    later: np.ndarray = np.delete(times, np.argmin(times)) - (np.min(times) - every)
    return later
