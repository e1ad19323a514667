"""What is claimed of the times of gradient flow."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from parity_lightning.experiments.estimates import share_estimate
from parity_lightning.experiments.theorem7_gradient_flow.flow_checks import sign_claim, solver_claims
from parity_lightning.experiments.theorem7_gradient_flow.options import Options
from parity_lightning.experiments.theorem7_gradient_flow.rows import Draw, Row
from parity_lightning.experiments.theorem7_gradient_flow.slopes import DENSE
from parity_lightning.studies.claims import Claim, Estimate, Statement
from parity_lightning.theory.gradient_flow import limit_constant

_SLOPE_TOLERANCE = 0.05
_THEOREM = (
    "Let T(.49) be the time it takes for error to fall below .49, and let T(0) be the time it takes to reach zero "
    "error. Then T(.49)/T(0) = 1 - O((n')^(1-k/2))."
)
_FOOTNOTE = "Results for +-1 initialization and Gaussian initialization are qualitatively similar"


def make_claims(
    rows: Sequence[Row], draws: Sequence[Draw], slopes: Mapping[int, float], options: Options, rng: np.random.Generator
) -> list[Claim]:
    """The claims on the times from equal weights, on how they were computed, and on those from Gaussian weights.

    Args:
        rows: The table.
        draws: The times of each Gaussian initialization.
        slopes: The fitted slope of each k from 3 on.
        options: Options of the experiment.
        rng: Draws the weights that ways to follow the flow are compared at.
    """
    return [
        *(_slope_claim(k, slope) for k, slope in slopes.items()),
        *_bound_claim(rows),
        *_two_claim(rows),
        *solver_claims(options.k, rng),
        sign_claim(max(options.k)),
        *_gaussian_claims(rows, options.draws),
        *_wrong_signs_claim(draws),
    ]


def _slope_claim(k: int, slope: float) -> Claim:
    law = 1 - k / 2
    text = f"k={k}: log-log slope of 1 - T(.49)/T(0) against n'"
    # An upper bound, so that a steeper one would do as well.
    return Claim.at_most(
        Statement(f"slope-k{k}", text, "Theorem 7", _THEOREM, law),
        Estimate(slope, n=len(DENSE)),
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
    return [Claim.reported(statement, share_estimate(reached, len(wrong)))]
