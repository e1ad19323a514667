"""The files through which jobs and the coordinator speak: what was submitted, and what came of it.

A batch, which is one job array, has a folder. Its `batch.json` says which trials each task has; cells stand there by
their keys and trials by their seeds, which mean the same after a study has grown. Every attempt at a task writes lines
to a file of its own: a job that SLURM believes dead and has begun again elsewhere may go on writing to the first one.
A line has a checksum and is on disk when its write has returned; one that was torn, or damaged, is not taken.
"""

from __future__ import annotations

import json
import os
import shutil
import zlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from parity_lightning.run_dir.atomic_write import atomic_write, sync_folder

_PLAN = "batch.json"
_CANCELLED = "cancelled"
_LINES = ".jsonl"

Trials = Mapping[str, Sequence[int]]
"""Seeds by the keys of their cells."""

Line = dict[str, Any]
"""What a job tells: one kind with its content."""


class Lines:
    """A file of lines, which grows by whole ones; made for a new attempt at a task.

    Args:
        folder: The folder of the batch.
        task: Which of its tasks.
    """

    def __init__(self, folder: Path, task: int) -> None:
        attempt = len(attempts_of(folder, task))
        while True:
            try:
                flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_EXCL
                self._file = os.open(folder / f"{task}.{attempt}{_LINES}", flags, 0o600)
                break
            except FileExistsError:
                attempt += 1
        sync_folder(folder)

    def write(self, lines: Sequence[Line]) -> None:
        """Writes lines; they are on disk when this returns."""
        text = b"".join(map(_encoded, lines))
        while text:
            text = text[os.write(self._file, text) :]
        os.fsync(self._file)

    def close(self) -> None:
        """Closes the file."""
        os.close(self._file)


def _encoded(line: Line) -> bytes:
    text = json.dumps(line)
    return f"[{zlib.crc32(text.encode())}, {text}]\n".encode()


def read_lines(path: Path, offset: int = 0) -> tuple[list[Line | None], int]:
    """Reads the whole lines of a file; one that has no end yet is left for later.

    Args:
        path: The file.
        offset: Where to begin.

    Returns:
        The lines, None for one that is not what was written, and where to go on.
    """
    with path.open("rb") as file:
        file.seek(offset)
        whole, end, _ = file.read().rpartition(b"\n")
    return [_decoded(text) for text in whole.split(b"\n")] if end else [], offset + len(whole) + len(end)


def _decoded(text: bytes) -> Line | None:
    try:
        checksum, line = json.loads(text)
        return line if zlib.crc32(json.dumps(line).encode()) == checksum else None
    except (ValueError, TypeError):
        return None


def attempts_of(folder: Path, task: int) -> list[Path]:
    """The files of the attempts at a task, the first attempt's first."""
    return sorted(folder.glob(f"{task}.*{_LINES}"), key=lambda path: int(path.name.split(".")[1]))


class Growth(NamedTuple):
    """Lines that have come.

    Attributes:
        task: Of which task.
        attempt: Of which attempt at it.
        lines: The lines.
    """

    task: int
    attempt: int
    lines: list[Line | None]


class Batch:
    """What was submitted as one job array.

    Args:
        folder: Its folder; its name is that of the jobs.
        tasks: The trials of each task.
    """

    def __init__(self, folder: Path, tasks: Sequence[Trials]) -> None:
        self.folder = folder
        self.name = folder.name
        self.tasks = tasks
        self._read: dict[str, int] = {}

    @classmethod
    def new(cls, folder: Path, tasks: Sequence[Trials]) -> Batch:
        """Makes the folder, before anything is submitted."""
        folder.mkdir(mode=0o700)
        with atomic_write(folder / _PLAN) as new:
            new.write_text(json.dumps([{key: list(seeds) for key, seeds in task.items()} for task in tasks]))
        sync_folder(folder.parent)
        return cls(folder, tasks)

    @classmethod
    def left_in(cls, spool: Path) -> Iterator[Batch]:
        """The batches that an earlier coordinator has left, the first submitted first."""
        for folder in sorted(spool.iterdir(), key=lambda path: path.stat().st_mtime):
            if folder.is_dir():
                try:
                    yield cls(folder, json.loads((folder / _PLAN).read_text()))
                except (OSError, ValueError):
                    # It was never submitted.
                    shutil.rmtree(folder, ignore_errors=True)

    def growth(self) -> Iterator[Growth]:
        """Reads what has come since the last call."""
        with os.scandir(self.folder) as entries:
            sizes = {entry.name: entry.stat().st_size for entry in entries if entry.name.endswith(_LINES)}
        for name, size in sizes.items():
            if size > self._read.get(name, 0):
                lines, self._read[name] = read_lines(self.folder / name, self._read.get(name, 0))
                if lines:
                    task, attempt, _ = name.split(".")
                    yield Growth(int(task), int(attempt), lines)

    @property
    def is_cancelled(self) -> bool:
        """Whether the jobs were cancelled by the coordinator."""
        return (self.folder / _CANCELLED).exists()

    def note_cancelled(self) -> None:
        """Writes down that the jobs are cancelled: what they have not done, they have not failed at."""
        (self.folder / _CANCELLED).touch()

    def remove(self) -> None:
        """Removes all files."""
        shutil.rmtree(self.folder, ignore_errors=True)
