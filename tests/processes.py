"""The command line in processes of its own, which start in no time: they have everything imported already."""

from __future__ import annotations

import multiprocessing
import os
import socket
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from multiprocessing import forkserver
from pathlib import Path
from typing import Any

from lightning.pytorch.utilities import rank_zero_only
from tqdm import tqdm

FRESH = multiprocessing.get_context("forkserver")
# The second is for who starts a process by FRESH alone.
FRESH.set_forkserver_preload(["preloaded", "parity_lightning.cli.training"])


@cache
def _start_server() -> None:
    """Starts the process that the others are forked from, where it finds what it imports: in this folder."""
    before = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = os.pathsep.join([str(Path(__file__).parent), *([before] if before else [])])
    try:
        forkserver.ensure_running()
    finally:
        if before is None:
            del os.environ["PYTHONPATH"]
        else:
            os.environ["PYTHONPATH"] = before


def fresh(target: Callable[..., None], *args: Any) -> Any:
    """Starts a function in a process of its own, and returns the process."""
    _start_server()
    process = FRESH.Process(target=target, args=args)
    process.start()
    return process


def free_port() -> str:
    """A port at which processes can meet."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return str(free.getsockname()[1])


def _set_environment(environment: Mapping[str, str]) -> None:
    os.environ.update(environment)
    for name in ("RANK", "LOCAL_RANK"):
        if name in environment:
            # As it is when Lightning is imported with these variables.
            rank_zero_only.rank = int(environment[name])  # type: ignore[attr-defined]
            break


def quiet_main(
    arguments: Sequence[str], told: Path, cwd: Path | None = None, environment: Mapping[str, str] | None = None
) -> None:
    """Runs the command line and has what it says go into a file.

    Args:
        arguments: Those of the command line.
        told: The file, which is appended to.
        cwd: The folder to run in.
        environment: Variables of the environment to set.
    """
    from parity_lightning.cli import main

    sys.path.insert(0, str(Path(__file__).parent))
    _set_environment(environment or {})
    if cwd is not None:
        os.chdir(cwd)
    # All children of the fork server would share one lock, and a child that is killed may hold it.
    tqdm.set_lock(threading.RLock())
    file = os.open(told, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.dup2(file, 1)
    os.dup2(file, 2)
    main(arguments)


def begin(
    arguments: Sequence[str], told: Path, cwd: Path | None = None, environment: Mapping[str, str] | None = None
) -> Any:
    """Starts the command line, as `quiet_main` does, and returns its process."""
    return fresh(quiet_main, list(arguments), told, cwd, environment)


def run(arguments: Sequence[str], told: Path, seconds: float | None = None) -> bool:
    """Runs a command and, after so many seconds, kills it; returns whether it had come to its end."""
    process = begin(arguments, told)
    process.join(seconds)
    if process.exitcode is None:
        process.kill()
        process.join()
        return False
    assert process.exitcode == 0, told.read_text()
    return True


def refusal(arguments: Sequence[str], told: Path) -> str:
    """Runs a command that is refused; returns the line that says why."""
    process = begin(arguments, told)
    process.join()
    assert process.exitcode == 2
    return told.read_text().splitlines()[-1]
