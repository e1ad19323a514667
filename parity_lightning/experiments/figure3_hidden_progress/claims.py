"""What is claimed of weight movement and of the Fourier gap."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from parity_lightning.experiments.estimates import share_estimate
from parity_lightning.experiments.figure3_hidden_progress.rows import Measured
from parity_lightning.statistics.survival import quantile_of
from parity_lightning.studies.claims import Claim, Estimate, Statement

_PROGRESS = "Figure 3 shows how gradual weight movement (and thus, progress) can be hidden behind plateauing losses."
_AMPLIFIES = "instead, we show that SGD gradually amplifies a Fourier gap in the population gradient"


def make_claims(
    alarm_steps: dict[str, np.ndarray], learning: Measured, control: Measured, evaluated: np.ndarray
) -> list[Claim]:
    """The claims on who gives the alarm first, and on what has grown by then.

    Args:
        alarm_steps: By measure, the step of the alarm in each trial on a parity, of shape ``(trials,)``; infinite
            where it gives none.
        learning: The measures of networks on parities.
        control: Those of networks on random labels.
        evaluated: The steps of the evaluations, of shape ``(evaluations,)``.
    """
    accuracy, movement = alarm_steps["accuracy"], alarm_steps["movement"]
    leaves = np.isfinite(accuracy)
    both = leaves & np.isfinite(movement)
    leaves_at = np.searchsorted(evaluated, np.where(leaves, accuracy, evaluated[-1]))
    further = (learning.movement[np.arange(len(leaves)), leaves_at] / np.median(control.movement, 0)[leaves_at])[leaves]
    right = learning.accuracy == 1
    lead = Statement("lead-time", "lead time of the measure over accuracy, median in steps", "Section 5", _PROGRESS)
    moved = Statement(
        "moved-further",
        "when accuracy leaves chance, weights have moved further than on random labels, times",
        "Figure 3, right",
        _PROGRESS,
    )
    gap = Statement(
        "gap-grows",
        "the Fourier gap grows during training; when all labels are right it has, by",
        "extended version, C.3",
        _AMPLIFIES,
    )
    return [
        _first_claim(accuracy, movement),
        _median_above(lead, accuracy[both] - movement[both], 0.0),
        _median_above(moved, further, 1.0),
        _median_above(gap, _grown(learning.gap, right.any(1), right.argmax(1)), 0.0),
        _plateau_claim(_grown(learning.gap, leaves, leaves_at)),
    ]


def _first_claim(accuracy: np.ndarray, movement: np.ndarray) -> Claim:
    # A measure that never gives the alarm is not ahead.
    found = share_estimate(int((movement < accuracy).sum()), len(accuracy))
    text = "the measure grows while accuracy stands still: share of runs in which it gives the alarm first"
    return Claim.at_least(Statement("first-alarm", text, "Section 5", _PROGRESS, "most"), found, 0.5, strict=True)


def _grown(gap: np.ndarray, happens: np.ndarray, at: np.ndarray) -> np.ndarray:
    """By how much the gap has grown between the first evaluation and the one at which something happens.

    Args:
        gap: The gap of the first trials, of shape ``(gap_trials, evaluations)``.
        happens: Whether it happens in a trial, of shape ``(trials,)``.
        at: The number of the evaluation, of shape ``(trials,)``.

    Returns:
        The growth in each trial that has a gap and in which it happens.
    """
    own = np.flatnonzero(happens[: len(gap)])
    grown: np.ndarray = gap[own, at[own]] - gap[own, 0]
    return grown


def _median(values: np.ndarray) -> Estimate:
    return Estimate(*quantile_of(values, least=-np.inf), n=len(values)) if len(values) else Estimate("no run", n=0)


def _median_above(statement: Statement, values: np.ndarray, bound: float) -> Claim:
    """The claim that the median of the trials that have a value is above a bound."""
    counted = replace(statement, text=f"{statement.text} ({len(values)} runs)", paper=f"above {bound:g}")
    return Claim.at_least(counted, _median(values), bound, strict=True)


def _plateau_claim(grown: np.ndarray) -> Claim:
    text = f"when accuracy leaves chance the Fourier gap has grown by (the paper does not say) ({len(grown)} runs)"
    return Claim.reported(Statement("gap-on-plateau", text, paper="above 0"), _median(grown))
