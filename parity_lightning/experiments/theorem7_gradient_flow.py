"""Gradient flow on disjoint-PolyNets: nearly all of the time goes by before the error moves (Theorem 7)."""

from __future__ import annotations

import math
from itertools import product
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from parity_lightning.errors import SettingError, check_int
from parity_lightning.experiments.findings import Claim, Findings
from parity_lightning.statistics.survival import quantile_of, share_of
from parity_lightning.theory.gradient_flow import (
    descend,
    error_at,
    limit_constant,
    phases,
    phases_of,
    solve_flow,
    time_by_quadrature,
    time_to_reach,
)

_EPSILON = 0.49
_SOLVED_AT = 30
"""The block length of the comparison of closed forms, solver and gradient descent."""
_RATE = 1e-5
_DENSE = np.unique(np.geomspace(300, 30_000, 41).round().astype(int)).tolist()
"""Block lengths of the fitted slopes: many, since the weight at error .49 is a whole number."""


def run(
    k: tuple[int, ...] = (2, 3, 4, 5),
    block_length: tuple[int, ...] = (30, 100, 300, 1000, 3000, 10000),
    draws: int = 40,
    draws_to: int = 1000,
    seed: int = 0,
) -> Findings:
    """Computes when gradient flow falls below error .49 and when to zero error, exactly.

    Args:
        k: Sizes of the support; the paper claims nothing for k=2, which shows what k >= 3 adds.
        block_length: The lengths n' = n/k of blocks.
        draws: How many Gaussian initializations, of each k and n'.
        draws_to: Up to which n' Gaussian initializations are drawn.
        seed: Decides the Gaussian initializations.
    """
    for option, values, least in (("k", k, 2), ("block_length", block_length, 20)):
        if not values:
            raise SettingError(option, values, "give one at least")
        for value in values:
            check_int(option, value, at_least=least, at_most=8 if option == "k" else 10**7)
    # The interval of the median of fewer would have no ends.
    check_int("draws", draws, at_least=6)
    rng = np.random.default_rng(check_int("seed", seed, at_least=0))
    single: list[dict[str, Any]] = []
    rows = []
    for size in k:
        for length in block_length:
            drawn = _gaussian(rng, size, length, draws) if length <= draws_to else []
            single += drawn
            rows.append(_row(size, length, drawn))
    dense = {size: [_left(size, length) for length in _DENSE] for size in k if size > 2}
    slopes = {size: float(np.polyfit(np.log(_DENSE), np.log(left), 1)[0]) for size, left in dense.items()}
    claims = [_slope_claim(size, slope) for size, slope in slopes.items()]
    claims += [*_bound_claim(rows), *_two_claim(rows), *_solver_claims(k, rng), _sign_claim(max(k))]
    claims += _gaussian_claims(rows, single)

    def draw(figure: Figure) -> None:
        errors, left = figure.subplots(1, 2)
        length = max(n for n in block_length if n <= 1000) if min(block_length) <= 1000 else min(block_length)
        for number, size in enumerate(k):
            weights = np.geomspace(1, length - 1, 2000)
            times = np.array([time_to_reach(v, size) for v in weights]) / time_to_reach(length - 1, size)
            errors.plot(times, [error_at(v, length, size) for v in weights], color=f"C{number}", label=f"k={size}")
            if size > 2:
                law = [limit_constant(size) * math.pow(n, 1 - size / 2) for n in _DENSE]
                message = f"k={size}: slope {slopes[size]:.2f}; law {1 - size / 2:g} (dashed)"
                left.loglog(_DENSE, law, "--", color=f"C{number}")
            else:
                message = "k=2: no law, not claimed"
            own = [row for row in rows if row["k"] == size]
            left.loglog([row["n'"] for row in own], [row["1 - ratio"] for row in own], "o", color=f"C{number}")
            left.plot([], [], "o--" if size > 2 else "o", color=f"C{number}", label=message)
            normal = [(row["n'"], 1 - row["Gaussian"]) for row in own if row["Gaussian"] is not None]
            left.loglog(*zip(*normal, strict=True), "x", color=f"C{number}") if normal else None
        left.plot([], [], "x", color="gray", label="Gaussian weights, median")
        errors.axhline(_EPSILON, color="gray", linewidth=0.8, linestyle=":")
        errors.set(
            xlabel="time / T(0)", ylabel="exact error", title=f"Error along the flow, n'={length}", ylim=(0, 0.52)
        )
        errors.legend(fontsize=8)
        left.set(xlabel="block length n'", ylabel="1 - T(.49) / T(0)", title="The share of time that is left")
        left.legend(fontsize=7)

    choices = [
        "the time an error is reached: the first after which it is no larger; a factor of 0 is wrong half the time",
        f"fitted slopes: least squares on {len(_DENSE)} block lengths from {_DENSE[0]:,} to {_DENSE[-1]:,}",
        f"gradient descent: learning rate {_RATE:g} on the population loss, block length {_SOLVED_AT}",
        f"Gaussian initializations: all weights standard normal, {draws} draws, block lengths to {draws_to:,}",
    ]
    more = {"gaussian": single} if single else {}
    return Findings(rows, claims, draw, choices, more)


