"""Weights along training, as `WeightTrajectories` logs them: read from curves, compared, and drawn."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes

from parity_lightning.display.style import BLACK, BLUE, GRAY, color_of
from parity_lightning.figures.runs import Curve
from parity_lightning.statistics.survival import quantile_of
from parity_lightning.studies.claims import Estimate

OFF_CHANCE = 0.6
"""Accuracy has left chance once it is at least this; a guess on 1,024 examples is 6 standard deviations below."""

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


def half_of(curve: Curve, end: int) -> int:
    """The number of the first evaluation from half of the steps of another one on.

    Example:
        >>> half_of({"step": np.array([10.0, 20.0, 30.0, 40.0, 50.0])}, end=4)
        2
    """
    return int(np.searchsorted(curve["step"], curve["step"][end] / 2))


def median_of_some(values: Sequence[float], runs: int) -> Estimate:
    """The median of a number that only some runs have; the others count as censored.

    Example:
        >>> median_of_some([1.0, 2.0, 3.0], runs=4).censored, median_of_some([], runs=4).value
        (1, 'none')
    """
    if not values:
        return Estimate("none", n=runs, censored=runs)
    return Estimate(*quantile_of(np.array(values), least=-np.inf), n=runs, censored=runs - len(values))


def shown_until(curve: Curve) -> float:
    """Where a picture of a run ends: half as long again after it is right on 99 % as it took, or with the run."""
    right = np.flatnonzero(curve["val/accuracy"] >= 0.99)
    last = float(curve["step"][-1])
    return min(last, 1.5 * float(curve["step"][right[0]])) if len(right) else last


def first_that_learns(curves: Sequence[Curve]) -> Curve:
    """The first run whose accuracy leaves chance, for a picture of one run; the first one if none does."""
    return next((curve for curve in curves if leaves_chance(curve) is not None), curves[0])


def draw_loss(axes: Axes, curve: Curve) -> None:
    """Draws training loss and validation error."""
    axes.plot(curve["step"], curve["train/loss"], color=BLUE, alpha=0.4, linewidth=0.8, label="training loss")
    axes.plot(curve["step"], 1 - curve["val/accuracy"], color=BLUE, linewidth=1.6, label="validation error")
    axes.set(ylim=(-0.05, max(1.25, 1.05 * float(curve["train/loss"].max()))))
    axes.grid(color="#e0e0e0", linewidth=0.6)


def draw_weights(axes: Axes, curve: Curve) -> None:
    """Draws each weight: of one unit relevant ones magenta, others grey, the bias black; of several a colour a unit."""
    weights, units = weights_of(curve), weights_of(curve).relevant.shape[1]
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
