"""What a process does that runs leased trials for another one."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from typing import Any

from parity_lightning.studies.agenda import Lease
from parity_lightning.studies.executors.messages import messages
from parity_lightning.studies.packs import Pack
from parity_lightning.studies.work import Work


def serve(work: Work, worker: int, pipe: Any) -> None:
    """Runs leased trials and sends what came of them, until there are no more.

    Args:
        work: How they are run.
        worker: The number of this worker.
        pipe: Takes pairs: ``("lease", pack)`` asks for trials and is answered; messages are told.
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
        for message in messages(work, worker, lease, lambda: ask(pack)):  # noqa: B023
            pipe.send(message)
            if message[0] == "fatal":
                return


def _end_with_parent() -> None:
    """Ends this process when the one that started it is killed."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
