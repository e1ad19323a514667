"""The picture of a study: median convergence times against a number that varies."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from matplotlib.figure import Figure

from parity_lightning.display.scaling_panel import draw_scaling_curves
from parity_lightning.display.style import PALETTE, draw_to
from parity_lightning.statistics.scaling import ScalingCurve


def draw_scaling_picture(path: Path, curves: Sequence[ScalingCurve], title: str, limit: float) -> Path:
    """Draws medians against a number, and the power laws fitted to them, into a PNG file.

    Args:
        path: The file; an older one is replaced.
        curves: At least one; of more than there are colours the first.
        title: What was run.
        limit: How many steps trials were given at most.

    Returns:
        The path.
    """

    def draw(figure: Figure) -> None:
        figure.suptitle(title)
        draw_scaling_curves(figure.subplots(), curves, limit)
        if len(curves) > len(PALETTE):
            figure.text(0.99, 0.005, f"the first {len(PALETTE)} of {len(curves):,}", ha="right", fontsize=8)

    return draw_to(path, draw, (8, 5 + 0.1 * min(len(curves), len(PALETTE))))
