"""Fourier coefficients of functions on {-1, +1}^n and their gaps (Section 4.1, Definition 1).

A set S of coordinates is the number whose bit j says whether j is in S, and an input x the number whose bit j says
whether x_j is -1; then ``chi_S(x) = prod_{j in S} x_j`` is -1 to the number of bits that both have.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import combinations
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from parity_lightning.data.philox import split
from parity_lightning.data.sparse_parity import draw_inputs


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


class Estimate(NamedTuple):
    """A coefficient that was estimated, with an interval that covers it with 95 % probability at least."""

    value: float
    low: float
    high: float


def estimate_coefficient(
    function: Callable[[Tensor], Tensor], subset: Sequence[int], n: int, samples: int, seed: int = 0, bound: float = 1.0
) -> Estimate:
    """Estimates one Fourier coefficient from random inputs, for n beyond enumeration.

    Args:
        function: Maps inputs of shape ``(samples, n)`` to values of shape ``(samples,)``.
        subset: The set S.
        n: How many coordinates.
        samples: How many inputs to draw.
        seed: From which seed.
        bound: The largest absolute value of the function, for the interval: Hoeffding's, which assumes nothing else.

    Example:
        >>> estimate_coefficient(lambda x: x[:, 1] * x[:, 7], [1, 7], n=100, samples=10_000).value
        1.0
    """
    x = draw_inputs(split(seed), torch.arange(samples), n, "train")
    value = float((function(x).double() * x[:, list(subset)].prod(-1)).mean())
    reach = bound * math.sqrt(2 * math.log(2 / 0.05) / samples)
    return Estimate(value, value - reach, value + reach)


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


def relu_derivative_coefficient(signs: Sequence[int], subset: Sequence[int]) -> float:
    """The Fourier coefficient of ``x -> 1[w . x + b >= 0]``, the derivative of a ReLU neuron (Section 4.1).

    For weights w of signs, an odd number of them, and a bias of less than 1, it is ``(1 + Maj(w * x)) / 2``.

    Args:
        signs: The weights w, -1 or +1 each.
        subset: The set S.

    Example:
        >>> relu_derivative_coefficient([1, -1, 1], [1])
        -0.25
    """
    constant = 1.0 if not subset else 0.0
    return (constant + math.prod(signs[index] for index in subset) * majority_coefficient(len(signs), len(subset))) / 2


class FourierGap(NamedTuple):
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


def fourier_gap(coefficients: np.ndarray, support: Sequence[int]) -> FourierGap:
    """The Fourier gap at a support of a function whose coefficients are all known.

    Args:
        coefficients: As of `fourier_coefficients`, of shape ``(2^n,)``.
        support: The support S, of k coordinates.

    Example:
        >>> majority = fourier_coefficients((all_inputs(15).sum(-1) > 0).double().numpy())
        >>> gap = fourier_gap(majority, [0, 1])
        >>> round(gap.inner, 5), round(gap.outer, 5), round(gap.gamma, 5)
        (0.10474, 0.00806, 0.10474)
    """
    n = len(coefficients).bit_length() - 1
    inner = min(abs(coefficients[number]) for number in _numbers(support, len(support) - 1))
    outer = max((abs(coefficients[number]) for number in _numbers(range(n), len(support) + 1)), default=0.0)
    return FourierGap(float(inner), float(outer))


def _numbers(coordinates: Iterable[int], size: int) -> Iterator[int]:
    return map(number_of, combinations(coordinates, size))
