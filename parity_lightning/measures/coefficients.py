"""Fourier coefficients of functions on {-1, +1}^n and their gaps (Section 4.1, Definition 1).

A set S of coordinates is the number whose bit j says whether j is in S, and an input x the number whose bit j says
whether x_j is -1; then ``chi_S(x) = prod_{j in S} x_j`` is -1 to the number of bits that both have.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import combinations
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor


def all_inputs(n: int) -> Tensor:
    """All inputs in the order of their numbers: float32 of shape ``(2^n, n)``.

    Example:
        >>> all_inputs(2)
        tensor([[ 1.,  1.],
                [-1.,  1.],
                [ 1., -1.],
                [-1., -1.]])
    """
    numbers = torch.arange(2**n).unsqueeze(-1)
    return 1.0 - 2.0 * ((numbers >> torch.arange(n)) & 1)


def number_of(subset: Iterable[int]) -> int:
    """The number of a set of coordinates.

    Example:
        >>> number_of([0, 3])
        9
    """
    return sum(1 << index for index in set(subset))


def fourier_coefficients(values: np.ndarray) -> np.ndarray:
    """All Fourier coefficients, ``hat f(S) = E_x[f(x) chi_S(x)]``, by the fast Walsh-Hadamard transform.

    In n 2^n additions and one copy of the values: n = 22 takes a second and 64 MiB.

    Args:
        values: f at all inputs in the order of `all_inputs`, of shape ``(2^n,)``.

    Returns:
        float64 of shape ``(2^n,)``: at the number of S the coefficient of S.

    Raises:
        ValueError: If there is not a power of two of values.

    Example:
        >>> x = all_inputs(3)
        >>> coefficients = fourier_coefficients((0.5 + x[:, 0] * x[:, 2]).numpy())
        >>> coefficients.tolist()
        [0.5, 0.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0]
    """
    n = len(values).bit_length() - 1
    if len(values) != 2**n:
        raise ValueError(f"{len(values)} values are not those at all inputs of some n: give 2^n of them")
    transformed = np.array(values, dtype=np.float64)
    for bit in range(n):
        pairs = transformed.reshape(-1, 2, 2**bit)
        difference = pairs[:, 0] - pairs[:, 1]
        pairs[:, 0] += pairs[:, 1]
        pairs[:, 1] = difference
    transformed /= 2**n
    return transformed


class CoefficientGap(NamedTuple):
    """How far the coefficients just below the support stand out (Definition 1).

    Attributes:
        inner: The smallest ``|hat f(S')|`` of all sets of k - 1 within S.
        outer: The largest ``|hat f(S')|`` of all sets of k + 1.
    """

    inner: float
    outer: float

    @property
    def gamma(self) -> float:
        """The largest gamma for which there is a gamma-Fourier gap; 0 if there is for none."""
        return self.inner if 2 * self.outer <= self.inner else 0.0


def coefficient_gap(coefficients: np.ndarray, support: Sequence[int]) -> CoefficientGap:
    """The Fourier gap at a support of a function whose coefficients are all known (Definition 1, Section 4.1).

    There is a gamma-gap if every coefficient of size k - 1 within S is at least gamma, and every one of size k + 1 at
    most gamma / 2. The extended version, and `fourier_gap`, take the difference of the two instead.

    Args:
        coefficients: As of `fourier_coefficients`, of shape ``(2^n,)``.
        support: The support S, of k coordinates.

    Example:
        >>> majority = fourier_coefficients((all_inputs(15).sum(-1) > 0).double().numpy())
        >>> gap = coefficient_gap(majority, [0, 1])
        >>> round(gap.inner, 5), round(gap.outer, 5), round(gap.gamma, 5)
        (0.10474, 0.00806, 0.10474)
    """
    n = len(coefficients).bit_length() - 1
    inner = min(abs(coefficients[number]) for number in _numbers(support, len(support) - 1))
    outer = max((abs(coefficients[number]) for number in _numbers(range(n), len(support) + 1)), default=0.0)
    return CoefficientGap(float(inner), float(outer))


def _numbers(coordinates: Iterable[int], size: int) -> Iterator[int]:
    return map(number_of, combinations(coordinates, size))
