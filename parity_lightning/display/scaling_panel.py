"""A panel of median convergence times against a number, on logarithmic axes, with the power law fitted to them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import LogFormatter

from parity_lightning.display.style import PALETTE, legend, ticks_at
from parity_lightning.display.table import format_value
from parity_lightning.statistics.scaling import ScalingCurve
from parity_lightning.statistics.survival import quantile_of

_MOST_TICKS = 8


def draw_scaling_curves(axes: Axes, curves: Sequence[ScalingCurve], limit: float) -> None:
    """Draws medians with their 95 % intervals, and a line for each power law.

    A median that was not reached stands as a triangle at the number of steps that trials were given.

    Args:
        axes: Where to draw.
        curves: At least one; of more than there are colours the first.
        limit: How many steps trials were given at most.
    """
    column = curves[0].column
    axes.set_title(f"Median convergence time against {column}, with 95 % intervals")
    axes.set_xlabel(column)
    axes.set_ylabel("SGD steps")
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.yaxis.set_major_formatter(lambda steps, _: f"{steps:,.0f}")
    axes.yaxis.set_minor_formatter(LogFormatter(minor_thresholds=(1, 0.4)))
    for curve, color in zip(curves, PALETTE, strict=False):
        _draw(axes, curve, limit, color)
    places = sorted({place for curve in curves for place in curve.x})
    if len(places) <= _MOST_TICKS and all(isinstance(place, int) for place in places):
        ticks_at(axes.xaxis, [int(place) for place in places])
    legend(axes, columns=2)


def _draw(axes: Axes, curve: ScalingCurve, limit: float, color: str) -> None:
    name = ", ".join(f"{other}={format_value(value)}" for other, value in curve.others.items())
    law = curve.law
    if law is not None:
        label = f"{curve.column}^{law.exponent:.2f} (exponent {law.low:.2f} to {law.high:.2f})"
        ends = np.array([curve.x[0], curve.x[-1]], dtype=float)
        axes.plot(ends, law.at(ends), color=color, linestyle="--", linewidth=1)
        name = f"{name}: {label}" if name else label
    medians = [quantile_of(times) for times in curve.times]
    solved = [place for place, median in enumerate(medians) if np.isfinite(median.value)]
    x = np.array(curve.x, dtype=float)
    values = np.array([medians[place].value for place in solved])
    # An interval without an end on one side reaches over the panel.
    low = values - np.array([max(medians[place].low, 1.0) for place in solved])
    high = np.minimum([medians[place].high for place in solved], limit) - values
    errors = np.maximum([low, high], 0)
    axes.errorbar(x[solved], values, errors, color=color, marker="o", linestyle="none", capsize=2, label=name or None)
    unsolved = [place for place in range(len(medians)) if place not in solved]
    if unsolved:
        axes.plot(x[unsolved], [limit] * len(unsolved), color=color, marker="^", linestyle="none", fillstyle="none")
        axes.plot([], [], color=color, marker="^", linestyle="none", fillstyle="none", label="median not reached")
