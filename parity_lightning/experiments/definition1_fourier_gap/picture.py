"""The picture: both coefficients against n."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.figure import Figure

from parity_lightning.display.style import color_of, legend_below, ticks_at
from parity_lightning.experiments.definition1_fourier_gap.rows import Row


def draw_picture(rows: Sequence[Row], figure: Figure) -> None:
    """Draws both coefficients of each k against n.

    Args:
        rows: The table.
        figure: An empty figure.
    """
    axes = figure.subplots()
    for number, k in enumerate(dict.fromkeys(row.k for row in rows)):
        own, color = [row for row in rows if row.k == k], color_of(number)
        n = [row.n for row in own]
        axes.loglog(n, [row.inner for row in own], "o-", color=color, label=f"k={k}: size {k - 1}, in the support")
        # Open and larger: the size k + 1 of one k is the size k - 1 of the next.
        outer = {"markersize": 10, "markerfacecolor": "none", "label": f"k={k}: size {k + 1}, off it"}
        axes.loglog(n, [row.outer for row in own], "s--", color=color, **outer)
    axes.set(xlabel="n", ylabel="|coefficient of majority|")
    axes.set_title("What an initial gradient shows of the support")
    ticks_at(axes.xaxis, [row.n for row in rows])
    legend_below(figure, columns=3)