def _left(k: int, block_length: int) -> float:
    """The share of the time that is left at error .49."""
    return 1 - phases(block_length, k, _EPSILON).ratio


def _row(k: int, block_length: int, drawn: list[dict[str, Any]]) -> dict[str, Any]:
    found = phases(block_length, k, _EPSILON)
    left = 1 - found.ratio
    median = quantile_of([row["ratio"] for row in drawn]) if drawn else None
    return {
        "k": k,
        "n'": block_length,
        "v at .49": found.weight,
        "T(.49)": found.early,
        "T(0)": found.zero,
        "ratio": found.ratio,
        "1 - ratio": left,
        "by n'^(k/2-1)": left * math.pow(block_length, k / 2 - 1),
        "Gaussian": median.value if median else None,
        "low": median.low if median else None,
        "high": median.high if median else None,
    }


def _gaussian(rng: np.random.Generator, k: int, block_length: int, draws: int) -> list[dict[str, Any]]:
    found = []
    for draw in range(draws):
        weights = rng.standard_normal((k, block_length))
        times = phases_of(weights, _EPSILON)
        right = bool(weights[:, 0].prod() > 0)
        message = {"T(.49)": times.early, "T(0)": times.zero, "ratio": times.ratio}
        found.append({"k": k, "n'": block_length, "draw": draw, "product > 0": right, **message})
    return found


def _slope_claim(k: int, slope: float) -> Claim:
    law = 1 - k / 2
    message = f"Theorem 7, k={k}: log-log slope of 1 - T(.49)/T(0) against n'"
    # An upper bound, so that a steeper one would do as well.
    return Claim(message, law, slope, slope <= law + 0.05)


def _bound_claim(rows: list[dict[str, Any]]) -> list[Claim]:
    shares = [row["by n'^(k/2-1)"] / limit_constant(row["k"]) for row in rows if row["k"] > 2]
    if not shares:
        return []
    worst = max(shares)
    message = "Theorem 7: (1 - T(.49)/T(0)) n'^(k/2-1) is bounded: its largest value over its limit for large n'"
    return [Claim(message, "bounded", worst, worst < 3)]


def _two_claim(rows: list[dict[str, Any]]) -> list[Claim]:
    own = [row["ratio"] for row in rows if row["k"] == 2]
    message = "Theorem 7 is for k >= 3: with k=2 the largest T(.49)/T(0) (below its limit, 1/2)"
    return [Claim(message, "no claim for k=2", max(own), None)] if own else []


