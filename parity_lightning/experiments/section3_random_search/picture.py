"""The picture: SGD's times beside a geometric law."""

from __future__ import annotations

import math

import numpy as np
from matplotlib.figure import Figure

from parity_lightning.display.style import BLUE, VERMILION, legend
from parity_lightning.experiments.recorded_times import Sample
from parity_lightning.statistics import memoryless
from parity_lightning.statistics.survival import kaplan_meier


def draw_picture(sample: Sample, figure: Figure) -> None:
    """Draws a histogram of times, and the share not yet solved against the steps.

    Args:
        sample: The times.
        figure: An empty figure.
    """
    histogram, survival = figure.subplots(1, 2)
    solved = sample.times[np.isfinite(sample.times)]
    figure.suptitle(f"{sample.search} on the ({sample.n}, {sample.k})-parity: {len(sample.times):,} trials")
    if len(solved):
        rate = memoryless.rate_of(sample.times, sample.every, sample.limit)
        law = memoryless.geometric_law(rate)
        most = 1.6 * float(solved.max())
        width = sample.every * max(1, math.ceil(most / sample.every / 40))
        # Edges between looks, so that no time stands on one.
        edges = np.arange(0, most + width, width) + sample.every / 2
        edges[0] = 0
        label = f"geometric, mean {sample.every / rate:,.0f}"
        histogram.hist(solved, edges, color=BLUE, alpha=0.7, label="measured")
        looks = np.floor(edges / sample.every)
        expected = len(sample.times) * np.diff(law(looks))
        histogram.stairs(expected, edges, color=VERMILION, linewidth=2, label=label)
        curve = kaplan_meier(sample.times, int(np.max(memoryless.waited(sample.times, sample.limit))))
        steps = np.concatenate([[0], curve.steps])
        survival.step(steps, np.concatenate([[1.0], curve.share]), where="post", color=BLUE, label="measured")
        left = curve.share > 0
        band = (curve.steps[left], curve.low[left], curve.high[left])
        survival.fill_between(*band, step="post", color=BLUE, alpha=0.2, label="95 %")
        grid = np.linspace(0, most, 200)
        survival.semilogy(grid, 1 - law(grid / sample.every), color=VERMILION, label=label)
        survival.set_ylim(0.3 / len(sample.times), 1.5)
    histogram.set(xlabel="steps to convergence", ylabel="trials")
    histogram.set_title("When trials were solved")
    survival.set(xlabel="steps", ylabel="share not yet solved")
    survival.set_title("Without memory: a straight line")
    for axes in (histogram, survival):
        legend(axes)
