"""Axes: where a value lies, and which values have ticks."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import NamedTuple


class Scale(NamedTuple):
    """Maps values to places along an axis.

    Attributes:
        low: The value at the axis' beginning.
        high: The value at its end.
        start: The place of its beginning.
        end: The place of its end.
        is_log: Whether it is logarithmic.
    """

    low: float
    high: float
    start: float
    end: float
    is_log: bool = False

    def shows(self, value: float) -> bool:
        """Whether a value has a place: it is finite and, on a logarithmic axis, above 0."""
        return math.isfinite(value) and (value > 0 or not self.is_log)

    def at(self, value: float) -> float:
        """The place of a value.

        Example:
            >>> Scale(0, 10, 100, 200).at(5), Scale(1, 100, 100, 200, is_log=True).at(10)
            (150.0, 150.0)
        """
        low, high, value = (math.log(each) if self.is_log else each for each in (self.low, self.high, value))
        return self.start + (value - low) / (high - low) * (self.end - self.start)

    def ticks(self, most: int = 6) -> list[float]:
        """Round values between the ends, about so many.

        Example:
            >>> Scale(0, 2550, 0, 1).ticks(), Scale(0.03, 2, 0, 1, is_log=True).ticks()
            ([0.0, 500.0, 1000.0, 1500.0, 2000.0, 2500.0], [0.05, 0.1, 0.2, 0.5, 1.0, 2.0])
        """
        if self.is_log:
            found = _log_ticks(self.low, self.high, most)
            if len(found) > 1:
                return found
        step = _step((self.high - self.low) / most)
        first, last = math.ceil(self.low / step - 1e-9), math.floor(self.high / step + 1e-9)
        return [_round(number * step) for number in range(first, last + 1)]


def scale_of(values: Iterable[float], start: float, end: float, is_log: bool = False, margin: float = 0.04) -> Scale:
    """The scale that shows all values, with a margin on both sides.

    Args:
        values: The values; those that cannot be shown are left out.
        start: The place of the axis' beginning.
        end: The place of its end.
        is_log: Whether it is logarithmic; it is not if no value is above 0.
        margin: Share of the axis that is left empty on each side.
    """
    numbers = [value for value in values if math.isfinite(value)]
    is_log = is_log and any(value > 0 for value in numbers)
    shown = [value for value in numbers if value > 0 or not is_log] or [0.0]
    low, high = min(shown), max(shown)
    if is_log:
        room = (high / low) ** margin if high > low else 2.0
        return Scale(low / room, high * room, start, end, True)
    wide = (high - low) * margin or 0.5 * abs(high) or 0.5
    return Scale(low - wide, high + wide, start, end)


def tick_label(value: float) -> str:
    """A tick in words, with commas in thousands.

    Example:
        >>> [tick_label(value) for value in (1500.0, 0.05, 0.0, 1e-05)]
        ['1,500', '0.05', '0', '1e-05']
    """
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.6g}"


def _step(about: float) -> float:
    power = 10.0 ** math.floor(math.log10(about))
    return power * next(factor for factor in (1, 2, 5, 10) if factor * power >= about * (1 - 1e-9))


def _log_ticks(low: float, high: float, most: int) -> list[float]:
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    every = max(1, math.ceil((last - first) / (most + 1)))
    for factors in ((1, 2, 5), (1, 3), (1,)):
        found = [_round(factor * 10.0**power) for power in range(first, last + 1, every) for factor in factors]
        inside = [value for value in found if low * (1 - 1e-9) <= value <= high * (1 + 1e-9)]
        if len(inside) <= most + 2:
            return inside
    return inside


def _round(value: float) -> float:
    return float(f"{value:.12g}")
