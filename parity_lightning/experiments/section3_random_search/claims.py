"""What is claimed of the times of searches, and of SGD's."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from parity_lightning.experiments.recorded_times import Sample
from parity_lightning.experiments.section3_random_search.rows import LANGEVIN, Row
from parity_lightning.statistics import memoryless
from parity_lightning.studies.claims import Claim, Estimate, Statement

LEVEL = 0.01
"""The level of the tests of all claims of one kind together."""

TELLING, TELLING_SHARE, DETECTED_DEVIATION = 100, 0.9, 0.1
"""A test that rejects nothing supports a claim from so many trials on, with this share of them solved, and if it would
detect this deviation from the law."""

_FEW = 5
"""Of fewer solved trials nothing is claimed."""

_CAVEAT = f"{TELLING} trials and {TELLING_SHARE:.0%} of all solved, enough for the smallest p to be below the level"
_SECTION = "Section 3.2"
_GEOMETRIC = (
    "The success times of random exhaustive search would be distributed as Geom(1/C(n,k)), whose probability mass is "
    "highest at t = 0 and decreases monotonically with t."
)
_NO_EARLY = (
    'Over a large number of random trials, no copies of this randomized algorithm get "lucky" (i.e. solve the '
    "problem in significantly fewer than the median number of iterations)"
)
_FAR_FROM_SOLVED = (
    "under all standard architectures and initialization, the probability that a random network is Omega(1)-correlated "
    "with a sparse parity would be 2^-Omega(n)"
)


def is_telling(sample: Sample, level: float) -> bool:
    """Whether tests that refute nothing tell something: enough trials, most solved, and p can be below the level."""
    trials, solved = len(sample.times), np.isfinite(sample.times).sum()
    possible = 1 / (1 + memoryless.samples_for(trials, level)) < level
    return bool(solved >= max(TELLING, TELLING_SHARE * trials) and possible)


def make_claims(sample: Sample, level: float, row: Row, seed: int) -> list[Claim]:
    """The claims on the times of one search, or of SGD.

    Args:
        sample: The times.
        level: The level of each test.
        row: The p values of the tests.
        seed: Decides what is simulated.
    """
    if row.p_law is not None:
        return [_lawful(sample, level, row.p_law)]
    if sample.search == LANGEVIN:
        return [_forgetful(sample, level, row, seed)]
    return _late(sample, level, row, seed)


def _found(value: float | str, row: Row) -> Estimate:
    return Estimate(value, n=row.trials, censored=row.trials - row.solved)


def _key(sample: Sample) -> str:
    return f"{sample.search.replace(', ', '-').replace(' ', '-')}-n{sample.n}-k{sample.k}"


def _lawful(sample: Sample, level: float, p: float) -> Claim:
    law = "geometric" if "drawn" in sample.search else "uniform"
    detectable = memoryless.detectable_deviation(len(sample.times), level)
    text = (
        f"times of exhaustive search are {law} ({sample.search}, ({sample.n}, {sample.k})): p of so large a deviation, "
        f"where one above {detectable:.2g} would be detected"
    )
    statement = Statement(f"law-{_key(sample)}", text, _SECTION, _GEOMETRIC, f"{law}: p at least {level:.2g}")
    return Claim.not_rejected(
        statement,
        Estimate(p, n=len(sample.times)),
        level,
        conclusive=detectable <= DETECTED_DEVIATION,
        caveat=f"trials enough to detect a deviation of {DETECTED_DEVIATION}",
    )


def _forgetful(sample: Sample, level: float, row: Row, seed: int) -> Claim:
    """The claim that a search has no memory: no late start, and times neither too much alike nor too different."""
    text = f"a search over parameters is memoryless ({sample.search}, ({sample.n}, {sample.k}))"
    worst: float | str = f"{row.solved} solved: too few"
    if row.solved >= _FEW:
        draws = memoryless.samples_for(len(sample.times), level)
        spreads = memoryless.simulated_spreads(sample.times, sample.every, sample.limit, draws, seed)
        low, high = np.quantile(spreads, [level, 1 - level])
        text += f": smallest p of three, where a spread below {low:.2f} or above {high:.2f} would be detected"
        worst = min(row.p_early, row.p_narrow, row.p_wide)
    statement = Statement(f"memoryless-{_key(sample)}", text, _SECTION, paper=f"memoryless: p at least {level:.2g}")
    return Claim.not_rejected(
        statement, _found(worst, row), level, conclusive=is_telling(sample, level), caveat=_CAVEAT
    )


def _late(sample: Sample, level: float, row: Row, seed: int) -> list[Claim]:
    """The claims that no trial of SGD is early, and that its times are no geometric ones."""
    key, name = _key(sample), f"{sample.search}, ({sample.n}, {sample.k})"
    if row.solved < _FEW:
        statement = Statement(f"early-{key}", f"no early convergence ({name})", _SECTION, _NO_EARLY, "none early")
        return [Claim.reported(statement, _found(f"{row.solved} solved: too few", row))]
    times, every, trials = sample.times, sample.every, len(sample.times)
    rate = memoryless.rate_of(times, every, sample.limit)
    # Looks before the fastest trial's: none of them may have been a success.
    expected = trials * float(memoryless.geometric_law(rate)(times.min() / every - 1))
    text = (
        f"no early convergence ({name}): p of no success before step {times.min():,.0f}, where a geometric law of the "
        f"same mean has {expected:.0f} of {trials:,}"
    )
    telling, not_geometric = is_telling(sample, level), f"not geometric: p below {level:.2g}"
    narrow = f"the times are not geometric ({name}): p of so small a spread"
    claims = [
        Claim.rejected(
            Statement(f"early-{key}", text, _SECTION, _NO_EARLY, f"none early: p below {level:.2g}"),
            _found(row.p_early, row),
            level,
            conclusive=bool(times.min() < 0.1 * np.median(times)),
            caveat="a trial that took less than a tenth of the median",
        ),
        Claim.rejected(
            Statement(f"narrow-{key}", narrow, _SECTION, _GEOMETRIC, not_geometric),
            _found(row.p_narrow, row),
            level,
            conclusive=telling,
            caveat=_CAVEAT,
        ),
    ]
    if row.solved == trials and trials > 2:
        draws = memoryless.samples_for(trials, level)
        later = memoryless.dispersion_pvalue(memoryless.excess_over_fastest(times, every), every, math.inf, draws, seed)
        text = f"nor geometric from the fastest trial's step on ({name}): p of so small a spread"
        statement = Statement(f"narrow-later-{key}", text, paper=not_geometric)
        claims.append(Claim.rejected(statement, _found(later, row), level, conclusive=telling, caveat=_CAVEAT))
    return claims


def rarity_claims(moving: Sequence[Sample]) -> list[Claim]:
    """The claim on how rare networks of random parameters are that compute the parity, if several n were tried."""
    if len(moving) < 2:
        return []
    tries = [(sample.n, memoryless.rate_of(sample.times, 1, sample.limit)) for sample in moving]
    found = "; ".join(f"n={n}: 1 try in {1 / rate:,.0f}" if rate else f"n={n}: none" for n, rate in tries)
    text = "random initializations are close to a solution with probability 2^-Omega(n), far below n^-k"
    return [Claim.reported(Statement("rarity", text, _SECTION, _FAR_FROM_SOLVED, "2^-Omega(n)"), Estimate(found))]
