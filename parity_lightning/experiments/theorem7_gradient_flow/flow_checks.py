"""The flow followed in several ways, which must agree, and from all signs."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import product
from typing import NamedTuple

import numpy as np

from parity_lightning.studies.claims import Claim, Estimate, Statement
from parity_lightning.theory.gradient_flow import descend, solve_flow, time_by_quadrature, time_to_reach

SOLVED_AT = 30
"""The block length that closed form, solver and gradient descent are compared at."""

RATE = 1e-5
"""The learning rate of gradient descent."""

_SAME_TRAJECTORY = "Then all of the relevant weights follow the same trajectory, which we denote by v"


class _Differences(NamedTuple):
    """The largest relative differences between ways to follow the flow.

    Attributes:
        solver: Of times, between closed form and solver.
        descent: Of times, between closed form and gradient descent.
        quadrature: Of weights, between quadrature and solver.
        spread: Of ``v_i^2 - v_i(0)^2``, between the relevant weights.
    """

    solver: float = 0.0
    descent: float = 0.0
    quadrature: float = 0.0
    spread: float = 0.0


def _differences(k: int, rng: np.random.Generator) -> _Differences:
    """Follows the flow from equal weights and from ten draws of Gaussian ones, for one k."""
    last = SOLVED_AT - 1.0
    sizes = np.geomspace(1.1, last, 12)
    times = [time_to_reach(v, k) for v in sizes]
    followed = solve_flow([1.0] * k, times)
    solver = max(abs(time_to_reach(v[0], k) / t - 1) for v, t in zip(followed, times, strict=True))
    path = descend([1.0] * k, RATE, last, at_most=10**6)[:, 0]
    taken = [RATE * float(np.interp(v, path, np.arange(len(path)))) for v in sizes]
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


def solver_claims(k: Sequence[int], rng: np.random.Generator) -> list[Claim]:
    """The claims that several ways to follow the flow agree.

    From equal weights these are the closed form, the solver and gradient descent, and from Gaussian ones the solver and
    quadrature.

    Args:
        k: Sizes of the support.
        rng: Draws the Gaussian weights.
    """
    worst = _Differences(*(max(column) for column in zip(*(_differences(size, rng) for size in k), strict=True)))
    return [
        _agreement(
            "solver",
            "v' = v^(k-1); closed form against solver, largest relative difference of times",
            worst.solver,
            1e-8,
            section="Section 4.2",
            quote=_SAME_TRAJECTORY,
        ),
        _agreement(
            "gradient-descent",
            f"closed form against gradient descent, learning rate {RATE:g} (the difference is proportional to it)",
            worst.descent,
            0.01,
            section="Section 4.2",
            quote=_SAME_TRAJECTORY,
            paper="equal for small rates",
        ),
        _agreement(
            "quadrature",
            "q' = 2 prod sqrt(q + v_i(0)^2) by quadrature, against the solver: weights, relative",
            worst.quadrature,
            1e-6,
        ),
        _agreement("conserved", "v_i^2 - v_i(0)^2 is the same for all i; largest spread, relative", worst.spread, 1e-8),
    ]


def _agreement(
    key: str,
    text: str,
    found: float,
    most: float,
    section: str = "extended Theorem 7",
    quote: str = "",
    paper: str = "equal",
) -> Claim:
    """The claim that two ways to compute the same differ by no more than a tolerance."""
    return Claim.at_most(Statement(key, text, section, quote, paper), Estimate(found), most, tolerance=most)


def sign_claim(k: int) -> Claim:
    """The claim that from half of the signs of the relevant weights the flow gets to zero error.

    The flow is followed from all 2^k signs, for twice the time that the right ones take.
    """
    last = SOLVED_AT - 1.0
    agree, solved = True, 0
    for signs in product([1.0, -1.0], repeat=k):
        right = math.prod(signs) > 0
        zero = time_to_reach(last, k)
        # From right signs weights are infinite soon after.
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
