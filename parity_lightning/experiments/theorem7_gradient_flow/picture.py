"""The picture: the error along the flow, and the share of the time that is left."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure

from parity_lightning.display.style import GRAY, color_of, legend_below
from parity_lightning.experiments.theorem7_gradient_flow.rows import EPSILON, Row
from parity_lightning.experiments.theorem7_gradient_flow.slopes import DENSE
from parity_lightning.theory.gradient_flow import error_at, limit_constant, time_to_reach


def draw_picture(rows: Sequence[Row], slopes: Mapping[int, float], figure: Figure) -> None:
    """Draws the error along the flow, and the share of the time that is left against the block length.

    Args:
        rows: The table.
        slopes: The fitted slope of each k from 3 on.
        figure: An empty figure.
    """
    errors, left = figure.subplots(1, 2)
    lengths = [row.block_length for row in rows]
    shown = max((n for n in lengths if n <= 1000), default=min(lengths))
    for number, k in enumerate(dict.fromkeys(row.k for row in rows)):
        color = color_of(number)
        weights = np.geomspace(1, shown - 1, 2000)
        times = np.array([time_to_reach(v, k) for v in weights]) / time_to_reach(shown - 1, k)
        errors.plot(times, [error_at(v, shown, k) for v in weights], color=color)
        own = [row for row in rows if row.k == k]
        label = f"k={k}: slope {slopes[k]:.2f}, law {1 - k / 2:g} (dashed)" if k in slopes else f"k={k}: no law"
        left.loglog([row.block_length for row in own], [row.left for row in own], "o", color=color, label=label)
        if k in slopes:
            law = [limit_constant(k) * math.pow(n, 1 - k / 2) for n in DENSE]
            left.loglog(DENSE, law, "--", color=color)
        normal = [(row.block_length, 1 - row.gaussian) for row in own if row.gaussian is not None]
        if normal:
            left.loglog(*zip(*normal, strict=True), "x", color=color)
    left.plot([], [], "x", color=GRAY, label="Gaussian weights, median")
    errors.axhline(EPSILON, color=GRAY, linewidth=0.8, linestyle=":")
    errors.set(xlabel="time / T(0)", ylabel="exact error", ylim=(0, 0.52))
    errors.set_title(f"Error along the flow, n'={shown:,}")
    left.set(xlabel="block length n'", ylabel="1 - T(.49) / T(0)")
    left.set_title("The share of time that is left")
    legend_below(figure, left, columns=2)
