"""What is claimed of solvers that are no gradient descent."""

from __future__ import annotations

import math
from collections.abc import Sequence

from scipy import stats

from parity_lightning.experiments.estimates import share_estimate
from parity_lightning.experiments.section2_solvers.rows import Row
from parity_lightning.experiments.section2_solvers.solving import BEST_SET, ELIMINATION, GOAL
from parity_lightning.studies.claims import Claim, Estimate, Statement
from parity_lightning.theory.solver_laws import elimination_law

TELLING_TRIALS = 100
"""From how many trials on a law that is not refuted counts as one that holds."""

_LEVEL = 0.01
"""The level of the test of the closed form."""


def make_claims(rows: Sequence[Row], k: int, trials: int) -> list[Claim]:
    """The claims on both solvers.

    Args:
        rows: The table.
        k: Size of the support.
        trials: How many trials each success rate is measured on.
    """
    elimination = [row for row in rows if row.solver == ELIMINATION.name]
    best = [row for row in rows if row.solver == BEST_SET.name]
    claims = []
    if exact := [row for row in elimination if row.noise == 0]:
        claims.append(_linear_samples(exact, trials))
    claims.append(_elimination_by_law(elimination, trials))
    if noisy := [row for row in elimination if row.enough is None]:
        claims.append(_broken_by_noise(noisy, trials))
    if clean := [row for row in best if row.noise == 0]:
        claims.append(_information_bound(clean, k, trials))
    return [*claims, _union_bound(best, trials), _queries(rows, k)]


def _estimate(value: float, trials: int, rates: int) -> Estimate:
    """A success rate with its interval, one of so many that cover all rates together (Bonferroni)."""
    return share_estimate(round(value * trials), trials, 1 - 0.05 / rates)


def _linear_samples(exact: Sequence[Row], trials: int) -> Claim:
    refuted = any(_estimate(row.success, trials, len(exact)).ends[1] < GOAL for row in exact)
    statement = Statement(
        "elimination-samples",
        f"elimination needs O(n) samples without noise: samples - n for {GOAL:.0%}",
        "Section 2",
        "While learning noiseless parities can be solved by Gaussian elimination using O(n) samples",
        "O(n)",
    )
    rule = (
        f"holds from {TELLING_TRIALS} trials on if no success rate is refuted to be {GOAL}; does not hold if the "
        f"interval of one lies below"
    )
    spare = Estimate(max(row.samples - row.n for row in exact), n=trials)
    return Claim.decided(statement, spare, rule, supported=trials >= TELLING_TRIALS, refuted=refuted)


def _elimination_by_law(elimination: Sequence[Row], trials: int) -> Claim:
    p_values = []
    for row in elimination:
        law = elimination_law(row.samples, row.n, row.noise)
        p_values.append(float(stats.binomtest(round(row.success * trials), trials, law).pvalue))
    statement = Statement(
        "elimination-law",
        "elimination succeeds as often as n samples are independent, all labels right: smallest p of "
        f"{len(p_values)}, times their number",
        paper=f"at least {_LEVEL}",
    )
    p = Estimate(min(1.0, min(p_values) * len(p_values)), n=trials)
    conclusive, caveat = trials >= TELLING_TRIALS, f"{TELLING_TRIALS} trials or more"
    return Claim.not_rejected(statement, p, _LEVEL, conclusive=conclusive, caveat=caveat)


def _broken_by_noise(noisy: Sequence[Row], trials: int) -> Claim:
    most = max(noisy, key=lambda row: row.success)
    statement = Statement(
        f"elimination-noise-{most.noise:g}",
        f"noise of {most.noise:g} breaks elimination, however many samples: its best success rate",
        "Section 2",
        "learning sparse noisy parities, even at a very small noise level (i.e., o(1) or n^-delta) is believed to "
        "inherently require n^Omega(k) computational steps and samples",
        f"below {GOAL}",
    )
    return Claim.at_most(statement, _estimate(most.success, trials, len(noisy)), GOAL, strict=True)


def _information_bound(clean: Sequence[Row], k: int, trials: int) -> Claim:
    bits = [math.log2(math.comb(row.n, k)) for row in clean]
    ratios = [row.samples / one for row, one in zip(clean, bits, strict=True)]
    there = [_rate_at_enough(row, trials, len(clean)) for row in clean]
    # With fewer samples than bits there are fewer labels than supports, so not all supports can be told apart.
    found = [max(_estimate(row.success, trials, len(clean)).ends[0], 1e-9) for row in clean]
    impossible = any(row.samples < one + math.log2(least) for row, one, least in zip(clean, bits, found, strict=True))
    possible = all(row.samples >= one + math.log2(GOAL) for row, one in zip(clean, bits, strict=True))
    return Claim.decided(
        Statement(
            "information-bound",
            "Theta(log C(n,k)) samples are enough in principle: samples / log2 C(n,k), without noise",
            "Section 2",
            "Statistically, it is possible to do so using Theta(log C(n,k)) ~ k log n samples",
            "at least 1, and bounded",
        ),
        Estimate(f"{min(ratios):.2f} to {max(ratios):.2f}", n=trials),
        f"holds if success at enough is at least {GOAL} by its whole interval and samples are as many as bits; does "
        f"not hold if success is below {GOAL} by its whole interval, or larger than so few samples allow",
        supported=possible and all(each.ends[0] >= GOAL for each in there),
        refuted=impossible or any(each.ends[1] < GOAL for each in there),
    )


def _rate_at_enough(row: Row, trials: int, rates: int) -> Estimate:
    assert row.success_at_enough is not None
    return _estimate(row.success_at_enough, trials, rates)


def _union_bound(best: Sequence[Row], trials: int) -> Claim:
    least = min((_rate_at_enough(row, trials, len(best)) for row in best), key=lambda each: each.value)
    statement = Statement(
        "union-bound",
        "the best set succeeds from the samples of a union bound, with noise ~ 4 ln C(n,k) / (1-2 noise)^2: least rate",
        paper=f"at least {GOAL}",
    )
    return Claim.at_least(statement, least, GOAL)


def _queries(rows: Sequence[Row], k: int) -> Claim:
    tried = ", ".join(f"n={n}: {math.comb(n, k):,}" for n in sorted({row.n for row in rows}))
    statement = Statement(
        "statistical-queries",
        "statistical queries, so SGD too, need Omega(n^k) of them; both solvers here read single examples",
        "Section 2",
        "in the statistical query (SQ) model, (which has been shown to encapsulate gradient-based methods such as GD "
        "or SGD), this task requires Omega(n^k) queries",
        "Omega(n^k)",
    )
    return Claim.reported(statement, Estimate(f"sets of k tried: {tried}"))
