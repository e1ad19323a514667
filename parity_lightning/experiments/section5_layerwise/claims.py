"""What is claimed of end-to-end training and of greedy layers."""

from __future__ import annotations

import math
from collections.abc import Sequence

from scipy import stats

from parity_lightning.experiments.estimates import share_estimate
from parity_lightning.experiments.section5_layerwise.rows import WHOLE, Row
from parity_lightning.statistics.survival import Share, share_of
from parity_lightning.studies.claims import Claim, Estimate, Statement

_ZERO = 1e-12
"""A gradient that is no larger is zero but for rounding."""

_SECTION, _APPENDIX = "Section 5", "Appendix C.7"
_COUNTEREXAMPLE = (
    'a simple counterexample to the "deep only works if shallow is good" principle of (48), demonstrating a case where '
    "a deep network can get near-perfect accuracy even when greedy layerwise training (e.g. (13)) cannot beat trivial "
    "performance"
)


def make_claims(rows: Sequence[Row], trials: int, enough: dict[int, bool]) -> list[Claim]:
    """The claims on each depth.

    Args:
        rows: The table; the whole networks of a depth come before its layers.
        trials: How many trials each row has.
        enough: By depth, whether whole networks had as many steps as in the paper.
    """
    claims: list[Claim] = []
    level = 1 - 0.05 / len(enough)
    whole: dict[int, Estimate] = {}
    for row in rows:
        solved = round(row.solved * trials)
        found = share_estimate(solved, trials, level, censored=True)
        if row.trained == WHOLE and row.k <= 2 ** (row.depth - 1):
            whole[row.depth] = found
            claims.append(_reaches(row, found, enough[row.depth], share_of(10, 10, level)))
        elif row.trained == WHOLE:
            claims.append(_never_reaches(row, found, enough[row.depth]))
        else:
            claims.append(_zero_gradient(row, trials))
            if row.is_last_layer:
                claims.append(_greedy_below_whole(row, found, whole[row.depth], enough[row.depth]))
                claims.append(_trivial(row, trials, level))
    return claims


def _task_of(row: Row) -> tuple[str, str]:
    """An id and a text that say which depth and k."""
    return f"L{row.depth}-k{row.k}", f"L={row.depth}, k={row.k}"


def _reaches(row: Row, found: Estimate, enough: bool, papers: Share) -> Claim:
    key, task = _task_of(row)
    text = f"end-to-end training reaches 100 %, {task}"
    # Less than all contradicts the paper's 10 of 10 where no share could have led to both.
    return Claim.decided(
        Statement(f"end-to-end-{key}", text, _APPENDIX, _COUNTEREXAMPLE, "10 of 10"),
        found,
        "holds if all trials reach it; does not hold if, after the paper's number of steps, the interval lies below "
        f"that of 10 of 10, which is {papers.low:.3g} to 1",
        supported=found.value == 1,
        refuted=enough and found.ends[1] < papers.low,
    )


def _never_reaches(row: Row, found: Estimate, enough: bool) -> Claim:
    key, task = _task_of(row)
    text = f"end-to-end training never reaches 100 %, {task}"
    return Claim.decided(
        Statement(f"control-{key}", text, _APPENDIX, paper="none, for k > 2^(L-1)"),
        found,
        "holds if no trial reaches it in the paper's number of steps; does not hold if one does",
        supported=enough,
        refuted=bool(found.value),
    )


def _zero_gradient(row: Row, trials: int) -> Claim:
    key, task = _task_of(row)
    text = f"alone, hidden layer {row.layer} has a population gradient of zero, {task}"
    statement = Statement(f"gradient-{key}-layer{row.layer}", text, _APPENDIX, paper=0.0)
    found = Estimate("all diverged" if row.gradient is None else row.gradient, n=trials)
    # How the paper trains the last hidden layer is not known, and with untrained layers below it learns a little.
    return (
        Claim.reported(statement, found)
        if row.is_last_layer
        else Claim.at_most(statement, found, _ZERO, tolerance=_ZERO)
    )


def _greedy_below_whole(row: Row, found: Estimate, whole: Estimate, enough: bool) -> Claim:
    key, task = _task_of(row)
    text = f"greedy layers do not reach what the whole network does, {task} (share solved)"
    low, high = found.ends
    share, whole_share = found.value, whole.value
    assert isinstance(share, float)
    assert isinstance(whole_share, float)
    return Claim.decided(
        Statement(f"greedy-{key}", text, _SECTION, _COUNTEREXAMPLE, 0.0),
        found,
        "holds if the interval lies below that of whole networks; does not hold if, after the paper's number of steps, "
        "some are solved, and no fewer than of whole networks",
        supported=high < whole.ends[0],
        refuted=enough and low > 0 and share >= whole_share,
    )


def _trivial(row: Row, trials: int, level: float) -> Claim:
    """The claim on the mean accuracy of the trials that did not diverge, by Student's t."""
    key, task = _task_of(row)
    kept = trials - row.diverged
    text = f"greedy layers cannot beat trivial accuracy, {task} (mean of trials)"
    statement = Statement(f"trivial-{key}", text, _SECTION, _COUNTEREXAMPLE, 0.5)
    found, reach = Estimate(math.nan, n=kept, censored=row.diverged), 0.0
    if row.mean is not None and row.error is not None:
        reach = float(stats.t.ppf((1 + level) / 2, kept - 1)) * row.error
        found = found._replace(value=row.mean, low=row.mean - reach, high=row.mean + reach)
    claim = Claim.at_most(
        statement,
        found,
        0.5,
        support="not refuted",
        refutable=reach > 0,
        caveat="trials that agree to the last input have no spread to judge a difference by",
    )
    if row.error is None:
        # One trial has a mean and no interval, none has neither.
        shown = "all diverged" if row.mean is None else row.mean
        return Claim(statement, claim.rule, found._replace(value=shown), claim.verdict)
    return claim
