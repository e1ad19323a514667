"""Hidden progress: weight movement and the Fourier gap along SGD, on a parity and on random labels (Figure 3)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import Annotated, NamedTuple

import numpy as np
import torch
from matplotlib.figure import Figure
from torch import Tensor, nn
from torch.func import functional_call

from parity_lightning.data.parity_stack import stack_parities
from parity_lightning.data.sparse_parity import SparseParity
from parity_lightning.display.style import BLACK, BLUE, GRAY, GREEN, VERMILION, legend
from parity_lightning.errors import SettingError
from parity_lightning.experiments.findings import Findings
from parity_lightning.experiments.options import BoundedOptions, Bounds, Count, Seed
from parity_lightning.experiments.relu_networks import LOSS, draw_networks, stack_networks
from parity_lightning.experiments.training import train_online
from parity_lightning.measures.accuracy import is_error
from parity_lightning.measures.coefficients import all_inputs
from parity_lightning.measures.fourier_gap import correlation_gradient, fourier_gap
from parity_lightning.statistics.alarms import calibrate
from parity_lightning.statistics.survival import quantile_of, share_of
from parity_lightning.studies.claims import Claim, Estimate, Statement

_FIRST_LAYER = "network.hidden.weight"
_EVALUATED_ON = 2048
_MEASURES = ("accuracy", "movement")
"""What gives alarms."""

_PROGRESS = "Figure 3 shows how gradual weight movement (and thus, progress) can be hidden behind plateauing losses."
_AMPLIFIES = "instead, we show that SGD gradually amplifies a Fourier gap in the population gradient"


@dataclass(frozen=True)
class Options(BoundedOptions):
    """Options of the experiment.

    Attributes:
        n: How many inputs, at most 20: the population gradient is summed over all 2^n.
        k: The size of the support.
        width: Hidden units.
        batch_size: Fresh examples a step.
        lr: The learning rate.
        steps: SGD steps.
        every: After how many steps to measure.
        trials: How many networks to train on parities; as many on random labels to set thresholds, and as many again to
            count false alarms.
        gap_trials: For how many of them to measure the Fourier gap of the gradient.
        false_alarms: The share of trials on random labels that each measure may give an alarm in.
        seed: From which seed.
    """

    n: Annotated[int, Bounds(at_least=2, at_most=20)] = 15
    k: Count = 4
    width: Count = 100
    batch_size: Count = 32
    lr: Annotated[float, Bounds(above=0, below=float("inf"))] = 0.1
    steps: Count = 1000
    every: Count = 10
    trials: Annotated[int, Bounds(at_least=10)] = 100
    gap_trials: Count = 10
    false_alarms: Annotated[float, Bounds(above=0, below=1)] = 0.01
    seed: Seed = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        for option, value, most in (
            ("k", self.k, self.n),
            ("gap_trials", self.gap_trials, self.trials),
            ("every", self.every, self.steps),
        ):
            if value > most:
                raise SettingError(option, value, f"must be at most {most:,}")
        if self.steps % self.every:
            raise SettingError("every", self.every, f"must divide steps={self.steps}")
        if self.false_alarms < 1 / (self.trials + 1):
            hint = f"must be at least 1/(trials+1) = {1 / (self.trials + 1):.3g}, below 1"
            raise SettingError("false_alarms", self.false_alarms, hint)


class _Measured(NamedTuple):
    """Measures of shape ``(trials, evaluations)``, the first evaluation after ``every`` steps.

    Attributes:
        accuracy: On held-out examples with their true labels.
        movement: The paper's measure, ``||w_t - w_0||_inf`` of the first layer.
        gap: The Fourier gap of the exact population gradient, see `fourier_gap`, of the first few trials.
    """

    accuracy: np.ndarray
    movement: np.ndarray
    gap: np.ndarray


class Row(NamedTuple):
    """The alarms of a measure.

    Attributes:
        measure: Validation accuracy, or weight movement.
        alarms: The share of trials on parities in which it gives the alarm.
        alarms_low: The lower end of its 95 % interval.
        alarms_high: Its upper end.
        expected: How probable a false alarm is by the threshold's rank.
        false_alarms: The share of fresh trials on random labels in which it gives the alarm.
        false_low: The lower end of its 95 % interval.
        false_high: Its upper end.
        step: The median step of the alarm, infinite if most trials have none.
        step_low: The lower end of its 95 % interval.
        step_high: Its upper end.
    """

    measure: str
    alarms: float
    alarms_low: float
    alarms_high: float
    expected: float
    false_alarms: float
    false_low: float
    false_high: float
    step: float
    step_low: float
    step_high: float


class Alarms(NamedTuple):
    """The steps at which a trial gives its alarms, infinite if it gives none."""

    trial: int
    accuracy_alarm: float
    movement_alarm: float


class Point(NamedTuple):
    """The measures of the first network on parities and of the first on random labels."""

    labels: str
    step: int
    accuracy: float
    movement: float
    gap: float


def run(options: Options) -> Findings:
    """Trains ReLU networks on parities and on random labels, and asks which measure tells them apart first."""
    trials = options.trials
    learning = _measure(options, first=0, label_noise=0.0)
    # Labels that are flipped half the time are random.
    calibration = _measure(options, first=trials, label_noise=0.5, with_gap=False)
    control = _measure(options, first=2 * trials, label_noise=0.5)
    evaluated = np.arange(1, learning.accuracy.shape[1] + 1) * options.every
    dates, rows = {}, []
    for name in _MEASURES:
        alarm = calibrate(getattr(calibration, name), options.false_alarms)
        dates[name] = _steps_of(alarm.first(getattr(learning, name)), evaluated)
        false_dates = alarm.first(getattr(control, name))
        rows.append(_row(name, dates[name], false_dates, alarm.expected))
    choices = [
        f"(n, k) = ({options.n}, {options.k}), width {options.width}, B={options.batch_size}, eta={options.lr}, "
        f"{LOSS} loss, Xavier uniform initialization",
        f"accuracy on {_EVALUATED_ON:,} held-out examples; thresholds: what {options.false_alarms:.1%} of {trials} "
        "runs on random labels exceed at any time",
    ]
    alarms = [Alarms(trial, *(float(dates[name][trial]) for name in _MEASURES)) for trial in range(trials)]
    curves = [
        Point(labels, int(step), *(measure[0, place] for measure in own))
        for labels, own in (("parity", learning), ("random", control))
        for place, step in enumerate(evaluated)
    ]
    title = f"({options.n}, {options.k})-parity, {trials} networks each"
    return Findings(
        rows,
        _claims(dates, learning, control, evaluated),
        partial(_draw, evaluated, learning, control, dates, title),
        choices,
        {"alarms": alarms, "curves": curves},
        size=(11, 7.5),
    )


def _measure(options: Options, first: int, label_noise: float, with_gap: bool = True) -> _Measured:
    """Trains networks whose seeds begin at ``first``, and measures them every so many steps."""
    n, k, seed = options.n, options.k, options.seed + first
    parities = [SparseParity(n, k, seed=seed + trial, label_noise=label_noise) for trial in range(options.trials)]
    networks = draw_networks(n, k, options.width, options.trials, seed)
    stack = stack_networks(networks, parities, options.batch_size, options.lr)
    x, y = stack_parities(parities).draw(torch.arange(_EVALUATED_ON), n, "validation", noisy=False)
    inputs = all_inputs(n)
    initial = stack.weights[_FIRST_LAYER].clone()
    kept: dict[str, list[Tensor]] = {name: [] for name in _Measured._fields}
    for step in range(0, options.steps, options.every):
        train_online(stack, options.every, options.batch_size, first=step * options.batch_size)
        kept["accuracy"].append((~is_error(stack.predict(x), y)).float().mean(-1))
        kept["movement"].append((stack.weights[_FIRST_LAYER] - initial).abs().amax((1, 2)))
        measured = range(options.gap_trials if with_gap else 0)
        gaps = [_gap(networks[0], stack.weights, trial, parities[trial], inputs) for trial in measured]
        kept["gap"].append(torch.tensor(gaps))
    found = _Measured(*(torch.stack(kept[name], 1).numpy() for name in _Measured._fields))
    if not np.isfinite(found.movement).all():
        raise SettingError("lr", options.lr, "makes training diverge; give a smaller one")
    return found


def _gap(network: nn.Module, weights: dict[str, Tensor], trial: int, parity: SparseParity, inputs: Tensor) -> float:
    own = {name.removeprefix("network."): weight[trial].detach().requires_grad_() for name, weight in weights.items()}

    def predict(x: Tensor) -> Tensor:
        output: Tensor = functional_call(network, own, (x,))
        return output

    y = inputs[:, list(parity.support)].prod(-1)
    gradient = correlation_gradient(predict, own[_FIRST_LAYER.removeprefix("network.")], inputs, y)
    return fourier_gap(gradient, parity.support).gap


def _steps_of(evaluations: np.ndarray, evaluated: np.ndarray) -> np.ndarray:
    """The steps of evaluations, some of which never come."""
    comes = np.isfinite(evaluations)
    return np.where(comes, evaluated[np.where(comes, evaluations, 0).astype(int)], np.inf)


def _row(name: str, dates: np.ndarray, false_dates: np.ndarray, expected: float) -> Row:
    alarms, false = (share_of(int(np.isfinite(each).sum()), len(each)) for each in (dates, false_dates))
    return Row(name, *alarms, round(expected, 4), *false, *quantile_of(dates))


def _claims(
    dates: dict[str, np.ndarray], learning: _Measured, control: _Measured, evaluated: np.ndarray
) -> list[Claim]:
    accuracy, movement = dates["accuracy"], dates["movement"]
    leaves = np.isfinite(accuracy)
    both = leaves & np.isfinite(movement)
    leaves_at = np.searchsorted(evaluated, np.where(leaves, accuracy, evaluated[-1]))
    further = (learning.movement[np.arange(len(leaves)), leaves_at] / np.median(control.movement, 0)[leaves_at])[leaves]
    right = learning.accuracy == 1
    lead = Statement(
        "lead-time",
        "lead time of the measure over accuracy, median in steps",
        "Section 5",
        _PROGRESS,
    )
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
    trials = len(accuracy)
    found = Estimate(*share_of(int((movement < accuracy).sum()), trials), n=trials)
    text = "the measure grows while accuracy stands still: share of runs in which it gives the alarm first"
    return Claim.at_least(Statement("first-alarm", text, "Section 5", _PROGRESS, "most"), found, 0.5, strict=True)


def _grown(gap: np.ndarray, happens: np.ndarray, at: np.ndarray) -> np.ndarray:
    """By how much the gap has grown since the first evaluation when something happens, of trials that have a gap."""
    own = np.flatnonzero(happens[: len(gap)])
    grown: np.ndarray = gap[own, at[own]] - gap[own, 0]
    return grown


def _median(values: np.ndarray) -> Estimate:
    return Estimate(*quantile_of(values, least=-np.inf), n=len(values)) if len(values) else Estimate("no run", n=0)


def _median_above(statement: Statement, values: np.ndarray, bound: float) -> Claim:
    """The claim that a median is above a bound, as far as the trials that have it can tell."""
    counted = replace(statement, text=f"{statement.text} ({len(values)} runs)", paper=f"above {bound:g}")
    return Claim.at_least(counted, _median(values), bound, strict=True)


def _plateau_claim(grown: np.ndarray) -> Claim:
    text = f"when accuracy leaves chance the Fourier gap has grown by (the paper does not say) ({len(grown)} runs)"
    return Claim.reported(Statement("gap-on-plateau", text, paper="above 0"), _median(grown))


def _draw(
    evaluated: np.ndarray,
    learning: _Measured,
    control: _Measured,
    dates: dict[str, np.ndarray],
    title: str,
    figure: Figure,
) -> None:
    figure.suptitle(f"Hidden progress: {title}")
    grid = figure.add_gridspec(3, 2, width_ratios=[3, 2])
    titles = {
        "accuracy": "What one sees: validation accuracy",
        "movement": r"What is hidden: $\|w_t - w_0\|_\infty$",
        "gap": "... and the largest Fourier gap of a unit",
    }
    panels = [figure.add_subplot(grid[number, 0]) for number in range(3)]
    for axes, (name, what) in zip(panels, titles.items(), strict=True):
        axes.sharex(panels[0])
        for own, label, color in ((control, "random labels", GRAY), (learning, "parity", VERMILION)):
            values = getattr(own, name)
            axes.plot(evaluated, values[1:20].T, color=color, linewidth=0.4, alpha=0.4)
            axes.plot(evaluated, values[0], color=color, linewidth=2, label=label)
        axes.set_title(what)
    legend(panels[0])
    panels[2].axhline(0, color=GRAY, linewidth=1, linestyle=":")
    panels[2].set_xlabel("SGD steps (one run thick, others thin)")
    first = figure.add_subplot(grid[:2, 1])
    bins = [float(edge) for edge in np.linspace(0, evaluated[-1], 51)]
    for name, color in (("movement", VERMILION), ("accuracy", BLUE)):
        given = dates[name][np.isfinite(dates[name])]
        first.hist(given, bins, color=color, alpha=0.7, label=f"{name}: {len(given)} of {len(dates[name])}")
    first.set_title("First alarm on a parity")
    first.set(xlabel="SGD steps", ylabel="trials")
    legend(first)
    both = np.isfinite(dates["accuracy"]) & np.isfinite(dates["movement"])
    lead = figure.add_subplot(grid[2, 1])
    lead.hist(dates["accuracy"][both] - dates["movement"][both], 40, color=GREEN)
    lead.axvline(0, color=BLACK, linewidth=1)
    lead.set_title("Lead of weight movement over accuracy")
    lead.set(xlabel="SGD steps", ylabel="trials")
