"""Fitted power laws in words."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from parity_lightning.display.table import format_value
from parity_lightning.statistics.scaling import ScalingCurve

_MOST = 40


def power_laws(curves: Sequence[ScalingCurve]) -> Iterator[str]:
    """A line for each power law that was fitted.

    Example:
        >>> import numpy as np
        >>> from parity_lightning.statistics.scaling import scaling_curves
        >>> settings = [{"n": n, "max_steps": 999} for n in (10, 20, 40)]
        >>> times = [np.full(3, 5.0), np.full(3, 20.0), np.full(3, np.inf)]
        >>> for line in power_laws(scaling_curves(settings, ["n"], times)): print(line)
        t_c ~ n^2.00 (95 % interval 2.00 to 2.00), fitted to 2 medians; 1 more was not reached
    """
    for curve in curves[:_MOST]:
        if (law := curve.law) is not None:
            others = ", ".join(f"{name}={format_value(value)}" for name, value in curve.others.items())
            name = f"{others}: " if others else ""
            ends = f"(95 % interval {law.low:.2f} to {law.high:.2f})"
            were = "was" if law.unsolved == 1 else "were"
            missing = f"; {law.unsolved} more {were} not reached" if law.unsolved else ""
            yield f"{name}t_c ~ {curve.column}^{law.exponent:.2f} {ends}, fitted to {law.points} medians{missing}"
