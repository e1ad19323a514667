"""Hidden progress: weight movement and the Fourier gap along SGD, on a parity and on random labels (Figure 3)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from matplotlib.figure import Figure
from torch import Tensor, nn
from torch.func import functional_call

from parity_lightning.data.parity_stack import stack_parities
from parity_lightning.data.sparse_parity import SparseParity
from parity_lightning.engine.side_by_side import Parameters, descend, predictor
from parity_lightning.errors import SettingError, check_int
from parity_lightning.experiments.findings import Claim, Findings
from parity_lightning.measures.coefficients import all_inputs
from parity_lightning.measures.fourier_gap import correlation_gradient, fourier_gap
from parity_lightning.nets.initializations import initialize
from parity_lightning.nets.mlp import TwoLayerMLP
from parity_lightning.statistics.alarms import calibrate
from parity_lightning.statistics.survival import Share, quantile_of, share_of

_LOSS = "hinge"
_EVALUATED_ON = 2048


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


def run(
    n: int = 15,
    k: int = 4,
    width: int = 100,
    batch_size: int = 32,
    lr: float = 0.1,
    steps: int = 1000,
    every: int = 10,
    trials: int = 100,
    gap_trials: int = 10,
    false_alarms: float = 0.01,
    seed: int = 0,
) -> Findings:
    """Trains ReLU networks on parities and on random labels, and asks which measure tells them apart first.

    Args:
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
    check_int("n", n, at_least=2, at_most=20)
    check_int("trials", trials, at_least=10)
    check_int("gap_trials", gap_trials, at_least=1, at_most=trials)
    for name, number in {"width": width, "batch_size": batch_size, "steps": steps}.items():
        check_int(name, number, at_least=1)
    if steps % check_int("every", every, at_least=1, at_most=steps):
        raise SettingError("every", every, f"must divide steps={steps}")
    if not 0 < lr < math.inf:
        raise SettingError("lr", lr, "must be above 0")
    if not 1 / (trials + 1) <= false_alarms < 1:
        raise SettingError(
            "false_alarms", false_alarms, f"must be at least 1/(trials+1) = {1 / (trials + 1):.3g}, below 1"
        )

    def measured(first: int, label_noise: float) -> _Measured:
        parities = [SparseParity(n, k, seed=seed + first + trial, label_noise=label_noise) for trial in range(trials)]
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed + first)
            networks = [TwoLayerMLP(n, k, width) for _ in parities]
            for network in networks:
                initialize(network, "uniform")
        options = {"steps": steps, "every": every, "batch_size": batch_size}
        found = _measure(networks, parities, gap_trials if first != trials else 0, lr=lr, **options)
        if not np.isfinite(found.movement).all():
            raise SettingError("lr", lr, "makes training diverge; give a smaller one")
        return found

    learning = measured(0, 0.0)
    # Labels that are flipped half the time are random.
    calibration, control = measured(trials, 0.5), measured(2 * trials, 0.5)
    evaluated = np.arange(1, learning.accuracy.shape[1] + 1) * every
    dates, false = {}, {}
    for name in ("accuracy", "movement"):
        alarm = calibrate(getattr(calibration, name), false_alarms)
        expected = alarm.expected
        dates[name] = _steps_of(alarm.first(getattr(learning, name)), evaluated)
        false[name] = share_of(int(np.isfinite(alarm.first(getattr(control, name))).sum()), trials)
    rows = [_row(name, dates[name], false[name], expected) for name in dates]
    claims = _claims(dates, learning, control, evaluated)
    choices = [
        f"(n, k) = ({n}, {k}), width {width}, B={batch_size}, eta={lr}, {_LOSS} loss, Xavier uniform initialization",
        f"accuracy on {_EVALUATED_ON:,} held-out examples; thresholds: what {false_alarms:.1%} of {trials} runs on "
        "random labels exceed at any time",
    ]
    single = [
        {"trial": trial, "accuracy alarm": dates["accuracy"][trial], "movement alarm": dates["movement"][trial]}
        for trial in range(trials)
    ]
    curves = [
        {"labels": labels, "step": int(step), **{name: getattr(own, name)[0, place] for name in _Measured._fields}}
        for labels, own in (("parity", learning), ("random", control))
        for place, step in enumerate(evaluated)
    ]

    def draw(figure: Figure) -> None:
        _draw(figure, evaluated, learning, control, dates, f"({n}, {k})-parity, {trials} networks each")

    return Findings(rows, claims, draw, choices, {"alarms": single, "curves": curves})


