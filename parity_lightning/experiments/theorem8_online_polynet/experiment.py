"""Trains disjoint-PolyNets, an example a step."""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import partial

from parity_lightning.experiments.estimates import finite
from parity_lightning.experiments.findings import Findings
from parity_lightning.experiments.theorem8_online_polynet.claims import make_claims
from parity_lightning.experiments.theorem8_online_polynet.options import Options
from parity_lightning.experiments.theorem8_online_polynet.picture import draw_picture
from parity_lightning.experiments.theorem8_online_polynet.rows import Row, Trial
from parity_lightning.experiments.theorem8_online_polynet.runs import Setting, grouped, settings_of, train
from parity_lightning.statistics.survival import Quantile, quantile_of
from parity_lightning.theory.online_polynet import OnlineRun, drift_steps


def run(options: Options) -> Findings:
    """Trains from random signs, an example a step, and tells when the exact error falls to epsilon."""
    epsilon, delta = options.epsilon, options.delta
    runs = [(setting, train(setting, options)) for setting in settings_of(options)]
    rows = [_row(setting, found, epsilon, delta) for setting, found in runs]
    choices = [
        "learning rate of factor i: c / (sqrt(T) prod of d_l over l != i), c = (8 log(2nT/delta))^(-1/2); d_l is",
        'for "oracle" (3n\'-2) max(|v_l|, 1/2), v_l the relevant weight (the proof reconstructed), T as proven;',
        f'for "norm" ||w_l||_1, which needs no oracle, T {options.horizon:g}^(k-1) times the theorem\'s',
        f"epsilon {epsilon:g}, delta {delta:g}; exact error over all inputs, looked at 400 times in a run",
        "steps in the table: of trials from right signs, those whose relevant weights have a positive product",
    ]
    trials = [trial for pair in runs for trial in _trials(*pair)]
    draw = partial(draw_picture, grouped(runs), epsilon, delta)
    return Findings(rows, make_claims(runs, rows, options), draw, choices, {"trials": trials})


def _row(setting: Setting, found: OnlineRun, epsilon: float, delta: float) -> Row:
    median = quantile_of(found.steps[found.right]) if found.right.any() else Quantile(math.inf, 0.0, math.inf)
    solved = found.errors <= epsilon
    return Row(
        setting.rates,
        setting.k,
        setting.length,
        setting.theorem,
        found.taken,
        f"{(solved & found.right).sum()} of {found.right.sum()}",
        f"{(solved & ~found.right).sum()} of {(~found.right).sum()}",
        finite(median.value),
        median.low if math.isfinite(median.value) else None,
        finite(median.high),
        drift_steps(setting.length, setting.k, epsilon, delta, setting.horizon, setting.rates),
    )


def _trials(setting: Setting, found: OnlineRun) -> Iterator[Trial]:
    columns = zip(
        found.right.tolist(), found.steps.tolist(), found.errors.tolist(), found.irrelevant_moved.tolist(), strict=True
    )
    for trial, (right, steps, error, moved) in enumerate(columns):
        yield Trial(*setting, trial, right, finite(steps), found.taken, error, moved)
