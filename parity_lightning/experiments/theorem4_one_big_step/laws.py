"""How many examples the first batch needs, and what noise it leaves."""

from __future__ import annotations

import math

from parity_lightning.theory.majority import majority_coefficient


def first_batch(n: int, k: int) -> float:
    """How many examples the first batch needs: ``4 (n - k) / xi^2``, xi being majority's coefficient at k - 1.

    Returns:
        A whole number; infinity where the coefficient is so small that no option could ask for the batch.

    Example:
        >>> first_batch(31, 2)
        5559
    """
    signal, noise = majority_coefficient(n, k - 1) ** 2, 4 * (n - k)
    return math.ceil(noise / signal) if noise < 2**64 * signal else math.inf


def norm_off_support(n: int, k: int, batch: float) -> float:
    """The norm that a lucky neuron's weights off S should have after the first step, in units of 1/(2k).

    It is made of the coefficients off S and of the noise of a batch.

    Args:
        n: Number of inputs.
        k: Size of the support.
        batch: Examples B of the first batch.
    """
    return math.sqrt((k - 1) ** 2 / (n - k) + 2 * (n - k) / (batch * majority_coefficient(n, k - 1) ** 2))
