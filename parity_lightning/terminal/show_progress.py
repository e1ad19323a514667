"""Progress in the way that suits: live on a terminal, a line now and then elsewhere, nothing with ``--quiet``."""

from __future__ import annotations

import sys

from parity_lightning.terminal.output import is_quiet
from parity_lightning.terminal.progress import Progress, ProgressLines
from parity_lightning.terminal.streams import is_terminal


def show_progress(what: str, unit: str, total: int | None, window: float = float("inf")) -> Progress:
    """Shows progress in the way that suits standard error.

    Args:
        what: What is running, in a word.
        unit: What is counted.
        total: How many there are to be; None if nobody knows.
        window: Over how many of the last seconds the rate is taken.
    """
    if is_quiet():
        return Progress(what, unit, total, window)
    if not is_terminal(sys.stderr):
        return ProgressLines(what, unit, total, window)
    # A terminal alone is worth the time that it takes to import rich.
    from parity_lightning.terminal.live import LiveProgress

    return LiveProgress(what, unit, total, window)
