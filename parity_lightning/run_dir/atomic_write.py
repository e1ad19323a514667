"""Files that are complete or absent, even after a power failure."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_PREFIX = ".new-"


@contextmanager
def atomic_write(path: Path) -> Iterator[Path]:
    """Gives a path to write to; once all is written, that file replaces ``path`` in one step.

    If the process dies midway, the old file is intact. When this returns, the new one survives a power failure: the
    file and then its folder have been synced.

    Args:
        path: The file in the end; its folder must exist. A symbolic link there is replaced, not followed.

    Yields:
        A path in the same folder, with the same ending.
    """
    new = path.with_name(f"{_PREFIX}{path.name}")
    # Made here, and not by the writer, which would follow a symbolic link of that name.
    new.unlink(missing_ok=True)
    os.close(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666))
    try:
        yield new
        sync_file(new)
        os.replace(new, path)
        sync_folder(path.parent)
    except BaseException as error:
        new.unlink(missing_ok=True)
        if isinstance(error, OSError) and error.filename is None:
            # A write to an open file raises without its name.
            error.filename = str(path)
        raise


def sync_file(path: Path) -> None:
    """Returns once the content of a file is on disk."""
    # Windows syncs only what is open for writing.
    with path.open("rb" if os.name == "posix" else "r+b") as file:
        os.fsync(file.fileno())


def sync_folder(folder: Path) -> None:
    """Returns once the names in a folder are on disk: of files made, renamed and removed."""
    if not hasattr(os, "O_DIRECTORY"):
        # Windows has no such call.
        return
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def remove_unfinished(folder: Path) -> None:
    """Removes half-written files that a killed process has left in a folder and those below it."""
    for path in folder.rglob(f"{_PREFIX}*"):
        path.unlink(missing_ok=True)
