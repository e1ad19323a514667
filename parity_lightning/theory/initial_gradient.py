"""The gradient of one ReLU neuron at initialization, and the support read off it (Section 4.1, Proposition 5).

The neuron is ``f(x) = relu(w . x + b)`` with weights w of signs, its loss the correlation loss ``-y f(x)``. The
gradient of the population is ``g_i = -E[y x_i 1[w . x + b >= 0]]``: minus the Fourier coefficient of the indicator at
the support S without i for i in S, and at S with i for other i.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction

import numpy as np
import torch
from scipy import optimize, stats

from parity_lightning.data.sparse_parity import SparseParity

_CHUNK = 2**13
_LEAST = 1e-100


def active_coefficient(n: int, size: int, bias: float) -> Fraction:
    """The Fourier coefficient of ``x -> 1[x_1 + ... + x_n + bias >= 0]`` at any set of a size, exactly, for any n.

    The function depends only on how many of the inputs are -1, so the sum over 2^n inputs is one over n + 1 counts.

    Example:
        >>> active_coefficient(3, 1, bias=0), active_coefficient(3, 2, bias=0), active_coefficient(3, 2, bias=2)
        (Fraction(1, 4), Fraction(0, 1), Fraction(-1, 8))
    """
    total = 0
    for minus in range(n + 1):
        if n - 2 * minus + bias >= 0:
            # Of the `minus` inputs that are -1, `inside` are in the set, and each of them flips the character.
            for inside in range(max(0, minus - n + size), min(size, minus) + 1):
                total += (-1) ** inside * math.comb(size, inside) * math.comb(n - size, minus - inside)
    return Fraction(total, 2**n)


def population_gradient(signs: Sequence[int] | np.ndarray, support: Sequence[int], bias: float = 0.0) -> np.ndarray:
    """The gradient of the weights over the whole distribution, float64 and exact to rounding.

    Args:
        signs: The weights w, -1 or +1 each, of shape ``(n,)``, or those of several neurons, ``(r, n)``.
        support: The support S.
        bias: The bias b. Without one majority has no coefficients of even sizes, so for odd k there is no gradient.

    Returns:
        Of the shape of the weights.

    Example:
        >>> population_gradient([1] * 5, [0, 1]).tolist()
        [-0.1875, -0.1875, 0.0625, 0.0625, 0.0625]
        >>> abs(population_gradient([1] * 5, [0, 1, 2])).tolist()
        [0.0, 0.0, 0.0, 0.0, 0.0]
    """
    weights = np.asarray(signs, dtype=np.float64)
    n, k = weights.shape[-1], len(support)
    inner, outer = (float(active_coefficient(n, size, bias)) for size in (k - 1, k + 1))
    # Signs: to leave i out of a product and to take it in is the same.
    characters = weights[..., list(support)].prod(-1, keepdims=True) * weights
    return np.asarray(-characters * np.where(np.isin(np.arange(n), support), inner, outer))


def sampled_gradients(
    parity: SparseParity,
    signs: Sequence[int] | np.ndarray,
    sizes: Sequence[int],
    bias: float | np.ndarray = 0.0,
) -> np.ndarray:
    """The gradients over the first so many training examples, from one pass over them in bounded memory.

    Args:
        parity: Where examples come from.
        signs: The weights w, of shape ``(n,)``, or those of several neurons, ``(r, n)``.
        sizes: Numbers of examples, ascending.
        bias: The bias b, or one for each neuron.

    Returns:
        float64 of the shape of the weights for each number of examples: ``(len(sizes), n)`` or ``(len(sizes), r, n)``.

    Example:
        >>> sampled_gradients(SparseParity(5, 2, [0, 1], seed=1), [1] * 5, [100, 100_000]).round(2)[1].tolist()
        [-0.19, -0.19, 0.06, 0.06, 0.06]
    """
    weights, biases = torch.tensor(signs, dtype=torch.float32), torch.tensor(bias, dtype=torch.float32)
    neurons = weights.reshape(-1, parity.n)
    total, found, done = torch.zeros(neurons.shape, dtype=torch.float64), [], 0
    for size in sizes:
        for start in range(done, size, _CHUNK):
            x, y = parity.draw(torch.arange(start, min(start + _CHUNK, size)))
            active = torch.addmm(biases, x, neurons.T).ge_(0).mul_(y.unsqueeze(-1))
            # Sums of signs: whole numbers, which float32 adds exactly in a chunk.
            total -= (active.T @ x).double()
        done = size
        found.append((total / size).reshape(weights.shape).numpy())
    return np.array(found)


def stands_out(gradients: np.ndarray, support: Sequence[int]) -> np.ndarray:
    """Whether the k largest ``|g_i|`` are the support, a tie being none: bool of shape ``gradients.shape[:-1]``.

    Example:
        >>> stands_out(np.array([[0.1, -0.9, 0.8], [0.5, 0.5, 0.6]]), [1, 2]).tolist()
        [True, False]
    """
    within = np.isin(np.arange(gradients.shape[-1]), support)
    size = np.abs(gradients)
    rest = size[..., ~within]
    return np.asarray(size[..., within].min(-1) > (rest.max(-1) if rest.shape[-1] else -1.0))


def above_threshold(gradient: np.ndarray, gamma: float) -> tuple[int, ...]:
    """The set that Proposition 5 detects: ``{i : |g_i| >= 3 gamma / 4}``.

    Example:
        >>> above_threshold(np.array([0.1, -0.9, 0.8]), gamma=1.0)
        (1, 2)
    """
    return tuple(int(i) for i in np.flatnonzero(np.abs(gradient) >= 0.75 * gamma))


def success_law(n: int, k: int, samples: float, bias: float = 0.0) -> float:
    """How probable it is that the support stands out, to the normal approximation of independent coordinates.

    Each ``g_i`` is a mean of N values of -1, 0 and 1, normal around its coefficient; the least of the k on the support
    must exceed the n - k others.

    Example:
        >>> [round(success_law(31, 2, samples), 3) for samples in (10, 1_000, 10_000)]
        [0.003, 0.653, 1.0]
    """
    inner, outer = (abs(float(active_coefficient(n, size, bias))) for size in (k - 1, k + 1))
    return _success(n, k, samples, inner, outer, float(active_coefficient(n, 0, bias)))


def samples_for_half(n: int, k: int, bias: float = 0.0) -> float:
    """With how many samples `success_law` is 1/2: infinity if they are more than numbers can hold.

    Raises:
        ValueError: If no number of samples is enough, as the support does not stand out in the population.
    """
    inner, outer = (abs(float(active_coefficient(n, size, bias))) for size in (k - 1, k + 1))
    if inner <= outer:
        raise ValueError(f"n={n}, k={k}, bias={bias}: the support does not stand out from the population's gradient")
    active = float(active_coefficient(n, 0, bias))
    if (inner - outer) ** 2 < _LEAST:
        return math.inf
    unit = active / (inner - outer) ** 2
    low, high = math.log(1e-3 * unit), math.log(1e6 * unit)
    return math.exp(optimize.brentq(lambda log: _success(n, k, math.exp(log), inner, outer, active) - 0.5, low, high))


def _success(n: int, k: int, samples: float, inner: float, outer: float, active: float) -> float:
    noise = [math.sqrt(max(active - mean**2, 0.0) / samples) for mean in (inner, outer)]
    reach = max(inner, outer) + 8 * max(noise)
    at = np.linspace(0, reach, 4001)
    below_inner, below_outer = (
        stats.norm.cdf((at - mean) / width) - stats.norm.cdf((-at - mean) / width)
        for mean, width in zip((inner, outer), noise, strict=True)
    )
    least = 1 - (1 - below_inner) ** k
    others = below_outer ** (n - k)
    # The mean of P(all others < m) over the least of the support, m.
    return float(np.sum(np.diff(least) * (others[1:] + others[:-1]) / 2))
