"""The forest plot: every number of ours over the paper's, on a logarithmic axis, with its interval."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from parity_lightning.display.style import BLUE, GRAY, ORANGE, VERMILION, legend
from parity_lightning.figures.medians import FACTOR
from parity_lightning.figures.verdicts import Ratio

_COLORS = {"holds": BLUE, "cannot tell": ORANGE, "does not hold": VERMILION}
_LEAST, _MOST = 0.1, 10.0


def size_of(found: Sequence[Ratio]) -> tuple[float, float]:
    """Width and height of the plot in inches."""
    return 8.0, 1.6 + 0.15 * len(found)


def draw_forest(found: Sequence[Ratio], figure: Figure) -> None:
    """Draws a line for each ratio, in the order given; one beyond the axis as an arrow at its end.

    Args:
        found: The ratios.
        figure: An empty figure.
    """
    axes = figure.subplots()
    within = sum(1 / FACTOR <= ratio.value <= FACTOR for ratio in found)
    axes.set_title(f"Ours over the paper's: {within} of {len(found)} within x{FACTOR:g}")
    axes.axvspan(1 / FACTOR, FACTOR, color=GRAY, alpha=0.15, linewidth=0)
    axes.axvline(1, color=GRAY, linewidth=1)
    for place, ratio in enumerate(found):
        color = _COLORS[ratio.verdict]
        low, high = (float(np.clip(end, _LEAST, _MOST)) for end in (ratio.low, ratio.high))
        axes.plot([low, high], [place, place], color=color, linewidth=1.5)
        shown = min(ratio.value, _MOST)
        marker = "o" if math.isfinite(ratio.value) and ratio.value <= _MOST else ">"
        axes.plot([shown], [place], marker, color=color, markersize=4, clip_on=False)
    for verdict, color in _COLORS.items():
        axes.plot([], [], "o", color=color, markersize=4, label=verdict)
    axes.set(xscale="log", xlim=(_LEAST, _MOST), ylim=(len(found) - 0.3, -0.7), xlabel="ratio, with 95 % interval")
    axes.set_xticks([0.1, 0.2, 0.5, 1, 2, 5, 10], ["0.1", "0.2", "0.5", "1", "2", "5", "10"])
    axes.set_yticks(range(len(found)), [f"{ratio.experiment}: {ratio.claim}" for ratio in found], fontsize=7)
    legend(axes)
