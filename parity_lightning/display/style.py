"""The one style of all pictures: colours, fonts, spines, legends, and how a picture becomes a file."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.rcsetup import cycler
from matplotlib.ticker import NullLocator

BLUE, ORANGE, GREEN, PURPLE, SKY, VERMILION, BROWN, BLACK = PALETTE = (
    "#0072b2",
    "#e69f00",
    "#009e73",
    "#cc79a7",
    "#56b4e9",
    "#d55e00",
    "#7f4f24",
    "#000000",
)
"""Eight colours that stay apart for colour-blind people: those of Okabe and Ito, a brown in place of their yellow."""

GRAY = "#6c757d"
"""Reference lines, and what is there for comparison."""

_STYLE: Any = {
    "axes.prop_cycle": cycler(color=PALETTE),
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlelocation": "left",
    "axes.titlesize": 11,
    "figure.titlesize": 13,
    "font.family": "DejaVu Sans",
    "font.size": 10,
    "legend.fontsize": 8.5,
    "legend.frameon": False,
    "lines.linewidth": 1.5,
    "lines.markersize": 5,
    "savefig.dpi": 120,
    # The same picture is the same file.
    "svg.hashsalt": "parity-lightning",
}


def color_of(number: int) -> str:
    """The colour of the line, setting or group of a number; colours repeat after the eighth."""
    return PALETTE[number % len(PALETTE)]


def draw_to(path: Path, draw: Callable[[Figure], None], size: tuple[float, float] = (8.0, 5.0)) -> Path:
    """Draws a picture in the style of the project and saves it as a PNG file, or as an SVG file if its name ends so.

    Args:
        path: The file; an older one is replaced.
        draw: Draws into an empty figure.
        size: Width and height in inches.

    Returns:
        The path.
    """
    with rc_context(_STYLE):
        figure = Figure(figsize=size, layout="constrained")
        FigureCanvasAgg(figure)
        draw(figure)
        is_svg = path.suffix == ".svg"
        figure.savefig(path, format="svg" if is_svg else "png", metadata={"Date": None} if is_svg else None)
    return path


def legend(axes: Axes, columns: int = 3) -> None:
    """Puts the legend between the axes and their title, where it overlaps no data.

    Args:
        axes: The axes, their title on the left and set before; nothing is done if nothing in them has a label.
        columns: In how many columns the labels stand.
    """
    handles, labels = axes.get_legend_handles_labels()
    if not labels:
        return
    columns = min(columns, len(labels))
    lines = math.ceil(len(labels) / columns)
    axes.legend(
        handles,
        labels,
        loc="lower left",
        bbox_to_anchor=(0, 1),
        ncols=columns,
        borderpad=0.1,
        borderaxespad=0.3,
        labelspacing=0.3,
        columnspacing=1.2,
        handlelength=1.6,
    )
    axes.set_title(axes.get_title(loc="left"), loc="left", pad=8 + 14 * lines)


def legend_below(figure: Figure, source: Axes | None = None, columns: int = 3) -> None:
    """Puts one legend for several axes below all of them.

    Args:
        figure: The figure, in constrained layout.
        source: The axes that have the labels; all axes unless given, each label once.
        columns: In how many columns the labels stand.
    """
    named = {
        label: handle
        for axes in ([source] if source else figure.axes)
        for handle, label in zip(*axes.get_legend_handles_labels(), strict=True)
    }
    if named:
        figure.legend(list(named.values()), list(named), loc="outside lower center", ncols=min(columns, len(named)))


def ticks_at(axis: Axis, values: Iterable[int]) -> None:
    """Puts ticks at these values only, labelled by plain numbers: a few n on a logarithmic axis."""
    places = sorted(set(values))
    axis.set_ticks(places, labels=[f"{place:,}" for place in places])
    axis.set_minor_locator(NullLocator())
