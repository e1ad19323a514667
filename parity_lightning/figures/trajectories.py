"""Weights along training, as `WeightTrajectories` logs them: read from curves, compared, and drawn."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes

from parity_lightning.display.style import BLACK, BLUE, GRAY, color_of
from parity_lightning.experiments.estimates import share_estimate
from parity_lightning.figures.runs import Curve
from parity_lightning.statistics.survival import quantile_of
from parity_lightning.studies.claims import Estimate

OFF_CHANCE = 0.6
"""Accuracy has left chance once it is at least this; a guess on 1,024 examples is 6 standard deviations below."""

LATE = "(rule fixed after a first look)"
"""What the text of a claim ends with if its rule was fixed after results had been seen."""

FAILED = "runs that never leave chance count as failed"
LATE_FAILED = f"{FAILED} (fixed after a first look)"
"""What a rule adds of runs that never leave chance: as it was from the start, and where it was fixed later."""

MAGENTA, RED = "#bf00bf", "#ff0000"
"""The colours that the paper has for relevant weights and for hidden progress."""
_COLUMN = re.compile(r"weights/(\d+)/(relevant|irrelevant|bias)(?:/(\d+))?")


class Weights(NamedTuple):
    """The weights of a first layer along training.

    Attributes:
        relevant: Those of the inputs of the support, of shape ``(evaluations, units, k)``.
        irrelevant: Those of all others, of shape ``(evaluations, units, n - k)``.
        bias: The biases, of shape ``(evaluations, units, 1)``; with a last dimension of 0 if there are none.
    """

    relevant: np.ndarray
    irrelevant: np.ndarray
    bias: np.ndarray


def weights_of(curve: Curve) -> Weights:
    """The weights that the columns of a run have.

    Example:
        >>> curve = {"weights/0/relevant/2": np.array([1.0, 3.0]), "weights/0/irrelevant/0": np.array([2.0, 2.0])}
        >>> weights_of(curve).relevant.shape, weights_of(curve).bias.shape
        ((2, 1, 1), (2, 1, 0))
    """
    found = [(name, match) for name in curve if (match := _COLUMN.fullmatch(name))]
    units = sorted({int(match[1]) for _, match in found})

    def columns(kind: str) -> np.ndarray:
        by_unit = [[name for name, match in found if (int(match[1]), match[2]) == (unit, kind)] for unit in units]
        values: np.ndarray = np.array([[curve[name] for name in names] for names in by_unit]).transpose(2, 0, 1)
        return values

    evaluations = len(next(iter(curve.values())))
    has_bias = any(match[2] == "bias" for _, match in found)
    bias = columns("bias") if has_bias else np.empty((evaluations, len(units), 0))
    return Weights(columns("relevant"), columns("irrelevant"), bias)


def leaves_chance(curve: Curve) -> int | None:
    """The number of the first evaluation at which accuracy has left chance; None if it never does.

    Example:
        >>> leaves_chance({"val/accuracy": np.array([0.5, 0.52, 0.7, 1.0])})
        2
    """
    at = np.flatnonzero(curve["val/accuracy"] >= OFF_CHANCE)
    return int(at[0]) if len(at) else None


def relevant_lead(curve: Curve) -> np.ndarray:
    """Whether in some unit every relevant weight is larger than all irrelevant ones, in size.

    Returns:
        bool of shape ``(evaluations,)``.

    Example:
        >>> curve = {"weights/0/relevant/2": np.array([1.0, -3.0]), "weights/0/irrelevant/0": np.array([2.0, 2.0])}
        >>> relevant_lead(curve).tolist()
        [False, True]
    """
    weights = weights_of(curve)
    lead: np.ndarray = (np.abs(weights.relevant).min(-1) > np.abs(weights.irrelevant).max(-1)).any(-1)
    return lead


class Departure(NamedTuple):
    """When a run leaves chance.

    Attributes:
        run: Its number among the runs.
        curve: The run.
        end: The number of the first evaluation at which accuracy has left chance.
        half: The number of the first evaluation from half of the steps of that one on.
    """

    run: int
    curve: Curve
    end: int
    half: int


def departures(curves: Sequence[Curve]) -> list[Departure]:
    """When each run leaves chance; runs that never do are left out.

    What is counted over these runs goes through `share_of_all` or `median_of_all`, where the others count as failed.

    Example:
        >>> step, never = np.array([10.0, 20.0, 30.0, 40.0]), np.full(4, 0.5)
        >>> right = np.array([0.5, 0.5, 0.5, 1.0])
        >>> found = departures([{"step": step, "val/accuracy": never}, {"step": step, "val/accuracy": right}])
        >>> [(each.run, each.end, each.half) for each in found]
        [(1, 3, 1)]
    """
    ends = [(run, curve, leaves_chance(curve)) for run, curve in enumerate(curves)]
    return [
        Departure(run, curve, end, int(np.searchsorted(curve["step"], curve["step"][end] / 2)))
        for run, curve, end in ends
        if end is not None
    ]


def share_of_all(held: Sequence[bool], runs: int) -> Estimate:
    """The share of all runs for which something held; those that it could not be asked of count as failed.

    Args:
        held: Whether it held, for each run that leaves chance.
        runs: How many runs there are; the others are censored.

    Example:
        >>> found = share_of_all([True, True, False], runs=4)
        >>> found.value, found.n, found.censored
        (0.5, 4, 1)
    """
    return share_estimate(sum(bool(each) for each in held), runs)._replace(censored=runs - len(held))


def median_of_all(values: Sequence[float], runs: int) -> Estimate:
    """The median over all runs of a number that should be large; it is minus infinity for runs that do not have it.

    Args:
        values: The number, of each run that has it.
        runs: How many runs there are; the others are censored.

    Example:
        >>> median_of_all([1.0, 2.0, 3.0], runs=4).value, median_of_all([1.0, 2.0, 3.0], runs=4).censored
        (1.5, 1)
        >>> median_of_all([], runs=4).value
        -inf
    """
    lacking = runs - len(values)
    return Estimate(*quantile_of([*values, *[-np.inf] * lacking], least=-np.inf), n=runs, censored=lacking)


def shown_until(curve: Curve) -> float:
    """Where a picture of a run ends: half as long again after it is right on 99 % as it took, or with the run."""
    right = np.flatnonzero(curve["val/accuracy"] >= 0.99)
    last = float(curve["step"][-1])
    return min(last, 1.5 * float(curve["step"][right[0]])) if len(right) else last


def first_that_learns(curves: Sequence[Curve]) -> int:
    """The number of the first run that leaves chance, for a picture of one run; that of the first if none does."""
    return next((each.run for each in departures(curves)), 0)


def draw_loss(axes: Axes, curve: Curve) -> None:
    """Draws training loss and validation error."""
    axes.plot(curve["step"], curve["train/loss"], color=BLUE, alpha=0.4, linewidth=0.8, label="training loss")
    axes.plot(curve["step"], 1 - curve["val/accuracy"], color=BLUE, linewidth=1.6, label="validation error")
    axes.set(ylim=(-0.05, max(1.25, 1.05 * float(curve["train/loss"].max()))))
    axes.grid(color="#e0e0e0", linewidth=0.6)


def draw_weights(axes: Axes, curve: Curve) -> None:
    """Draws each weight: of one unit relevant ones magenta, others grey, the bias black; of several a colour a unit."""
    weights = weights_of(curve)
    units = weights.relevant.shape[1]
    alone = units == 1
    for unit in range(units):
        color = color_of(unit)
        lines = (
            (weights.irrelevant, GRAY if alone else color, 0.4 if alone else 0.15, 0.7, r"$w_i$, $i \notin S$"),
            (weights.bias if alone else weights.bias[..., :0], BLACK, 0.8, 1.4, "bias b"),
            (weights.relevant, MAGENTA if alone else color, 0.9, 1.4, r"$w_i$, $i \in S$"),
        )
        for values, shade, alpha, width, label in lines:
            drawn = axes.plot(curve["step"], values[:, unit], color=shade, alpha=alpha, linewidth=width)
            if drawn and alone:
                drawn[0].set_label(label)
    axes.grid(color="#e0e0e0", linewidth=0.6)


def draw_progress(axes: Axes, curve: Curve, top: float | None = None) -> None:
    """Draws hidden progress in red on an axis of its own on the right.

    Args:
        axes: Axes with a title, which have the steps below.
        curve: The run.
        top: Where the axis on the right ends, if not where the curve does.
    """
    right = axes.twinx()
    right.plot(curve["step"], curve["hidden_progress"], color=RED, linewidth=1.6, label=r"$\rho=\|w_t-w_0\|_\infty$")
    right.set_ylim(0, top)
    right.tick_params(axis="y", colors=RED)
    right.spines["right"].set(visible=True, color=RED)
