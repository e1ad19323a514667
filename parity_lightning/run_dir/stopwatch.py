"""What work has taken: by the clock, and of all cores."""

from __future__ import annotations

import json
import os
import time
from contextlib import suppress
from pathlib import Path

from parity_lightning.run_dir.atomic_write import atomic_write


class Stopwatch:
    """Measures what is done inside of ``with``, in seconds.

    Args:
        file: A file that keeps what was measured, so that a later command adds to it; none keeps nothing.

    Attributes:
        seconds: By the clock.
        core_seconds: The time of cores that this process took, and its child processes that have ended meanwhile: what
            the clock would say on a single free core.

    Example:
        >>> with Stopwatch() as watch:
        ...     total = sum(range(1000))
        >>> watch.seconds < 60
        True
    """

    def __init__(self, file: Path | None = None) -> None:
        self._file = file
        self.seconds = self.core_seconds = 0.0
        if file is not None:
            # Written by hand or half: how long something took is not worth a refusal.
            with suppress(OSError, ValueError, KeyError, TypeError):
                before = json.loads(file.read_text())
                self.seconds, self.core_seconds = float(before["seconds"]), float(before["core_seconds"])

    def __enter__(self) -> Stopwatch:
        self._began = time.monotonic(), _core_seconds()
        return self

    def __exit__(self, *_: object) -> None:
        began, cores_began = self._began
        self.seconds = round(self.seconds + time.monotonic() - began, 1)
        self.core_seconds = round(self.core_seconds + _core_seconds() - cores_began, 1)
        if self._file is not None:
            with atomic_write(self._file) as new:
                new.write_text(json.dumps({"seconds": self.seconds, "core_seconds": self.core_seconds}) + "\n")

    def forget(self) -> None:
        """Leaves out what was done inside of ``with`` so far."""
        self._began = time.monotonic(), _core_seconds()


def _core_seconds() -> float:
    used = os.times()
    return used.user + used.system + used.children_user + used.children_system
