"""What is claimed of online SGD."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from parity_lightning.experiments.estimates import share_estimate
from parity_lightning.experiments.theorem8_online_polynet.options import Options
from parity_lightning.experiments.theorem8_online_polynet.rows import Row
from parity_lightning.experiments.theorem8_online_polynet.runs import NAMES, Runs, Setting, grouped, has_median
from parity_lightning.studies.claims import Claim, Estimate, Statement
from parity_lightning.theory.online_polynet import OnlineRun, Rates, drift_steps, theorem_steps

_RESAMPLES = 500
_FAR = (1_000, 10_000)
"""Block lengths between which the slope of the drift law is taken."""

_CUT_CAVEAT = "trials that were cut short before the theorem's T refute nothing"
_THEOREM = (
    "Then there exists an adaptive learning rate schedule such that for any epsilon > 0, with probability .99, the "
    "error falls below epsilon within O~((n')^(2k-1) log(1/epsilon)) steps."
)


def make_claims(runs: Runs, rows: Sequence[Row], options: Options) -> list[Claim]:
    """The claims on success, on the growth of steps, and on how weights move.

    Args:
        runs: What the trials of each setting did.
        rows: The table.
        options: Options of the experiment.
    """
    epsilon, delta = options.epsilon, options.delta
    claims = _right_claim(runs, epsilon)
    for rates in dict.fromkeys(setting.rates for setting, _ in runs):
        claims += _sign_claims(rates, [run for run in runs if run[0].rates == rates], epsilon, delta)
    for (rates, k), own in grouped(runs).items():
        claims += _slope_claim(rates, k, own, np.random.default_rng([options.seed, 1]))
        claims.append(_far_slope_claim(rates, k, epsilon, delta))
    return [*claims, *_law_claim(rows), _irrelevant_claim(runs)]


def _share(solved: np.ndarray) -> Estimate:
    return share_estimate(int(solved.sum()), len(solved), censored=True)


def _cut(unsolved: np.ndarray, setting: Setting, found: OnlineRun) -> bool:
    """Whether trials that were not solved were cut short before the theorem's T."""
    return bool(unsolved.any()) and found.taken < setting.theorem


def _right_claim(runs: Runs, epsilon: float) -> list[Claim]:
    solved = np.concatenate([found.errors[found.right] <= epsilon for _, found in runs])
    if not len(solved):
        return []
    cut = any(_cut(found.right & (found.errors > epsilon), setting, found) for setting, found in runs)
    text = "error epsilon within its T steps; from right signs, which all ones are but for symmetry"
    statement = Statement("right-signs", text, "Theorem 8", _THEOREM, 0.99)
    return [Claim.at_least(statement, _share(solved), 0.99, refutable=not cut, caveat=_CUT_CAVEAT)]


def _sign_claims(rates: Rates, own: Runs, epsilon: float, delta: float) -> list[Claim]:
    solved = np.concatenate([found.errors <= epsilon for _, found in own])
    wrong = ~np.concatenate([found.right for _, found in own])
    by, section = NAMES[rates], "extended Theorem 8"
    cut = any(_cut(found.errors > epsilon, setting, found) for setting, found in own)
    text = f"success over random signs, rates by {by} (at least (1 - delta) / 2)"
    statement = Statement(f"random-signs-{rates}", text, section, paper=0.5)
    claims = [Claim.at_least(statement, _share(solved), (1 - delta) / 2, refutable=not cut, caveat=_CUT_CAVEAT)]
    if wrong.any():
        text = f"success from wrong signs, of which it tells nothing, rates by {by}, {wrong.sum()} trials"
        claims.append(
            Claim.reported(Statement(f"wrong-signs-{rates}", text, section, paper="not told"), _share(solved[wrong]))
        )
    return claims


def _slope(lengths: Sequence[int], steps: Sequence[float]) -> float:
    return float(np.polyfit(np.log([3 * length - 2 for length in lengths]), np.log(steps), 1)[0])


def _slope_claim(rates: Rates, k: int, own: Runs, rng: np.random.Generator) -> list[Claim]:
    """The claim on the measured slope, whose interval is one of resampled trials."""
    known = [pair for pair in own if has_median(pair[1])]
    lengths = [setting.length for setting, _ in known]
    if len(set(lengths)) < 2:
        return []
    times = [found.steps[found.right] for _, found in known]
    slope = _slope(lengths, [float(np.median(each)) for each in times])
    resampled = []
    for _ in range(_RESAMPLES):
        medians = [float(np.median(rng.choice(each, len(each)))) for each in times]
        resampled.append(_slope(lengths, medians) if 0 < min(medians) <= max(medians) < math.inf else math.inf)
    low, high = (float(end) for end in np.quantile(resampled, [0.025, 0.975], method="nearest"))
    bound = _slope(lengths, [setting.theorem for setting, _ in known])
    text = f"k={k}, rates by {NAMES[rates]}: log-log slope of steps against 3n'-2 (T's own: {bound:.2f})"
    # A bound up to constants: what is steeper for a few short blocks may be less so for longer ones.
    return [
        Claim.at_most(
            Statement(f"slope-{rates}-k{k}", text, "Theorem 8", _THEOREM, f"at most {2 * k - 1} and logs"),
            Estimate(
                slope, low, high, n=sum(map(len, times)), censored=sum(int(np.isinf(each).sum()) for each in times)
            ),
            bound,
            refutable=False,
            caveat="a steeper slope of a few short blocks refutes no bound up to constants",
        )
    ]


def _far_slope_claim(rates: Rates, k: int, epsilon: float, delta: float) -> Claim:
    """The claim on the slope of the drift law for long blocks."""
    bounds = [theorem_steps(length, k, epsilon, delta) for length in _FAR]
    laws = [drift_steps(n, k, epsilon, delta, bound, rates) for n, bound in zip(_FAR, bounds, strict=True)]
    bound, law = _slope(_FAR, [float(steps) for steps in bounds]), _slope(_FAR, laws)
    text = (
        f"k={k}, rates by {NAMES[rates]}: slope by mean increments only, n' from {_FAR[0]:,} to {_FAR[1]:,} (T's own: "
        f"{bound:.2f})"
    )
    statement = Statement(f"drift-slope-{rates}-k{k}", text, "Theorem 8", _THEOREM, f"at most {2 * k - 1} and logs")
    return Claim.at_most(statement, Estimate(law), bound + 0.02, tolerance=0.02)


def _law_claim(rows: Sequence[Row]) -> list[Claim]:
    ratios = [row.steps / row.drift_steps for row in rows if row.steps and row.drift_steps]
    if not ratios:
        return []
    worst = max(ratios, key=lambda ratio: abs(math.log(ratio)))
    text = "relevant weights move as by their mean increments; median steps over those, furthest from 1"
    statement = Statement("mean-increments", text, "proof of Theorem 8", paper=1.0)
    return [Claim.within(statement, Estimate(worst, n=len(ratios)), 0.8, 1.25)]


def _irrelevant_claim(runs: Runs) -> Claim:
    moved = [float(found.irrelevant_moved[found.right].max()) for _, found in runs if found.right.any()]
    text = "irrelevant weights move by 1/2 at most; from right signs"
    statement = Statement("irrelevant-weights", text, "proof of Theorem 8", paper="at most 0.5")
    return Claim.at_most(statement, Estimate(max(moved, default=0.0), n=len(moved)), 0.5)
