"""What ridge regression learns of a parity with a kernel: fitted, predicted, and at most (Theorem 6)."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import torch
from scipy import special
from torch import Tensor

from parity_lightning.theory.kernels import kernel_masses

_ITERATIONS = 100_000


class Fit(NamedTuple):
    """A ridge regression: ``f(x) = sum_i coefficients_i K(x, x_i)``.

    Attributes:
        coefficients: float64 of shape ``(m,)``.
        norm: The norm R of the weights where features have norm 1: the theorem's.
    """

    coefficients: Tensor
    norm: float


def fit_ridge(matrix: Tensor, y: Tensor, ridge: float) -> Fit:
    """Fits labels by kernel ridge regression.

    Args:
        matrix: The kernel at all pairs of samples, float64 of shape ``(m, m)``.
        y: Their labels, of shape ``(m,)``.
        ridge: What is added to the diagonal.

    Example:
        >>> fit_ridge(torch.eye(2, dtype=torch.float64), torch.tensor([1.0, -1.0]), ridge=3.0).coefficients.tolist()
        [0.25, -0.25]
    """
    regular = matrix + ridge * torch.eye(len(matrix), dtype=matrix.dtype)
    coefficients = torch.cholesky_solve(y.double()[:, None], torch.linalg.cholesky(regular))[:, 0]
    return Fit(coefficients, float(((coefficients @ matrix @ coefficients) * matrix.diagonal().max()).sqrt()))


class Learned(NamedTuple):
    """What kernel ridge regression makes of a parity.

    Attributes:
        correlation: ``E[y f(x)]``; the hinge loss is at least 1 less this.
        accuracy: The share of inputs with ``y f(x) > 0``.
    """

    correlation: float
    accuracy: float


def predicted(kernel: np.ndarray, k: int, samples: int, ridge: float) -> Learned:
    """What kernel ridge regression learns of a parity of k bits from random samples, by the theory of its mean.

    Bordelon, Canatar and Pehlevan (2020): an eigenfunction of eigenvalue ``e`` is learned to the share
    ``m e / (m e + q)`` where ``q = ridge + sum_d mass_d q / (m e_d + q)``. What is not learned acts as noise, taken for
    normal to tell the accuracy.

    Args:
        kernel: Its values by the number of differing signs, of shape ``(n + 1,)``.
        k: The parity's degree.
        samples: Their number m.
        ridge: What is added to the diagonal of the samples' kernel matrix.

    Example:
        >>> from parity_lightning.theory.kernels import relu_ntk
        >>> predicted(relu_ntk(20), k=3, samples=2500, ridge=0.0).accuracy > 0.6
        True
        >>> predicted(relu_ntk(20, bias=False), k=3, samples=2500, ridge=0.0).accuracy
        0.5
    """
    n = len(kernel) - 1
    masses = np.maximum(kernel_masses(kernel), 0.0)
    masses[masses < 1e-12 * masses.sum()] = 0.0  # of rounding
    functions = special.comb(n, np.arange(n + 1))
    eigenvalues = masses / functions
    left = masses.sum() + ridge
    for _ in range(_ITERATIONS):
        before, left = left, ridge + float((masses * left / (left + samples * eigenvalues)).sum())
        if abs(left - before) <= 1e-13 * before:
            break
    shares = samples * eigenvalues / (samples * eigenvalues + left)
    correlation = float(shares[k])
    error = (1 - correlation) ** 2 / (1 - float((functions * shares**2).sum()) / samples)
    noise = max(error - (1 - correlation) ** 2, 1e-30)
    return Learned(correlation, float(special.ndtr(correlation / math.sqrt(noise))))


def correlation_bound(n: int, k: int, samples: int) -> float:
    """What kernel ridge regression can learn of a parity at most: its mean correlation with the labels (Theorem 6).

    In the basis of parities the map from labels to what is learned has trace ``m`` at most, for its rank is ``m`` at
    most, and a diagonal that is not negative. So over all S of size k, ``sum_S E_x[chi_S f_S] <= m``, whatever the
    kernel of inner products and the ridge: the mean is at most ``m / C(n,k)``. The hinge loss is at least 1 less this.

    Example:
        >>> round(correlation_bound(50, 3, 4000), 4)
        0.2041
    """
    return min(1.0, samples / math.comb(n, k))


def norm_bound(kernel: np.ndarray, k: int, norm: float) -> float:
    """What a function of norm R can have in common with a parity at most: ``E[y f(x)] <= R sqrt(e)`` (Theorem 6).

    For ``f = w . Psi(x)`` with ``|Psi(x)| <= 1`` it is ``w . E[y Psi]``, and ``|E[y Psi]|^2`` is the eigenvalue e of
    the kernel of trace 1, at most ``1 / C(n,k)``. So a hinge loss below ``1 - eps`` needs
    ``R^2 >= eps^2 C(n,k)``, however many features there are: for kernels of inner products without the factor D.

    Example:
        >>> from parity_lightning.theory.kernels import parity_kernel
        >>> round(norm_bound(parity_kernel(10, 3), 3, norm=math.sqrt(120)), 12)
        1.0
    """
    return norm * math.sqrt(max(kernel_masses(kernel)[k] / kernel[0], 0.0) / math.comb(len(kernel) - 1, k))
