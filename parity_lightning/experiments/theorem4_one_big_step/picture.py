"""The picture: the noise after the first step, and the errors in the end, against the first batch."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from parity_lightning.display.style import GRAY, color_of, legend_below
from parity_lightning.experiments.theorem4_one_big_step.laws import norm_off_support
from parity_lightning.experiments.theorem4_one_big_step.rows import Row


def draw_picture(rows: Sequence[Row], epsilon: float, figure: Figure) -> None:
    """Draws the weights off the support after the first step, and error and loss in the end, against the first batch.

    Args:
        rows: The table.
        epsilon: Which expected hinge loss is to be reached.
        figure: An empty figure.
    """
    left, right = figure.subplots(1, 2)
    for number, (n, k) in enumerate(dict.fromkeys((row.n, row.k) for row in rows)):
        own = [row for row in rows if (row.n, row.k) == (n, k)]
        batches, color, label = [row.batch for row in own], color_of(number), f"n={n}, k={k}"
        # A gap where no neuron is lucky.
        left.loglog(batches, [row.off_support or math.nan for row in own], "o", color=color, label=label)
        fine = np.geomspace(batches[0], batches[-1], 50)
        left.loglog(
            fine, [norm_off_support(n, k, batch) for batch in fine], color=color, label="law" if number == 0 else None
        )
        right.loglog(batches, [max(row.error, 1e-5) for row in own], "o-", color=color)
        right.loglog(batches, [max(row.hinge, 1e-5) for row in own], "s--", color=color)
    left.axhline(1, color=GRAY, linestyle="--", label="1/(2k), the weights on S")
    left.set(xlabel="first batch B", ylabel="norm off S, in 1/(2k)")
    left.set_title("Lucky neurons after one step")
    right.axhline(epsilon, color=GRAY, linestyle=":", label="epsilon, for the loss")
    right.set(xlabel="first batch B", ylabel="error, hinge loss (drawn at least 1e-5)")
    right.set_title("Then: error (solid), hinge loss (dashed)")
    legend_below(figure, columns=4)
