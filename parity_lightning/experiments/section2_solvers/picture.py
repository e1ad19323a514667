"""The picture: success against the number of samples."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from parity_lightning.display.style import GRAY, color_of, legend
from parity_lightning.experiments.section2_solvers.rows import Point
from parity_lightning.experiments.section2_solvers.solving import BEST_SET, ELIMINATION, GOAL
from parity_lightning.theory.solver_laws import elimination_law, sufficient_samples


def draw_picture(points: Sequence[Point], n: int, k: int, figure: Figure) -> None:
    """Draws the success of each solver against its samples, beside what the laws say.

    Args:
        points: Success rates; those of another n are left out.
        n: Number of inputs.
        k: Size of the support.
        figure: An empty figure.
    """
    figure.suptitle(f"Finding the support of the ({n}, {k})-parity without gradients")
    left, right = figure.subplots(1, 2, sharey=True)
    for axes, solver in ((left, ELIMINATION), (right, BEST_SET)):
        own = [point for point in points if point.solver == solver.name and point.n == n]
        for number, rate in enumerate(sorted({point.noise for point in own})):
            line = [point for point in own if point.noise == rate]
            samples = [point.samples for point in line]
            success = np.array([point.success for point in line])
            ends = np.array([(point.low, point.high) for point in line]).T
            color, label = color_of(number), f"noise {rate:g}"
            if solver is ELIMINATION:
                grid = np.arange(min(samples), max(samples) + 1)
                axes.plot(grid, [elimination_law(int(m), n, rate) for m in grid], color=color)
            else:
                enough = sufficient_samples(n, k, rate)
                axes.axvline(enough, color=color, linestyle=":")
                label += f", bound {enough:,}"
            axes.errorbar(samples, success, np.abs(ends - success), fmt="o", markersize=4, color=color, label=label)
        axes.axhline(GOAL, color=GRAY, linewidth=0.8)
        axes.set(xlabel="samples", ylim=(-0.03, 1.03))
    left.set_ylabel("share of trials solved, 95 % interval")
    left.set_title("Elimination over GF(2), lines: closed form")
    right.set_title("The set that agrees best, dotted: union bound")
    right.set_xscale("log")
    for axes in (left, right):
        legend(axes, columns=2)