def _solver_claims(k: tuple[int, ...], rng: np.random.Generator) -> list[Claim]:
    """Closed form, solver and gradient descent in time to reach a weight; the solver and the quadrature elsewhere."""
    solver, descent, quadrature, spread = 0.0, 0.0, 0.0, 0.0
    last = _SOLVED_AT - 1.0
    for size in k:
        sizes = np.geomspace(1.1, last, 12)
        times = [time_to_reach(v, size) for v in sizes]
        followed = solve_flow([1.0] * size, times)
        solver = max(solver, *(abs(time_to_reach(v[0], size) / t - 1) for v, t in zip(followed, times, strict=True)))
        path = descend([1.0] * size, _RATE, last, at_most=10**6)[:, 0]
        taken = [_RATE * float(np.interp(v, path, np.arange(len(path)))) for v in sizes]
        descent = max(descent, *(abs(t / own - 1) for t, own in zip(times, taken, strict=True)))
        for _ in range(10):
            initial = rng.standard_normal(size)
            small, drawn = float(np.abs(initial).min()), abs(initial)
            goals = [math.hypot(small, goal) for goal in (0.3, 1.0, 3.0)]
            weights = solve_flow(initial.tolist(), [time_by_quadrature(initial.tolist(), goal) for goal in goals])
            expected = np.sqrt(np.square(goals)[:, None] + drawn**2 - small**2)
            quadrature = max(quadrature, float(np.abs(np.abs(weights) / expected - 1).max()))
            excess = weights**2 - initial**2
            spread = max(spread, float((np.ptp(excess, axis=1) / np.square(weights).max(1)).max()))
    return [
        Claim(
            "Section 4.2: v' = v^(k-1); closed form against solver, largest relative difference of times",
            "equal",
            solver,
            solver < 1e-8,
        ),
        Claim(
            f"... against gradient descent, learning rate {_RATE:g} (the difference is proportional to it)",
            "equal for small rates",
            descent,
            descent < 0.01,
        ),
        Claim(
            "extended Theorem 7: q' = 2 prod sqrt(q + v_i(0)^2) by quadrature, against the solver: weights, relative",
            "equal",
            quadrature,
            quadrature < 1e-6,
        ),
        Claim(
            "extended Theorem 7: v_i^2 - v_i(0)^2 is the same for all i; largest spread, relative",
            "equal",
            spread,
            spread < 1e-8,
        ),
    ]


def _sign_claim(k: int) -> Claim:
    """Follows the flow from all 2^k signs of the relevant weights, for twice the time that the right ones take."""
    last = _SOLVED_AT - 1.0
    agree, solved = True, 0
    for signs in product([1.0, -1.0], repeat=k):
        right = math.prod(signs) > 0
        zero = time_to_reach(last, k)
        # Right ones are infinite soon after.
        weights = solve_flow(signs, [zero * (1 - 1e-9) if right else 2 * zero])[0]
        grown = float(np.abs(weights).min()) > 0.99 * last
        solved += grown
        agree &= grown == right
    message = f"initial weights -1 or +1, k={k}: share of the signs from which the flow gets to zero error"
    return Claim(message, 0.5, solved / 2**k, agree and solved == 2 ** (k - 1))


def _gaussian_claims(rows: list[dict[str, Any]], single: list[dict[str, Any]]) -> list[Claim]:
    claims = []
    for size in sorted({row["k"] for row in rows if row["k"] > 2 and row["Gaussian"] is not None}):
        own = [row for row in rows if row["k"] == size and row["Gaussian"] is not None]
        own.sort(key=lambda row: int(row["n'"]))
        first, last, longest = own[0], own[-1], own[-1]["n'"]
        message = f"footnote 8, k={size}: Gaussian weights are alike; median T(.49)/T(0) at n'={longest:,}"
        grows = None if len(own) == 1 or last["low"] <= first["high"] else True
        if len(own) > 1 and last["high"] < first["low"]:
            grows = False
        claims.append(Claim(message, "to 1 as n' grows", last["Gaussian"], grows, last["low"], last["high"]))
    wrong = [row for row in single if not row["product > 0"]]
    if wrong:
        reached = sum(math.isfinite(row["T(0)"]) for row in wrong)
        message = (
            f"Gaussian draws with a negative product of relevant weights ({len(wrong)}): share that gets to zero error"
        )
        share = share_of(reached, len(wrong))
        claims.append(Claim(message, "not told", share.value, None, share.low, share.high))
    return claims
