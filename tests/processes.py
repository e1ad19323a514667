"""The command line in processes of its own, which start in no time: they have everything imported already."""

from __future__ import annotations

import multiprocessing
import os
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

from tqdm import tqdm

from parity_lightning.cli import main

FRESH = multiprocessing.get_context("forkserver")
FRESH.set_forkserver_preload(["parity_lightning.cli.training"])


def quiet_main(arguments: Sequence[str], told: Path) -> None:
    """Runs the command line and has what it says go into a file."""
    sys.path.insert(0, str(Path(__file__).parent))
    # All children of the fork server would share one lock, and a child that is killed may hold it.
    tqdm.set_lock(threading.RLock())
    file = os.open(told, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.dup2(file, 1)
    os.dup2(file, 2)
    main(arguments)


def run(arguments: Sequence[str], told: Path, seconds: float | None = None) -> bool:
    """Runs a command and, after so many seconds, kills it; returns whether it had come to its end."""
    process = FRESH.Process(target=quiet_main, args=(list(arguments), told))
    process.start()
    process.join(seconds)
    if process.exitcode is None:
        process.kill()
        process.join()
        return False
    assert process.exitcode == 0, told.read_text()
    return True


def refusal(arguments: Sequence[str], told: Path) -> str:
    """Runs a command that is refused; returns the line that says why."""
    process = FRESH.Process(target=quiet_main, args=(list(arguments), told))
    process.start()
    process.join()
    assert process.exitcode == 2
    return told.read_text().splitlines()[-1]
