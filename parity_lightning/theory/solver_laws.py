"""How many samples the solvers of `parity_lightning.theory.solvers` need, in closed form (Section 2)."""

from __future__ import annotations

import math


def full_rank_probability(samples: int, n: int) -> float:
    """The probability that random samples of n bits determine the parity: ``prod_{j=m-n+1}^m (1 - 2^-j)``.

    Example:
        >>> full_rank_probability(1, 2), full_rank_probability(2, 2), round(full_rank_probability(55, 50), 3)
        (0.0, 0.375, 0.969)
    """
    return math.prod(1 - 2.0**-j for j in range(samples - n + 1, samples + 1)) if samples >= n else 0.0


def elimination_law(samples: int, n: int, noise: float) -> float:
    """The probability that elimination finds the support: n samples independent, and no label wrong.

    A wrong label leaves another set that fits, or none: the support itself does not fit it.

    Example:
        >>> elimination_law(2, 2, 0.0), round(elimination_law(2, 2, 0.1), 5)
        (0.375, 0.30375)
    """
    return full_rank_probability(samples, n) * (1 - noise) ** samples


def sufficient_samples(n: int, k: int, noise: float, failure: float = 0.05) -> int:
    """A number of samples from which the best set is the support, and the only one, with probability 1 - failure.

    Another set agrees with the support on half of the samples; on the rest, one of the two is right. That it is right
    as often has probability at most ``(1/2 + sqrt(noise (1 - noise)))^m`` (Chernoff), and there are C(n, k) - 1 others:
    without noise ``log2(C(n, k) / failure)`` samples, with much of it ``4 ln(C(n, k) / failure) / (1 - 2 noise)^2``.

    Args:
        n: Inputs.
        k: Size of the support.
        noise: Probability of a wrong label, below 1/2.
        failure: How probable failure may be.

    Example:
        >>> sufficient_samples(50, 3, noise=0.0), sufficient_samples(50, 3, noise=0.1)
        (19, 58)
    """
    others = max(1, math.comb(n, k) - 1)
    # 1/2 + sqrt(noise (1 - noise)), less 1, without rounding to 0 near noise 1/2.
    bias = (1 - 2 * noise) ** 2
    exponent = -math.log1p(-bias / (2 * (1 + math.sqrt(1 - bias))))
    return math.ceil(math.log(others / failure) / exponent)
