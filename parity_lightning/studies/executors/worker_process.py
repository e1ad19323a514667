"""What a process does that runs leased trials for another one."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import traceback
from typing import Any

from parity_lightning.engine.trial import MixedComputation
from parity_lightning.errors import SettingError
from parity_lightning.studies.agenda import Lease
from parity_lightning.studies.packs import Pack
from parity_lightning.studies.work import Work

FATAL = (SettingError, MixedComputation)
"""What no other worker could do better: it ends the study."""


def in_a_line(error: Exception | str) -> str:
    """An error in a line, with its class."""
    text = error if isinstance(error, str) else f"{type(error).__name__}: {error}"
    return " ".join(text.split())


def serve(work: Work, worker: int, pipe: Any) -> None:
    """Runs leased trials and sends what came of them, until there are no more.

    Args:
        work: How they are run.
        worker: The number of this worker.
        pipe: Takes pairs: ``("lease", pack)`` asks for trials and is answered; ``"results"``, ``"note"``, ``"failed"``
            and ``"fatal"`` are told.
    """
    # Ctrl-C reaches every process of a terminal; the first one decides.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()

    def ask(pack: Pack | None) -> Lease | None:
        pipe.send(("lease", pack))
        lease: Lease | None = pipe.recv()
        return lease

    while (lease := ask(None)) is not None:
        pack = lease.pack
        try:
            for results in work.run(lease, worker, lambda: ask(pack), lambda note: pipe.send(("note", note))):  # noqa: B023
                if results:
                    pipe.send(("results", results))
        except FATAL as error:
            pipe.send(("fatal", " ".join(f"{error}".split())))
            return
        except Exception as error:
            pipe.send(("failed", f"{in_a_line(error)} {_place_of(error)}"))


def _place_of(error: Exception) -> str:
    """Where an error was raised."""
    last = traceback.extract_tb(error.__traceback__)[-1]
    return f"({last.filename}:{last.lineno})"


def _end_with_parent() -> None:
    """Ends this process when the one that started it is killed."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
