"""Gradient flow on disjoint-PolyNets with the correlation loss (Section 4.2, Theorem 7).

The relevant input of each block of n' stands first, as in the paper; its weight in factor i is v_i. The population
gradient moves nothing else: ``v_i' = prod_{j != i} v_j``, and ``v_i^2 - v_i(0)^2`` is the same for all i.

A factor's sign is that of ``v + Z`` where Z is the sum of its other weights with random signs. Given the relevant
input it is right by chance only if |Z| > |v|, and the signs of factors are independent, so that errors are exact.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from scipy import integrate, optimize, stats


def relevant_weight(time: float, k: int) -> float:
    """The relevant weight v at a time, from ``v' = v^(k-1)``, ``v(0) = 1``; infinite for k >= 3 from 1/(k-2) on.

    Example:
        >>> relevant_weight(0.5, k=3), round(relevant_weight(1.0, k=2), 4)
        (2.0, 2.7183)
    """
    if k == 2:
        return math.exp(time)
    left = 1 - (k - 2) * time
    return math.pow(left, -1 / (k - 2)) if left > 0 else math.inf


def time_to_reach(v: float, k: int) -> float:
    """The time at which the relevant weight is v, the inverse of `relevant_weight`.

    Example:
        >>> time_to_reach(2.0, k=3)
        0.5
    """
    return math.log(v) if k == 2 else -math.expm1(-(k - 2) * math.log(v)) / (k - 2)


def velocity(v: np.ndarray) -> np.ndarray:
    """The relevant weights' velocities, ``prod_{j != i} v_j``, minus the population gradient; shape ``(k,)`` each.

    Example:
        >>> velocity(np.array([2.0, 3.0, 0.0]))
        array([0., 0., 6.])
    """
    return np.array([np.prod(np.delete(v, own)) for own in range(len(v))])


def solve_flow(initial: Sequence[float], times: Sequence[float], tolerance: float = 1e-12) -> np.ndarray:
    """The relevant weights at ascending times by an adaptive Runge-Kutta method of order 8.

    Args:
        initial: The weights at time 0, of shape ``(k,)``.
        times: When to tell them; before they are infinite.
        tolerance: The relative error allowed in a step.

    Returns:
        float64 of shape ``(times, k)``.

    Example:
        >>> solve_flow([1, 1, 1], [0.5]).round(6)
        array([[2., 2., 2.]])
    """
    # The last time is an end of a step, so that nothing is interpolated where weights grow fastest.
    weights, start = [np.array(initial, dtype=np.float64)], 0.0
    for end in times:
        if end > start:
            step = integrate.solve_ivp(
                lambda _, v: velocity(v), (start, end), weights[-1], "DOP853", rtol=tolerance, atol=tolerance
            )
            if not step.success:
                raise ValueError(f"the flow cannot be followed to {end}: {step.message}")
            weights.append(step.y[:, -1])
        else:
            weights.append(weights[-1])
        start = end
    return np.array(weights[1:])


def descend(initial: Sequence[float], rate: float, until: float, at_most: int) -> np.ndarray:
    """The relevant weights after each step of gradient descent on the population loss, the first row the initial ones.

    Args:
        initial: The weights before the first step, of shape ``(k,)``.
        rate: The learning rate, which is also the flow's time that a step takes.
        until: Stops once all weights are larger than this.
        at_most: Stops after so many steps.

    Example:
        >>> descend([1, 1], rate=0.5, until=2, at_most=10).tolist()
        [[1.0, 1.0], [1.5, 1.5], [2.25, 2.25]]
    """
    v = [float(weight) for weight in initial]
    path = [v]
    for _ in range(at_most):
        if min(v) > until:
            break
        v = [weight + rate * math.prod(v[:own] + v[own + 1 :]) for own, weight in enumerate(v)]
        path.append(v)
    return np.array(path)


def factor_error(v: float, block_length: int) -> float:
    """How probably a factor has the wrong sign: ``P(Z > v) + P(Z = v) / 2`` for ``n' - 1`` other weights of -1 or +1.

    A factor of 0 counts half. Accurate to all digits in the tail, and 0 below 1e-308.

    Args:
        v: The relevant weight, at least 0.
        block_length: The length n' of a block.

    Example:
        >>> round(factor_error(1.0, 3), 6), round(factor_error(2.0, 3), 6), factor_error(2.5, 3)
        (0.25, 0.125, 0.0)
    """
    others = block_length - 1
    # Z > v has fewer than this many minus signs among the others.
    minus = (others - v) / 2
    above = stats.binom.cdf(math.ceil(minus) - 1, others, 0.5)
    tie = stats.binom.pmf(minus, others, 0.5) if minus == math.floor(minus) else 0.0
    return float(above + tie / 2)


def error_at(v: float, block_length: int, k: int) -> float:
    """The exact error ``(1 - (1 - 2p)^k) / 2`` at relevant weights v, p as of `factor_error`.

    Example:
        >>> error_at(1.0, block_length=3, k=2)
        0.375
    """
    p = factor_error(v, block_length)
    # Of few errors 1 - 2p loses the digits.
    return -math.expm1(k * math.log1p(-2 * p)) / 2 if p < 0.25 else (1 - (1 - 2 * p) ** k) / 2


def weight_at_error(epsilon: float, block_length: int, k: int) -> float:
    """The relevant weight, from 1 on, at which the error falls to epsilon or below: it is a step function of v.

    Its steps are at the values of Z, every other whole number; that of zero error is at n' - 1.

    Example:
        >>> weight_at_error(0.49, block_length=1000, k=3), weight_at_error(0.0, block_length=1000, k=3)
        (11.0, 999.0)
    """
    others = block_length - 1
    if epsilon == 0:
        return float(others)
    low, high = 0, others // 2
    while low < high:
        middle = (low + high) // 2
        # Just above a step is as good as halfway to the next.
        if error_at(others % 2 + 2 * middle + 1, block_length, k) <= epsilon:
            high = middle
        else:
            low = middle + 1
    return max(1.0, float(others % 2 + 2 * low))


class Phases(NamedTuple):
    """When the error falls below epsilon and when to zero, in units of the flow's time.

    Attributes:
        weight: The relevant weight at the first of both times; the smallest of them if they differ.
        early: The first time, ``T(epsilon)``.
        zero: ``T(0)``.
    """

    weight: float
    early: float
    zero: float

    @property
    def ratio(self) -> float:
        """``T(epsilon) / T(0)``."""
        return self.early / self.zero


def phases(block_length: int, k: int, epsilon: float = 0.49) -> Phases:
    """``T(epsilon)`` and ``T(0)`` of Theorem 7, from the initialization with all weights 1.

    Example:
        >>> round(phases(block_length=1000, k=3).ratio, 3)
        0.91
    """
    weight = weight_at_error(epsilon, block_length, k)
    return Phases(weight, time_to_reach(weight, k), time_to_reach(block_length - 1.0, k))


def limit_constant(k: int, epsilon: float = 0.49) -> float:
    """The limit of ``(1 - T(epsilon)/T(0)) n'^(k/2 - 1)`` for k >= 3, which Theorem 7 says is bounded.

    For large n' the error is epsilon where ``P(|Z| < v) = (1 - 2 epsilon)^(1/k)``, Z being normal of variance n'.

    Example:
        >>> round(limit_constant(3), 3)
        2.881
    """
    return math.pow(stats.norm.ppf((1 + math.pow(1 - 2 * epsilon, 1 / k)) / 2), 2 - k)


def time_by_quadrature(initial: Sequence[float], smallest: float) -> float:
    """When the relevant weight that was smallest in size has grown to a size, from any initialization.

    With ``q = v_i^2 - v_i(0)^2``, the same for all i, ``q' = 2 prod_i sqrt(q + v_i(0)^2)`` where the product of all
    weights is positive. If it is negative sizes shrink first. Then the smallest passes zero and all grow, unless two
    are equally small: these reach zero never. By the smallest, u, the time is an integral without singularities.

    Args:
        initial: The weights at time 0, of shape ``(k,)``, none of them 0.
        smallest: The size to reach, with all other weights growing; at least the initial one if the product is
            positive.

    Returns:
        The time; infinite if they reach zero never.

    Example:
        >>> round(time_by_quadrature([1, 1, 1], 2.0), 9), time_by_quadrature([1, 1, -1], 2.0)
        (0.5, inf)
    """
    start, excess = _smallest_first(initial)
    if start < 0 and min(excess) == 0:
        return math.inf
    ends = sorted({start, smallest, *(end for end in (0.0, 1.0, 10.0) if start < end < smallest)})

    def slowness(u: float) -> float:
        return 1 / math.prod(math.sqrt(u * u + other) for other in excess)

    return sum(
        float(integrate.quad(slowness, low, high, epsabs=0, epsrel=1e-11, limit=500)[0]) for low, high in pairwise(ends)
    )


def _smallest_first(initial: Sequence[float]) -> tuple[float, list[float]]:
    """The smallest weight with the sign that the flow lets grow, and by how much the others' squares exceed its."""
    own = min(range(len(initial)), key=lambda index: abs(initial[index]))
    others = [weight for index, weight in enumerate(initial) if index != own]
    return initial[own] * math.copysign(1, math.prod(others)), [weight**2 - initial[own] ** 2 for weight in others]


