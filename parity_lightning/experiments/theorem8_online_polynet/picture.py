"""The picture: steps to the error against the block length."""

from __future__ import annotations

import math
from collections.abc import Mapping

from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator

from parity_lightning.display.style import GRAY, color_of, legend_below
from parity_lightning.experiments.theorem8_online_polynet.runs import NAMES, Runs, has_median
from parity_lightning.statistics.survival import quantile_of
from parity_lightning.theory.online_polynet import Rates, drift_steps


def draw_picture(groups: Mapping[tuple[Rates, int], Runs], epsilon: float, delta: float, figure: Figure) -> None:
    """Draws the median steps to the error beside the drift law and the theorem's T.

    Args:
        groups: What the trials of each setting did, by rates and k.
        epsilon: The error.
        delta: How probably the samples may mislead.
        figure: An empty figure.
    """
    axes = figure.subplots()
    for number, ((rates, k), own) in enumerate(groups.items()):
        color, name = color_of(number), f"k={k}, rates by {NAMES[rates]}"
        known = [(setting, quantile_of(found.steps[found.right])) for setting, found in own if has_median(found)]
        axes.errorbar(
            [3 * setting.length - 2 for setting, _ in known],
            [median.value for _, median in known],
            [
                [median.value - median.low for _, median in known],
                # No bar where the interval has no upper end.
                [median.high - median.value if math.isfinite(median.high) else 0.0 for _, median in known],
            ],
            fmt="o",
            color=color,
            capsize=3,
            label=f"{name}: median",
        )
        settings = [setting for setting, _ in own]
        law = [drift_steps(each.length, k, epsilon, delta, each.horizon, rates) for each in settings]
        places = [3 * each.length - 2 for each in settings]
        axes.plot(places, law, "-", color=color, linewidth=1, label=f"{name}: mean increments")
    every = [setting for own in groups.values() for setting, _ in own]
    for k in sorted({setting.k for setting in every}):
        bounds = sorted({(3 * setting.length - 2, setting.theorem) for setting in every if setting.k == k})
        axes.plot(*zip(*bounds, strict=True), "--", color=GRAY, linewidth=k - 1, label=f"k={k}: theorem's T")
    axes.set(xscale="log", yscale="log", xlabel="3n' - 2 (block length n')", ylabel=f"steps to error {epsilon:g}")
    lengths = sorted({setting.length for setting in every})
    axes.set_xticks([3 * length - 2 for length in lengths], [f"{3 * length - 2} ({length})" for length in lengths])
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_title("Online SGD on disjoint-PolyNets, batches of one example (right signs)")
    legend_below(figure, columns=2)
