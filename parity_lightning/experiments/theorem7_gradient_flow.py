"""Gradient flow on disjoint-PolyNets: nearly all of the time goes by before the error moves (Theorem 7)."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import product
from typing import Annotated, NamedTuple

import numpy as np
from matplotlib.figure import Figure

from parity_lightning.display.style import GRAY, color_of, legend_below
from parity_lightning.experiments.findings import Findings
from parity_lightning.experiments.options import BoundedOptions, Bounds, Seed
from parity_lightning.statistics.survival import quantile_of, share_of
from parity_lightning.studies.claims import Claim, Estimate, Statement
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
_SLOPE_TOLERANCE = 0.05

_THEOREM = (
    "Let T(.49) be the time it takes for error to fall below .49, and let T(0) be the time it takes to reach zero "
    "error. Then T(.49)/T(0) = 1 - O((n')^(1-k/2))."
)
_SAME_TRAJECTORY = "Then all of the relevant weights follow the same trajectory, which we denote by v"
_FOOTNOTE = "Results for +-1 initialization and Gaussian initialization are qualitatively similar"


@dataclass(frozen=True)
class Options(BoundedOptions):
    """Options of the experiment.

    Attributes:
        k: Sizes of the support; the paper claims nothing for k=2, which shows what k >= 3 adds.
        block_length: The lengths n' = n/k of blocks.
        draws: How many Gaussian initializations, of each k and n'; of fewer than 6 a median has no interval.
        draws_to: Up to which n' Gaussian initializations are drawn.
        seed: Decides the Gaussian initializations.
    """

    k: Annotated[tuple[int, ...], Bounds(at_least=2, at_most=8)] = (2, 3, 4, 5)
    block_length: Annotated[tuple[int, ...], Bounds(at_least=20, at_most=10**7)] = (30, 100, 300, 1000, 3000, 10000)
    draws: Annotated[int, Bounds(at_least=6)] = 40
    draws_to: int = 1000
    seed: Seed = 0


class Row(NamedTuple):
    """When the error of a block length falls, in units of the flow's time.

    Attributes:
        k: Size of the support.
        block_length: The length n' of a block.
        weight: The relevant weight at error .49.
        early: The time T(.49) at which the error falls below .49.
        zero: The time T(0) at which it falls to zero.
        ratio: T(.49) / T(0).
        left: One less the ratio: the share of the time that is left.
        scaled: That share times n'^(k/2-1), which the theorem says is bounded.
        gaussian: The median ratio of Gaussian initializations, if any were drawn.
        low: The lower end of its interval.
        high: Its upper end.
    """

    k: int
    block_length: int
    weight: float
    early: float
    zero: float
    ratio: float
    left: float
    scaled: float
    gaussian: float | None
    low: float | None
    high: float | None


class Draw(NamedTuple):
    """The times of one Gaussian initialization, and whether the product of its relevant weights is positive."""

    k: int
    block_length: int
    draw: int
    positive: bool
    early: float
    zero: float
    ratio: float


def run(options: Options) -> Findings:
    """Computes when gradient flow falls below error .49 and when to zero error, exactly."""
    rng = np.random.default_rng(options.seed)
    draws: list[Draw] = []
    rows = []
    for k in options.k:
        for length in options.block_length:
            drawn = _gaussian(rng, k, length, options.draws) if length <= options.draws_to else []
            draws += drawn
            rows.append(_row(k, length, drawn))
    slopes = {k: _fitted_slope(k) for k in options.k if k > 2}
    claims = [_slope_claim(k, slope) for k, slope in slopes.items()]
    claims += [*_bound_claim(rows), *_two_claim(rows), *_solver_claims(options.k, rng), _sign_claim(max(options.k))]
    claims += [*_gaussian_claims(rows, options.draws), *_wrong_signs_claim(draws)]
    choices = [
        "the time an error is reached: the first after which it is no larger; a factor of 0 is wrong half the time",
        f"fitted slopes: least squares on {len(_DENSE)} block lengths from {_DENSE[0]:,} to {_DENSE[-1]:,}",
        f"gradient descent: learning rate {_RATE:g} on the population loss, block length {_SOLVED_AT}",
        f"Gaussian initializations: all weights standard normal, {options.draws} draws, block lengths to "
        f"{options.draws_to:,}",
    ]
    return Findings(rows, claims, partial(_draw, rows, slopes), choices, {"gaussian": draws} if draws else {})


def _left(k: int, block_length: int) -> float:
    """The share of the time that is left at error .49."""
    return 1 - phases(block_length, k, _EPSILON).ratio


def _fitted_slope(k: int) -> float:
    return float(np.polyfit(np.log(_DENSE), np.log([_left(k, length) for length in _DENSE]), 1)[0])


def _row(k: int, block_length: int, drawn: Sequence[Draw]) -> Row:
    found = phases(block_length, k, _EPSILON)
    left = 1 - found.ratio
    gaussian = tuple(quantile_of([draw.ratio for draw in drawn])) if drawn else (None, None, None)
    scaled = left * math.pow(block_length, k / 2 - 1)
    return Row(k, block_length, found.weight, found.early, found.zero, found.ratio, left, scaled, *gaussian)


def _gaussian(rng: np.random.Generator, k: int, block_length: int, draws: int) -> list[Draw]:
    found = []
    for draw in range(draws):
        weights = rng.standard_normal((k, block_length))
        times = phases_of(weights, _EPSILON)
        positive = bool(weights[:, 0].prod() > 0)
        found.append(Draw(k, block_length, draw, positive, times.early, times.zero, times.ratio))
    return found


def _slope_claim(k: int, slope: float) -> Claim:
    law = 1 - k / 2
    text = f"k={k}: log-log slope of 1 - T(.49)/T(0) against n'"
    # An upper bound, so that a steeper one would do as well.
    return Claim.at_most(
        Statement(f"slope-k{k}", text, "Theorem 7", _THEOREM, law),
        Estimate(slope, n=len(_DENSE)),
        law + _SLOPE_TOLERANCE,
        tolerance=_SLOPE_TOLERANCE,
    )


def _bound_claim(rows: Sequence[Row]) -> list[Claim]:
    shares = [row.scaled / limit_constant(row.k) for row in rows if row.k > 2]
    if not shares:
        return []
    text = "(1 - T(.49)/T(0)) n'^(k/2-1) is bounded: its largest value over its limit for large n'"
    statement = Statement("bounded", text, "Theorem 7", _THEOREM, "bounded")
    return [Claim.at_most(statement, Estimate(max(shares), n=len(shares)), 3)]


def _two_claim(rows: Sequence[Row]) -> list[Claim]:
    ratios = [row.ratio for row in rows if row.k == 2]
    text = "k=2, which the theorem leaves out: the largest T(.49)/T(0) (below its limit, 1/2)"
    statement = Statement("k2", text, "Theorem 7", "Suppose k >= 3.", "no claim for k=2")
    return [Claim.reported(statement, Estimate(max(ratios), n=len(ratios)))] if ratios else []


class _Differences(NamedTuple):
    """The largest relative differences between ways to follow the flow."""

    solver: float = 0.0
    descent: float = 0.0
    quadrature: float = 0.0
    spread: float = 0.0


def _differences(k: int, rng: np.random.Generator) -> _Differences:
    last = _SOLVED_AT - 1.0
    sizes = np.geomspace(1.1, last, 12)
    times = [time_to_reach(v, k) for v in sizes]
    followed = solve_flow([1.0] * k, times)
    solver = max(abs(time_to_reach(v[0], k) / t - 1) for v, t in zip(followed, times, strict=True))
    path = descend([1.0] * k, _RATE, last, at_most=10**6)[:, 0]
    taken = [_RATE * float(np.interp(v, path, np.arange(len(path)))) for v in sizes]
    descent = max(abs(t / own - 1) for t, own in zip(times, taken, strict=True))
    quadrature, spread = 0.0, 0.0
    for _ in range(10):
        initial = rng.standard_normal(k)
        small, drawn = float(np.abs(initial).min()), abs(initial)
        goals = [math.hypot(small, goal) for goal in (0.3, 1.0, 3.0)]
        weights = solve_flow(initial.tolist(), [time_by_quadrature(initial.tolist(), goal) for goal in goals])
        expected = np.sqrt(np.square(goals)[:, None] + drawn**2 - small**2)
        quadrature = max(quadrature, float(np.abs(np.abs(weights) / expected - 1).max()))
        excess = weights**2 - initial**2
        spread = max(spread, float((np.ptp(excess, axis=1) / np.square(weights).max(1)).max()))
    return _Differences(solver, descent, quadrature, spread)


def _solver_claims(k: Sequence[int], rng: np.random.Generator) -> list[Claim]:
    """Closed form, solver and gradient descent in time to reach a weight; the solver and the quadrature elsewhere."""
    worst = _Differences(*(max(column) for column in zip(*(_differences(size, rng) for size in k), strict=True)))
    extended = "extended Theorem 7"
    stated = [
        (
            Statement(
                "solver",
                "v' = v^(k-1); closed form against solver, largest relative difference of times",
                "Section 4.2",
                _SAME_TRAJECTORY,
                "equal",
            ),
            worst.solver,
            1e-8,
        ),
        (
            Statement(
                "gradient-descent",
                f"closed form against gradient descent, learning rate {_RATE:g} (the difference is proportional to it)",
                "Section 4.2",
                _SAME_TRAJECTORY,
                "equal for small rates",
            ),
            worst.descent,
            0.01,
        ),
        (
            Statement(
                "quadrature",
                "q' = 2 prod sqrt(q + v_i(0)^2) by quadrature, against the solver: weights, relative",
                extended,
                paper="equal",
            ),
            worst.quadrature,
            1e-6,
        ),
        (
            Statement(
                "conserved",
                "v_i^2 - v_i(0)^2 is the same for all i; largest spread, relative",
                extended,
                paper="equal",
            ),
            worst.spread,
            1e-8,
        ),
    ]
    return [Claim.at_most(each, Estimate(value), most, tolerance=most) for each, value, most in stated]


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
    statement = Statement(
        "signs",
        f"initial weights -1 or +1, k={k}: share of the signs from which the flow gets to zero error",
        paper=0.5,
    )
    rule = "holds if these are the signs with a positive product, which are half; does not hold otherwise"
    right_half = agree and solved == 2 ** (k - 1)
    return Claim.decided(statement, Estimate(solved / 2**k, n=2**k), rule, supported=right_half, refuted=not right_half)


def _gaussian_claims(rows: Sequence[Row], draws: int) -> list[Claim]:
    claims = []
    for k in sorted({row.k for row in rows if row.k > 2 and row.gaussian is not None}):
        own = sorted((row for row in rows if row.k == k and row.gaussian is not None), key=lambda row: row.block_length)
        first, last = (Estimate(row.gaussian or 0.0, row.low, row.high, n=draws) for row in (own[0], own[-1]))
        text = f"k={k}: Gaussian weights are alike; median T(.49)/T(0) at n'={own[-1].block_length:,}"
        statement = Statement(f"gaussian-k{k}", text, "footnote 8", _FOOTNOTE, "to 1 as n' grows")
        claims.append(Claim.compared(statement, last, first, "the shortest blocks"))
    return claims


def _wrong_signs_claim(draws: Sequence[Draw]) -> list[Claim]:
    wrong = [draw for draw in draws if not draw.positive]
    if not wrong:
        return []
    reached = sum(math.isfinite(draw.zero) for draw in wrong)
    statement = Statement(
        "gaussian-wrong-signs",
        f"Gaussian draws with a negative product of relevant weights ({len(wrong)}): share that gets to zero error",
        paper="not told",
    )
    return [Claim.reported(statement, Estimate(*share_of(reached, len(wrong)), n=len(wrong)))]


def _draw(rows: Sequence[Row], slopes: Mapping[int, float], figure: Figure) -> None:
    errors, left = figure.subplots(1, 2)
    lengths = [row.block_length for row in rows]
    shown = max((n for n in lengths if n <= 1000), default=min(lengths))
    for number, k in enumerate(dict.fromkeys(row.k for row in rows)):
        color = color_of(number)
        weights = np.geomspace(1, shown - 1, 2000)
        times = np.array([time_to_reach(v, k) for v in weights]) / time_to_reach(shown - 1, k)
        errors.plot(times, [error_at(v, shown, k) for v in weights], color=color)
        own = [row for row in rows if row.k == k]
        label = f"k={k}: slope {slopes[k]:.2f}, law {1 - k / 2:g} (dashed)" if k in slopes else f"k={k}: no law"
        left.loglog([row.block_length for row in own], [row.left for row in own], "o", color=color, label=label)
        if k in slopes:
            law = [limit_constant(k) * math.pow(n, 1 - k / 2) for n in _DENSE]
            left.loglog(_DENSE, law, "--", color=color)
        normal = [(row.block_length, 1 - row.gaussian) for row in own if row.gaussian is not None]
        if normal:
            left.loglog(*zip(*normal, strict=True), "x", color=color)
    left.plot([], [], "x", color=GRAY, label="Gaussian weights, median")
    errors.axhline(_EPSILON, color=GRAY, linewidth=0.8, linestyle=":")
    errors.set(xlabel="time / T(0)", ylabel="exact error", ylim=(0, 0.52))
    errors.set_title(f"Error along the flow, n'={shown:,}")
    left.set(xlabel="block length n'", ylabel="1 - T(.49) / T(0)")
    left.set_title("The share of time that is left")
    legend_below(figure, left, columns=2)
