"""The picture of a study: median convergence times against a number that varies."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from matplotlib.figure import Figure

from parity_lightning.display.course_panel import draw_courses
from parity_lightning.display.style import PALETTE, draw_to
from parity_lightning.statistics.scaling import Course


def draw_course_picture(path: Path, courses: Sequence[Course], title: str, limit: float) -> Path:
    """Draws medians against a number, and the power laws fitted to them, into a PNG file.

    Args:
        path: The file; an older one is replaced.
        courses: At least one; of more than there are colours the first.
        title: What was run.
        limit: How many steps trials were given at most.

    Returns:
        The path.
    """

    def draw(figure: Figure) -> None:
        figure.suptitle(title)
        draw_courses(figure.subplots(), courses, limit)
        if len(courses) > len(PALETTE):
            figure.text(0.99, 0.005, f"the first {len(PALETTE)} of {len(courses):,}", ha="right", fontsize=8)

    return draw_to(path, draw, (8, 5 + 0.1 * min(len(courses), len(PALETTE))))
