"""With how many samples half of the trials succeed, and how that grows with n."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from parity_lightning.statistics.power_law import slopes


def sample_complexity(found: np.ndarray, sizes: Sequence[int]) -> float:
    """The number of samples at which the share of trials that succeed first reaches a half.

    Between two sizes the share is taken to be linear in log N.

    Args:
        found: bool of shape ``(trials, sizes)``: whether a trial succeeded with so many samples.
        sizes: Numbers of samples, ascending.

    Returns:
        Infinity if the share never reaches a half; the first size if it has from the first.

    Example:
        >>> found = np.array([[False, True], [False, False], [True, True], [False, True]])
        >>> round(sample_complexity(found, [100, 400]), 3)
        200.0
    """
    shares = found.mean(0)
    reached = np.flatnonzero(shares >= 0.5)
    if not len(reached):
        return float("inf")
    place = int(reached[0])
    if place == 0:
        return float(sizes[0])
    below, above = shares[place - 1], shares[place]
    part = (0.5 - below) / (above - below)
    return float(sizes[place - 1] * (sizes[place] / sizes[place - 1]) ** part)


def bootstrap_sample_complexity(
    found: np.ndarray, sizes: Sequence[int], resamples: int, random: np.random.Generator
) -> np.ndarray:
    """`sample_complexity` of trials drawn with replacement, so many times: float64 of shape ``(resamples,)``."""
    trials = len(found)
    drawn = random.integers(trials, size=(resamples, trials))
    return np.array([sample_complexity(found[each], sizes) for each in drawn])


def exponent(n: Sequence[int], halves: np.ndarray) -> np.ndarray:
    """The exponent a of ``N = c n^a ln n`` by least squares in logarithms.

    ``ln n`` is for the largest of n deviations: Proposition 5 needs ``O(ln n / gamma^2)`` samples.

    Args:
        n: Numbers of inputs, at least two different ones.
        halves: N at each n, of shape ``(..., len(n))``; infinite ones give infinity.

    Example:
        >>> n = np.array([15, 21, 31])
        >>> float(exponent(n, 7 * n**3 * np.log(n)).round(6))
        3.0
    """
    inputs = np.log(n)
    known = np.isfinite(halves).all(-1)
    logs = np.log(np.where(known[..., None], halves, 1.0)) - np.log(inputs)
    return np.where(known, slopes(inputs, logs), np.inf)
