"""What a worker tells of the trials that it runs, whatever carries it: pairs of a kind and its content."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterator
from typing import Any

from parity_lightning.engine.trial import MixedComputation
from parity_lightning.errors import SettingError
from parity_lightning.studies.agenda import Lease
from parity_lightning.studies.executors.one_line import in_a_line
from parity_lightning.studies.work import Work

FATAL = (SettingError, MixedComputation)
"""What no other worker could do better: it ends the study."""

Message = tuple[str, Any]
"""``("results", list of TrialResult)``, ``("note", text)``, and at the end, if so, ``("failed", text)`` or
``("fatal", text)``."""


def messages(work: Work, worker: int, first: Lease, more: Callable[[], Lease | None]) -> Iterator[Message]:
    """Runs leased trials, and further ones of the same pack, and tells what comes of them.

    Args:
        work: How they are run.
        worker: The number of the worker.
        first: The first trials.
        more: Asks for more trials of the same pack.

    Yields:
        Messages; the last is one of a failure, if there was one.
    """
    notes: list[str] = []
    try:
        for results in work.run(first, worker, more, notes.append):
            while notes:
                yield "note", notes.pop()
            if results:
                yield "results", results
    except FATAL as error:
        yield "fatal", " ".join(f"{error}".split())
    except Exception as error:
        yield "failed", f"{in_a_line(error)} {_place_of(error)}"


def _place_of(error: Exception) -> str:
    """Where an error was raised."""
    last = traceback.extract_tb(error.__traceback__)[-1]
    return f"({last.filename}:{last.lineno})"
