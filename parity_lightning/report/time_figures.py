"""Figures of convergence times: when trials were solved, how many were not yet, and medians against a number."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from parity_lightning.display.style import GRAY
from parity_lightning.display.table import short_value
from parity_lightning.report.figures import COLORS, DASHES, Figure, Line, Panel
from parity_lightning.statistics.scaling import ScalingCurve
from parity_lightning.statistics.survival import kaplan_meier, quantile_of
from parity_lightning.statistics.time_histogram import RandomSearch, bin_edges

MOST_LINES = len(COLORS)
"""So many settings have a line of their own at most."""

_MOST_HISTOGRAMS = 2
_MOST_TICKS = 8


def times_figure(
    settings: Sequence[Mapping[str, object]], times: Sequence[np.ndarray], every: int, max_steps: Sequence[int]
) -> Figure:
    """Histograms of convergence times, where they are few, above survival curves.

    Args:
        settings: What tells the settings apart, by column.
        times: The convergence times of each, infinite where a trial was not solved; at least one trial of each.
        every: Steps between evaluations.
        max_steps: After how many steps trials of each are given up.
    """
    names = [in_words(setting) or "measured" for setting in settings]
    looks = [(COLORS[place % MOST_LINES], DASHES[place % len(DASHES)]) for place in range(len(names))]
    panels = []
    curves = [
        _survival(name, own, most, *look) for name, own, most, look in zip(names, times, max_steps, looks, strict=True)
    ]
    if len(names) == 1 and np.isfinite(times[0]).sum() > 1:
        search = RandomSearch.like(times[0], every, max_steps[0])
        steps = np.linspace(0, float(times[0][np.isfinite(times[0])].max()), 200)
        name = "random search of the same mean"
        curves.append(Line(name, steps.tolist(), search.unsolved(steps).tolist(), GRAY, "2 3", 1.5))
    if len(names) <= _MOST_HISTOGRAMS:
        lines = [
            line
            for name, own, most, (color, _) in zip(names, times, max_steps, looks, strict=True)
            for line in _histogram(name, own, every, most, color, alone=len(names) == 1)
        ]
        if lines:
            panels.append(Panel("When trials were solved", "trials", lines, least=(0,)))
    title = "The share not yet solved (Kaplan-Meier, with 95 % band)"
    panels.append(Panel(title, "share unsolved", curves, height=250, least=(0, 1)))
    return Figure("Convergence times", "SGD steps", panels, least=(0,))


def scaling_figure(curves: Sequence[ScalingCurve], limit: float) -> Figure:
    """Medians against a number that varies, with the power laws fitted to them.

    Args:
        curves: At least one; of more than there are colours the first.
        limit: How many steps trials were given at most.
    """
    lines = []
    for place, curve in enumerate(curves[:MOST_LINES]):
        lines += _course(curve, limit, COLORS[place], DASHES[place % len(DASHES)])
    column = curves[0].column
    title = f"Median convergence time against {column}, with 95 % intervals"
    values = sorted({value for curve in curves for value in curve.x})
    ticks = values if len(values) <= _MOST_TICKS else []
    panel = Panel(title, "SGD steps", lines, log_y=True, height=320)
    return Figure(f"Convergence times against {column}", column, [panel], log_x=True, ticks=ticks)


def in_words(setting: Mapping[str, object]) -> str:
    """What tells a setting apart.

    Example:
        >>> in_words({"n": 20, "optimizer": "torch.optim.SGD"})
        'n=20, optimizer=SGD'
    """
    return ", ".join(f"{name}={short_value(value)}" for name, value in setting.items())


def _survival(name: str, times: np.ndarray, max_steps: int, color: str, dash: str) -> Line:
    curve = kaplan_meier(times, max_steps)
    x, share, low, high = (
        [first, *values.tolist()]
        for first, values in zip((0.0, 1.0, 1.0, 1.0), (curve.steps, curve.share, curve.low, curve.high), strict=True)
    )
    # What was given up ends the curve; nothing is drawn beyond the last that was solved and a little more.
    solved = times[np.isfinite(times)]
    if len(solved) and x[-1] > (end := 1.05 * float(solved.max())):
        x[-1] = end
    notes = [f"{each:.1%} ({lower:.1%} to {upper:.1%})" for each, lower, upper in zip(share, low, high, strict=True)]
    return Line(name, x, share, color, dash, 2, "step", low, high, notes)


def _histogram(name: str, times: np.ndarray, every: int, most: int, color: str, *, alone: bool) -> list[Line]:
    solved = times[np.isfinite(times)]
    if not len(solved):
        return []
    edges = bin_edges(solved, every)
    counts, _ = np.histogram(solved, edges)
    lines = [_steps(f"{name}: solved" if not alone else "solved", edges, counts, color, "filled")]
    if alone and len(solved) > 1:
        expected = RandomSearch.like(times, every, most).expected(edges, len(times))
        lines.append(_steps("random search of the same mean (geometric)", edges, expected, GRAY, "step"))
    return lines


def _steps(name: str, edges: np.ndarray, counts: np.ndarray, color: str, shape: str) -> Line:
    heights = [*counts.tolist(), 0 if shape == "filled" else counts[-1].item()]
    notes = [
        f"{height:,.4g} from step {low:,.0f} to {high:,.0f}"
        for height, low, high in zip(counts.tolist(), edges, edges[1:], strict=False)
    ]
    if shape == "filled":
        return Line(name, edges.tolist(), heights, color, "", 1.5, "filled", notes=[*notes, "0"])
    return Line(name, edges.tolist(), heights, color, "5 3", 1.5, "step", notes=[*notes, notes[-1]])


def _course(curve: ScalingCurve, limit: float, color: str, dash: str) -> list[Line]:
    name = in_words(curve.others)
    lines = []
    if (law := curve.law) is not None:
        ends = np.array([curve.x[0], curve.x[-1]], dtype=float)
        lines.append(Line("", ends.tolist(), law.at(ends).tolist(), color, dash, 1.5))
    medians = [quantile_of(times) for times in curve.times]
    solved = [place for place, median in enumerate(medians) if math.isfinite(median.value)]
    if solved:
        low, high = ([getattr(medians[place], end) for place in solved] for end in ("low", "high"))
        values, notes = [medians[place].value for place in solved], [medians[place].in_words() for place in solved]
        x = [curve.x[place] for place in solved]
        through = None if law is None else dash
        lines.append(Line(name or "medians", x, values, color, "", 1.5, "points", low, high, notes, through))
    if unsolved := [curve.x[place] for place in range(len(medians)) if place not in solved]:
        label = f"{name}: median not reached" if name else "median not reached"
        lines.append(Line(label, unsolved, [limit] * len(unsolved), color, "", 1.5, "triangles"))
    return lines