def sign_series(others: np.ndarray, reach: float, terms: int) -> tuple[np.ndarray, np.ndarray]:
    """A Fourier series of ``E[sign(v + Z)]`` as a function of v, for any other weights.

    Over the signs, ``E[sin(a (v + Z))] = sin(a v) prod_j cos(a w_j)``: put into the series of a square wave that is as
    long as ``v + Z`` can be, it is exact but for the terms left out.

    Args:
        others: The other weights w, of shape ``(n' - 1,)``.
        reach: The largest v that it holds for.
        terms: How many terms.

    Returns:
        Frequencies a and coefficients c, of shape ``(terms,)`` each: the mean is the sum of ``c sin(a v)``.

    Example:
        >>> frequencies, coefficients = sign_series(np.ones(2), reach=3, terms=10_000)
        >>> float((coefficients * np.sin(frequencies * 1.0)).sum().round(4))  # P(|Z| < 1)
        0.5
    """
    odd = 2 * np.arange(terms) + 1
    frequencies = odd * np.pi / (1.1 * (reach + np.abs(others).sum()))
    coefficients = 4 / np.pi / odd
    for weight in others:
        coefficients = coefficients * np.cos(frequencies * weight)
    return frequencies, coefficients


def phases_of(weights: np.ndarray, epsilon: float = 0.49) -> Phases:
    """``T(epsilon)`` and ``T(0)`` from any initial weights, relevant ones first; infinite if they are never reached.

    Args:
        weights: Of shape ``(k, n')``; for n' of 20 or more errors are right to some five digits.
        epsilon: The error of the first time, below 1/2.
    """
    relevant, others = weights[:, 0], weights[:, 1:]
    start, _ = _smallest_first(relevant.tolist())
    floor = float(np.abs(relevant).min())
    squares = relevant**2 - floor**2
    # No other weights outweigh the relevant one: zero error.
    last = math.sqrt(max(floor**2, float((np.abs(others).sum(1) ** 2 - squares).max())))
    series = [
        sign_series(own, math.sqrt(last**2 + square), terms=100_000 // len(own) + 4 * math.isqrt(len(own)))
        for own, square in zip(others, squares, strict=True)
    ]

    def too_large(u: float) -> float:
        means = [
            float((coefficients * np.sin(frequencies * math.sqrt(u * u + square))).sum())
            for (frequencies, coefficients), square in zip(series, squares, strict=True)
        ]
        return (1 - math.prod(means)) / 2 - epsilon

    first = max(start, 0.0)
    weight = first if too_large(first) <= 0 else float(optimize.brentq(too_large, first, last))
    early, zero = (time_by_quadrature(relevant.tolist(), size) for size in (weight, last))
    return Phases(weight, early, zero)