def _measure(
    networks: Sequence[nn.Module], parities: Sequence[SparseParity], gap_trials: int, **options: Any
) -> _Measured:
    n = parities[0].n
    x, y = stack_parities(parities).draw(torch.arange(_EVALUATED_ON), n, "validation", noisy=False)
    predict = predictor(networks[0])
    inputs = all_inputs(n)
    kept: dict[str, list[Tensor]] = {name: [] for name in _Measured._fields}
    for step, parameters in descend(networks, parities, loss=_LOSS, **options):
        weight = parameters["hidden.weight"]
        if step == 0:
            initial = weight.detach().clone()
            continue
        with torch.no_grad():
            kept["accuracy"].append((predict(parameters, x) * y > 0).float().mean(-1))
            kept["movement"].append((weight - initial).abs().amax((1, 2)))
        gaps = [_gap(networks[0], parameters, trial, parities[trial], inputs) for trial in range(gap_trials)]
        kept["gap"].append(torch.tensor(gaps))
    return _Measured(*(torch.stack(kept[name], 1).numpy() for name in _Measured._fields))


def _gap(network: nn.Module, stacked: Parameters, trial: int, parity: SparseParity, inputs: Tensor) -> float:
    own = {name: each[trial].detach().requires_grad_() for name, each in stacked.items()}

    def predict(x: Tensor) -> Tensor:
        output: Tensor = functional_call(network, own, (x,))
        return output

    y = inputs[:, list(parity.support)].prod(-1)
    gradient = correlation_gradient(predict, own["hidden.weight"], inputs, y)
    return fourier_gap(gradient, parity.support).gap


def _steps_of(evaluations: np.ndarray, evaluated: np.ndarray) -> np.ndarray:
    """The steps of evaluations, some of which never come."""
    comes = np.isfinite(evaluations)
    return np.where(comes, evaluated[np.where(comes, evaluations, 0).astype(int)], np.inf)


def _row(name: str, dates: np.ndarray, false: Share, expected: float) -> dict[str, Any]:
    alarms = share_of(int(np.isfinite(dates).sum()), len(dates))
    return {
        "measure": name,
        "alarms (95 %)": f"{alarms.value:.3f} ({alarms.low:.3f} to {alarms.high:.3f})",
        "expected": round(expected, 4),
        "false alarms (95 %)": f"{false.value:.3f} ({false.low:.3f} to {false.high:.3f})",
        "median alarm, steps (95 %)": str(quantile_of(dates)),
    }


def _claims(
    dates: dict[str, np.ndarray], learning: _Measured, control: _Measured, evaluated: np.ndarray
) -> list[Claim]:
    trials = len(dates["accuracy"])
    # Who never gives the alarm is not ahead.
    earlier = share_of(int((dates["movement"] < dates["accuracy"]).sum()), trials)
    first = earlier.low > 0.5 or (False if earlier.high < 0.5 else None)
    both = np.isfinite(dates["movement"]) & np.isfinite(dates["accuracy"])
    lead = dates["accuracy"][both] - dates["movement"][both]
    leaves = np.isfinite(dates["accuracy"])
    leaves_at = np.searchsorted(evaluated, np.where(leaves, dates["accuracy"], evaluated[-1]))
    heard, place = np.flatnonzero(leaves), leaves_at[leaves]
    further = learning.movement[heard, place] / np.median(control.movement, 0)[place]
    grown = {}
    right = learning.accuracy == 1
    for when, has, at in (
        ("when all labels are right", right.any(1), right.argmax(1)),
        ("when accuracy leaves chance", leaves, leaves_at),
    ):
        own = np.flatnonzero(has[: len(learning.gap)])
        grown[when] = learning.gap[own, at[own]] - learning.gap[own, 0]
    end, alarm = grown
    return [
        Claim(
            "Section 5: the measure grows while accuracy stands still: share of runs in which it is first to tell",
            "most",
            earlier.value,
            first,
            earlier.low,
            earlier.high,
        ),
        _above("Section 5: lead time of the measure over accuracy, median in steps", lead, 0.0),
        _above(
            "Figure 3, right: when accuracy leaves chance, weights have moved further than on random labels, times",
            further,
            1.0,
        ),
        _above(f"extended version, C.3: the Fourier gap grows during training; {end} it has, by", grown[end], 0.0),
        _above(f"... and {alarm}, by (the paper does not say)", grown[alarm], 0.0)._replace(holds=None),
    ]


