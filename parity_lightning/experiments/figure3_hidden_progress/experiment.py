"""Trains networks on parities and on random labels, and finds the step at which each measure gives the alarm."""

from __future__ import annotations

from functools import partial

import numpy as np
import torch
from torch import Tensor, nn
from torch.func import functional_call

from parity_lightning.data.parity_stack import stack_parities
from parity_lightning.data.sparse_parity import SparseParity
from parity_lightning.errors import SettingError
from parity_lightning.experiments.figure3_hidden_progress.claims import make_claims
from parity_lightning.experiments.figure3_hidden_progress.options import Options
from parity_lightning.experiments.figure3_hidden_progress.picture import draw_picture
from parity_lightning.experiments.figure3_hidden_progress.rows import Alarms, Measured, Point, Row
from parity_lightning.experiments.findings import Findings
from parity_lightning.experiments.relu_networks import draw_networks
from parity_lightning.experiments.training import LOSS, stack_networks, train_online
from parity_lightning.measures.accuracy import is_error
from parity_lightning.measures.coefficients import all_inputs
from parity_lightning.measures.fourier_gap import correlation_gradient, fourier_gap
from parity_lightning.statistics.alarms import calibrate
from parity_lightning.statistics.survival import quantile_of, share_of

_FIRST_LAYER = "network.hidden.weight"
_EVALUATED_ON = 2048
_MEASURES = ("accuracy", "movement")
"""The measures that give alarms."""


def run(options: Options) -> Findings:
    """Trains ReLU networks on parities and on random labels, and asks which measure tells them apart first.

    Raises:
        SettingError: If training diverges.
    """
    trials = options.trials
    learning = _measure(options, first=0, label_noise=0.0)
    # Labels that are flipped half the time are random.
    calibration = _measure(options, first=trials, label_noise=0.5, with_gap=False)
    control = _measure(options, first=2 * trials, label_noise=0.5)
    evaluated = np.arange(1, learning.accuracy.shape[1] + 1) * options.every
    alarm_steps, rows = {}, []
    for name in _MEASURES:
        alarm = calibrate(getattr(calibration, name), options.false_alarms)
        alarm_steps[name] = _steps_of(alarm.first(getattr(learning, name)), evaluated)
        false_alarm_steps = alarm.first(getattr(control, name))
        rows.append(_row(name, alarm_steps[name], false_alarm_steps, alarm.expected))
    choices = [
        f"(n, k) = ({options.n}, {options.k}), width {options.width}, B={options.batch_size}, eta={options.lr}, "
        f"{LOSS} loss, Xavier uniform initialization",
        f"accuracy on {_EVALUATED_ON:,} held-out examples; thresholds: what {options.false_alarms:.1%} of {trials} "
        "runs on random labels exceed at any time",
    ]
    alarms = [Alarms(trial, *(float(alarm_steps[name][trial]) for name in _MEASURES)) for trial in range(trials)]
    curves = [
        Point(labels, int(step), *(measure[0, place] for measure in own))
        for labels, own in (("parity", learning), ("random", control))
        for place, step in enumerate(evaluated)
    ]
    title = f"({options.n}, {options.k})-parity, {trials} networks each"
    return Findings(
        rows,
        make_claims(alarm_steps, learning, control, evaluated),
        partial(draw_picture, evaluated, learning, control, alarm_steps, title),
        choices,
        {"alarms": alarms, "curves": curves},
        size=(11, 7.5),
    )


def _measure(options: Options, first: int, label_noise: float, with_gap: bool = True) -> Measured:
    """Trains networks whose seeds begin at ``seed + first``, and measures them every ``every`` steps."""
    n, k, seed = options.n, options.k, options.seed + first
    parities = [SparseParity(n, k, seed=seed + trial, label_noise=label_noise) for trial in range(options.trials)]
    networks = draw_networks(n, k, options.width, options.trials, seed)
    stack = stack_networks(networks, parities, options.batch_size, options.lr)
    x, y = stack_parities(parities).draw(torch.arange(_EVALUATED_ON), n, "validation", noisy=False)
    inputs = all_inputs(n)
    initial = stack.weights[_FIRST_LAYER].clone()
    kept: dict[str, list[Tensor]] = {name: [] for name in Measured._fields}
    for step in range(0, options.steps, options.every):
        train_online(stack, options.every, options.batch_size, first=step * options.batch_size)
        kept["accuracy"].append((~is_error(stack.predict(x), y)).float().mean(-1))
        kept["movement"].append((stack.weights[_FIRST_LAYER] - initial).abs().amax((1, 2)))
        measured = range(options.gap_trials if with_gap else 0)
        gaps = [_gap(networks[0], stack.weights, trial, parities[trial], inputs) for trial in measured]
        kept["gap"].append(torch.tensor(gaps))
    found = Measured(*(torch.stack(kept[name], 1).numpy() for name in Measured._fields))
    if not np.isfinite(found.movement).all():
        raise SettingError("lr", options.lr, "makes training diverge; give a smaller one")
    return found


def _gap(network: nn.Module, weights: dict[str, Tensor], trial: int, parity: SparseParity, inputs: Tensor) -> float:
    """The Fourier gap of the exact population gradient of one trial of a stack with these weights."""
    own = {name.removeprefix("network."): weight[trial].detach().requires_grad_() for name, weight in weights.items()}

    def predict(x: Tensor) -> Tensor:
        output: Tensor = functional_call(network, own, (x,))
        return output

    y = inputs[:, list(parity.support)].prod(-1)
    gradient = correlation_gradient(predict, own[_FIRST_LAYER.removeprefix("network.")], inputs, y)
    return fourier_gap(gradient, parity.support).gap


def _steps_of(evaluations: np.ndarray, evaluated: np.ndarray) -> np.ndarray:
    """The steps at which evaluations by their number are made; infinite for those that never come."""
    comes = np.isfinite(evaluations)
    return np.where(comes, evaluated[np.where(comes, evaluations, 0).astype(int)], np.inf)


def _row(name: str, alarm_steps: np.ndarray, false_alarm_steps: np.ndarray, expected: float) -> Row:
    alarms, false = (share_of(int(np.isfinite(each).sum()), len(each)) for each in (alarm_steps, false_alarm_steps))
    return Row(name, *alarms, round(expected, 4), *false, *quantile_of(alarm_steps))
