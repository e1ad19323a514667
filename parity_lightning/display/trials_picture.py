"""The picture of many trials: when they were solved, and how many were not yet (after Figure 2, left)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from parity_lightning.display.heading import heading
from parity_lightning.display.scaling_panel import draw_scaling_curves
from parity_lightning.display.style import PALETTE, draw_to, legend
from parity_lightning.display.table import format_value
from parity_lightning.statistics.scaling import ScalingCurve, scaling_curves
from parity_lightning.statistics.survival import kaplan_meier, quantile_of, solved_share
from parity_lightning.statistics.time_histogram import RandomSearch, bin_edges

_EXPECTED = "0.35"


def draw_trials(path: Path, settings: Sequence[Mapping[str, Any]], varied: Sequence[str], times: np.ndarray) -> Path:
    """Draws a histogram of convergence times and, below, survival curves, into a PNG file.

    Where a number varies, medians against it come first, with the power law fitted to them. With a single setting the
    geometric law with the same mean stands beside: the convergence times of a search that tries at random, and is as
    likely to succeed at the first step as at any other (Section 3.2).

    Args:
        path: The file; an older one is replaced, for it was drawn from the same record.
        settings: What stands beside the trials of each setting.
        varied: The columns in which settings differ.
        times: Convergence times of shape ``(settings, trials)``, infinite where a trial was not solved.

    Returns:
        The path.
    """
    curves = scaling_curves(settings, varied, list(times))

    def draw(figure: Figure) -> None:
        _draw(figure, settings, varied, times, curves)

    # A line of legend for every second setting.
    height = 7 + 0.2 * min(len(settings), len(PALETTE))
    return draw_to(path, draw, (8, height + (4 if curves else 0)))


def _draw(
    figure: Figure,
    settings: Sequence[Mapping[str, Any]],
    varied: Sequence[str],
    times: np.ndarray,
    curves: Sequence[ScalingCurve],
) -> None:
    first = settings[0]
    trials = f"{times.shape[1]:,} trials" + (" of each setting" if len(settings) > 1 else "")
    figure.suptitle(f"{heading(settings)}: {trials}")
    if curves:
        medians, histogram, survival = figure.subplots(3, 1)
        histogram.sharex(survival)
        draw_scaling_curves(medians, curves, max(float(setting["max_steps"]) for setting in settings))
    else:
        histogram, survival = figure.subplots(2, 1, sharex=True)
    shown = list(zip(settings, times, PALETTE, strict=False))
    for setting, own, color in shown:
        name = ", ".join(f"{column.rpartition('.')[2]}={format_value(setting.get(column))}" for column in varied)
        _histogram(histogram, own, int(setting["val_check_interval"]), color, name)
        _survival(survival, own, int(setting["max_steps"]), color, name)
    if len(shown) == 1:
        _random_search(histogram, survival, times[0], int(first["val_check_interval"]), int(first["max_steps"]))
    histogram.set_title("When trials were solved")
    histogram.set_ylabel("trials")
    survival.set_title("The share not yet solved (Kaplan-Meier, with 95 % band)")
    survival.set_ylabel("share")
    survival.set_ylim(-0.02, 1.02)
    survival.set_xlabel("SGD steps")
    solved = times[np.isfinite(times)]
    survival.set_xlim(0, 1.05 * float(solved.max()) if len(solved) else None)
    for axes in (histogram, survival):
        legend(axes, columns=2)
    if len(settings) > len(shown):
        figure.text(0.99, 0.005, f"the first {len(shown)} of {len(settings):,} settings", ha="right", fontsize=8)


def _histogram(axes: Axes, times: np.ndarray, every: int, color: str, name: str) -> None:
    solved = times[np.isfinite(times)]
    share = solved_share(times)
    label = f"{name}: " if name else ""
    label += f"{share.value:.1%} solved" if share.value < 1 else "all solved"
    if not len(solved):
        axes.plot([], [], color=color, label=label)
        return
    edges = bin_edges(solved, every)
    counts, _ = np.histogram(solved, edges)
    axes.stairs(counts, edges, fill=True, color=color, alpha=0.45, label=label)
    median = quantile_of(times).value
    if np.isfinite(median):
        axes.axvline(median, color=color, linewidth=1.2)


def _survival(axes: Axes, times: np.ndarray, max_steps: int, color: str, name: str) -> None:
    curve = kaplan_meier(times, max_steps)
    steps = np.concatenate([[0.0], curve.steps])
    axes.step(steps, np.concatenate([[1.0], curve.share]), where="post", color=color, label=name or "measured")
    low, high = (np.concatenate([[1.0], bound]) for bound in (curve.low, curve.high))
    axes.fill_between(steps, low, high, step="post", color=color, alpha=0.2, linewidth=0)


def _random_search(histogram: Axes, survival: Axes, times: np.ndarray, every: int, max_steps: int) -> None:
    solved = times[np.isfinite(times)]
    if len(solved) < 2:
        return
    edges = bin_edges(solved, every)
    search = RandomSearch.like(times, every, max_steps)
    histogram.stairs(
        search.expected(edges, len(times)),
        edges,
        color=_EXPECTED,
        linestyle="--",
        label="random search of the same mean (geometric)",
    )
    steps = np.linspace(0, edges[-1], 200)
    survival.plot(steps, search.unsolved(steps), color=_EXPECTED, linestyle="--", linewidth=1, label="random search")