def _above(claim: str, values: np.ndarray, bound: float) -> Claim:
    """The claim that a median is above a bound, as far as the trials that have it can tell."""
    paper, counted = f"above {bound:g}", f"{claim} ({len(values)} runs)"
    if not len(values):
        return Claim(counted, paper, "no run", None)
    found = quantile_of(values, least=-np.inf)
    holds = True if found.low > bound else False if found.high < bound else None
    return Claim(counted, paper, found.value, holds, found.low, found.high)


def _draw(
    figure: Figure,
    evaluated: np.ndarray,
    learning: _Measured,
    control: _Measured,
    dates: dict[str, np.ndarray],
    title: str,
) -> None:
    figure.set_size_inches(11, 7)
    figure.suptitle(f"Hidden progress: {title}", fontsize=14)
    grid = figure.add_gridspec(3, 2, width_ratios=[3, 2])
    titles = {
        "accuracy": "What one sees: validation accuracy",
        "movement": r"What is hidden: $\|w_t - w_0\|_\infty$",
        "gap": "... and the largest Fourier gap of a unit",
    }
    first = None
    for number, (name, what) in enumerate(titles.items()):
        axes = figure.add_subplot(grid[number, 0], sharex=first)
        first = first or axes
        for own, label, color in ((learning, "parity", "#b5179e"), (control, "random labels", "#8d99ae")):
            values = getattr(own, name)
            axes.plot(evaluated, values[1:20].T, color=color, linewidth=0.4, alpha=0.4)
            axes.plot(evaluated, values[0], color=color, linewidth=2, label=label)
        axes.set_title(what, loc="left", fontsize=11)
        axes.spines[["top", "right"]].set_visible(False)
    assert first is not None
    first.legend(frameon=False, fontsize=9)
    axes.axhline(0, color="0.6", linewidth=1, linestyle=":")
    axes.set_xlabel("SGD steps (one run thick, others thin)")
    histogram = figure.add_subplot(grid[:2, 1])
    bins = [float(edge) for edge in np.linspace(0, evaluated[-1], 51)]
    for name, color in (("movement", "#b5179e"), ("accuracy", "#1d3557")):
        heard = dates[name][np.isfinite(dates[name])]
        histogram.hist(heard, bins, color=color, alpha=0.7, label=f"{name}: {len(heard)} of {len(dates[name])}")
    histogram.set_title("First alarm on a parity", loc="left", fontsize=11)
    histogram.set(xlabel="SGD steps", ylabel="trials")
    histogram.legend(frameon=False, fontsize=9)
    both = np.isfinite(dates["accuracy"]) & np.isfinite(dates["movement"])
    lead = figure.add_subplot(grid[2, 1])
    lead.hist(dates["accuracy"][both] - dates["movement"][both], 40, color="#2a9d8f")
    lead.axvline(0, color="0.35", linewidth=1)
    lead.set_title("Lead of weight movement over accuracy", loc="left", fontsize=11)
    lead.set(xlabel="SGD steps", ylabel="trials")
