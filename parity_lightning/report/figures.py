"""What a figure shows, before it is drawn: panels above each other over one axis, and the lines in them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from parity_lightning.display.style import BLACK, BLUE, BROWN, GREEN, PURPLE, VERMILION

OCHRE = "#a36a00"
"""The orange of the other pictures is too light for a thin line on white."""

COLORS = (BLUE, VERMILION, GREEN, PURPLE, OCHRE, BROWN, BLACK)
"""Colours of lines: each has a contrast of 3 to 1 with white at least."""

DASHES = ("", "8 4", "2 3", "10 3 2 3")
"""Dashes of lines, so that colours are not all that tells them apart."""

_MOST_POINTS = 2000


@dataclass(frozen=True)
class Line:
    """Values over the axis.

    Attributes:
        name: What they are, for the legend; lines without a name are not in it.
        x: Where.
        y: The values.
        color: Their colour.
        dash: The lengths of dashes and gaps; empty for a line without.
        width: How thick the line is.
        shape: A line, a line that stays until the next value, filled steps, points, or open triangles.
        low: Lower ends of a band, or of the bars of points.
        high: Upper ends.
        notes: What is said of each value instead of its number.
    """

    name: str
    x: Sequence[float]
    y: Sequence[float]
    color: str
    dash: str = ""
    width: float = 2
    shape: Literal["line", "step", "filled", "points", "triangles"] = "line"
    low: Sequence[float] = ()
    high: Sequence[float] = ()
    notes: Sequence[str] = ()

    def shown(self, log_x: bool, log_y: bool) -> Line:
        """The same without what has no place on the axes, and with fewer points where nobody could tell them apart."""
        places = [
            place
            for place, (x, y) in enumerate(zip(self.x, self.y, strict=True))
            if math.isfinite(x) and math.isfinite(y) and (x > 0 or not log_x) and (y > 0 or not log_y)
        ]
        kept = thinned(places, self.y)
        parts = ([part[place] for place in kept] if part else [] for part in (self.low, self.high))
        low, high = parts
        notes = [self.notes[place] for place in kept] if self.notes else []
        x, y = [self.x[place] for place in kept], [self.y[place] for place in kept]
        return Line(self.name, x, y, self.color, self.dash, self.width, self.shape, low, high, notes)


@dataclass(frozen=True)
class Rule:
    """A thin line across a panel, at a value of one axis.

    Attributes:
        at: The value.
        name: What it is, for the legend of the first panel that has it; empty for none.
        is_vertical: Whether it stands on the axis that panels share.
        dash: Lengths of dashes and gaps.
    """

    at: float
    name: str = ""
    is_vertical: bool = True
    dash: str = ""


@dataclass(frozen=True)
class Panel:
    """Lines over the axis.

    Attributes:
        title: What is seen, in a line.
        label: What the values are.
        lines: The lines.
        rules: Lines across.
        log_y: Whether values are on a logarithmic axis.
        height: How high it is, of 760 wide.
        least: Values between which the axis reaches at least.
    """

    title: str
    label: str
    lines: Sequence[Line]
    rules: Sequence[Rule] = ()
    log_y: bool = False
    height: int = 210
    least: Sequence[float] = ()


@dataclass(frozen=True)
class Figure:
    """Panels above each other.

    Attributes:
        title: What they show together.
        label: What the axis is that they share.
        panels: From top to bottom.
        log_x: Whether the axis is logarithmic.
        ticks: Where it has ticks, if that is not left to the drawing.
        least: Values between which it reaches at least.
    """

    title: str
    label: str
    panels: Sequence[Panel]
    log_x: bool = False
    ticks: Sequence[float] = field(default=())
    least: Sequence[float] = ()


def thinned(places: Sequence[int], y: Sequence[float], most: int = _MOST_POINTS) -> list[int]:
    """The places that are drawn of many: of each stretch the first, the lowest and the highest, and the last of all.

    Args:
        places: Places of values, ascending.
        y: The values.
        most: About how many are kept; if there are no more, all are.

    Example:
        >>> thinned(range(12), [0, 0, 9, 0, 0, 0, 0, -5, 0, 0, 0, 1], most=6)
        [0, 2, 6, 7, 11]
    """
    if len(places) <= most:
        return list(places)
    size = math.ceil(len(places) * 3 / most)
    kept = {places[-1]}
    for start in range(0, len(places), size):
        stretch = places[start : start + size]
        kept |= {stretch[0], min(stretch, key=y.__getitem__), max(stretch, key=y.__getitem__)}
    return sorted(kept)
