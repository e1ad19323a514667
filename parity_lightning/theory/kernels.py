"""Kernels on {-1, +1}^n that depend on the inner product only: their eigenvalues and matrices.

Parities are the eigenfunctions of such a kernel, all of one degree with the same eigenvalue, so what it can learn from
m samples is known before it sees one (Theorem 6 of Section 4.1, Theorem 5 of the extended version). A kernel stands
here as its values at the ``n + 1`` inner products ``n, n - 2, ..., -n``, that is by how many signs two inputs differ.
"""

from __future__ import annotations

import functools
import math

import numpy as np
import torch
from torch import Tensor


def relu_ntk(n: int, width: int = 100, bias: bool = True) -> np.ndarray:
    """The neural tangent kernel of a two-layer ReLU network at Xavier's initialization, in its mean over it.

    The network is ``f(x) = u . relu(W x + b)``; W and b have variance ``2 / (n + r)`` and u has ``2 / (r + 1)``, as of
    `initialize`. With ``c`` the number of signs that feed a neuron (n, and 1 more if it has a bias), ``rho`` the cosine
    of two inputs with that sign, and ``t = arccos(rho)``, the kernel is the sum of

    - ``r Var(u) c rho (pi - t) / (2 pi)``, of the first layer's gradients, and
    - ``r Var(w) c (sin t + (pi - t) rho) / (2 pi)``, of the second's (arc-cosine kernels, Cho and Saul 2009),

    exactly for normal weights, and for uniform ones as n grows.

    Args:
        n: How many bits an input has.
        width: The network's width r, which weighs the two layers.
        bias: Whether neurons have biases. With one, the kernel is that of n + 1 bits of which the last is always 1.

    Returns:
        The kernel by the number of signs in which two inputs differ: float64 of shape ``(n + 1,)``.

    Example:
        >>> relu_ntk(2, width=1, bias=False).round(4).tolist()
        [1.6667, 0.2122, 0.0]
    """
    fed = n + bias
    rho = np.clip((n - 2 * np.arange(n + 1) + bias) / fed, -1, 1)
    angle = np.arccos(rho)
    first = 2 / (width + 1) * rho * (math.pi - angle)
    second = 2 / (n + width) * (np.sin(angle) + (math.pi - angle) * rho)
    kernel: np.ndarray = width * fed * (first + second) / (2 * math.pi)
    return kernel


def parity_kernel(n: int, k: int) -> np.ndarray:
    """The kernel whose features are all parities of k bits, and no others: the best one for them.

    ``K(x, x') = sum_S chi_S(x) chi_S(x') / C(n,k)``; its values are Krawtchouk polynomials.

    Example:
        >>> parity_kernel(3, 2).round(4).tolist()
        [1.0, -0.3333, -0.3333, 1.0]
    """
    return np.array([_krawtchouk(n, k, differing) / math.comb(n, k) for differing in range(n + 1)])


def kernel_masses(kernel: np.ndarray) -> np.ndarray:
    """How much of a kernel each degree has: its eigenvalue times the ``C(n, d)`` parities of that degree.

    The eigenvalue at chi_S is ``E_x[K(1, x) chi_S(x)]``. Exact but for rounding: the integers are whole, and
    ``2^-n C(n, j) K_d(j)`` is rounded once each.

    Args:
        kernel: Its values by the number of differing signs, of shape ``(n + 1,)``.

    Returns:
        float64 of shape ``(n + 1,)``; they sum to ``K(x, x)``.

    Example:
        >>> kernel_masses(parity_kernel(4, 3)).round(12).tolist()
        [0.0, 0.0, 0.0, 1.0, 0.0]
    """
    return np.array([math.fsum(row * kernel) for row in _transform(len(kernel) - 1)])


@functools.lru_cache(maxsize=8)
def _transform(n: int) -> np.ndarray:
    # Division of whole numbers, for C(n, j) K_d(j) is too large for a float at large n.
    rows = [[math.comb(n, j) * _krawtchouk(n, d, j) / 2**n for j in range(n + 1)] for d in range(n + 1)]
    return np.array(rows)


def _krawtchouk(n: int, degree: int, differing: int) -> int:
    """The sum of chi_S(x) over all sets S of a size, for an x with so many signs -1."""
    return sum((-1) ** i * math.comb(differing, i) * math.comb(n - differing, degree - i) for i in range(degree + 1))


def kernel_matrix(kernel: np.ndarray, x: Tensor, other: Tensor) -> Tensor:
    """A kernel's values at all pairs of inputs, of shapes ``(m, n)`` and ``(q, n)``: float64 of shape ``(m, q)``.

    Example:
        >>> x = torch.tensor([[1.0, 1.0], [1.0, -1.0]])
        >>> kernel_matrix(np.array([5.0, 6.0, 7.0]), x, x).tolist()
        [[5.0, 6.0], [6.0, 5.0]]
    """
    differing = (x.shape[-1] - x @ other.T) / 2
    return torch.from_numpy(kernel)[differing.round().long()]


def tangent_matrix(weights: Tensor, biases: Tensor, second: Tensor, x: Tensor, other: Tensor) -> Tensor:
    """The neural tangent kernel of one ReLU network: inner products of its gradients, in all its parameters.

    Args:
        weights: W, of shape ``(r, n)``.
        biases: b, of shape ``(r,)``.
        second: u, of shape ``(r,)``.
        x: Inputs, of shape ``(m, n)``.
        other: Inputs, of shape ``(q, n)``.

    Returns:
        float64 of shape ``(m, q)``.
    """
    units, others = (values.double() @ weights.double().T + biases.double() for values in (x, other))
    slopes, others_slopes = ((each > 0) * second.double() for each in (units, others))
    fed = (x @ other.T + 1).double()
    return fed * (slopes @ others_slopes.T) + units.relu() @ others.relu().T
