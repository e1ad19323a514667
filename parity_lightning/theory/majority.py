"""The Fourier coefficients of majority, in closed form (Section 4.1)."""

from __future__ import annotations

import math


def majority_coefficient(n: int, size: int) -> float:
    """The Fourier coefficient of the majority of an odd number of signs at any set of a size (Section 4.1).

    0 for even sizes; for odd ones the closed form of O'Donnell, "Analysis of Boolean Functions", Theorem 5.19.

    Raises:
        ValueError: If n is even, for then there may be no majority.

    Example:
        >>> majority_coefficient(3, 1), majority_coefficient(3, 2), majority_coefficient(3, 3)
        (0.5, 0.0, -0.5)
    """
    if n % 2 == 0:
        raise ValueError(f"n={n} is even: there is a majority of an odd number of signs only")
    if size % 2 == 0:
        return 0.0
    half = (n - 1) // 2
    # Whole numbers first: their quotients are exact to the last bit, however large n is.
    above = math.comb(half, (size - 1) // 2) * math.comb(n - 1, half)
    sign = -1.0 if size % 4 == 3 else 1.0
    below: int = math.comb(n - 1, size - 1) * 2 ** (n - 1)
    return sign * (above / below)
