"""One new folder for all that a run writes."""

from __future__ import annotations

import glob
import re
import shutil
import time
from contextlib import suppress
from pathlib import Path

from filelock import FileLock, Timeout

from parity_lightning.errors import SettingError

_TIME = "%Y%m%d-%H%M%S"
_TIME_LENGTH = len("20260101-120000")


class RunFolder:
    """The folder of a run, locked against other processes.

    Args:
        path: The folder of an earlier run, to be resumed.

    Raises:
        SettingError: If another process has locked it.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._made: list[Path] = []
        self._lock = FileLock(path / ".lock")
        try:
            self._lock.acquire(timeout=0)
        except Timeout:
            message = "is being trained by another process; wait for it, or leave --ckpt_path and --resume out"
            raise SettingError("default_root_dir", path, message) from None

    @classmethod
    def new(cls, parent: Path, label: str, option: str = "default_root_dir") -> RunFolder:
        """Makes a new folder and locks it.

        Args:
            parent: Below which folder.
            label: What the run is, the end of the folder's name; its beginning is the time.
            option: The option that an error names.

        Raises:
            SettingError: If it cannot be made.
        """
        made: list[Path] = []
        try:
            _make_parents(parent, made)
            label = re.sub(r"[^\w.,=+-]+", "_", label)
            folder = cls(_reserve(parent, f"{_time_of_new(parent, label)}-{label}", made))
        except OSError as error:
            _remove(made)
            raise SettingError(
                option, parent, f"cannot be written ({error.strerror}); name a folder that can"
            ) from error
        folder._made = made
        return folder

    def discard(self) -> None:
        """Removes the folder of a run that was refused after it had begun to write there."""
        if self._made:
            self._unlock()
            shutil.rmtree(self.path, ignore_errors=True)

    def release(self) -> None:
        """Unlocks it, and removes the folders that were made for it, as far as they are empty."""
        self._unlock()
        _remove(self._made)

    def _unlock(self) -> None:
        # In this order: once it is released, another process may lock the file, which must not be removed then.
        Path(self._lock.lock_file).unlink(missing_ok=True)
        self._lock.release()


def unused(path: Path) -> Path:
    """Returns ``path``, or the first of ``name-2.end``, ``name-3.end``, ... that does not exist yet."""
    candidate, number = path, 1
    while candidate.exists():
        number += 1
        candidate = path.with_stem(f"{path.stem}-{number}")
    return candidate


def _time_of_new(parent: Path, label: str) -> str:
    """The time now or, should the clock have been set back, that of the newest folder of this label.

    The newest run is found by the names of folders, so they must never sort before older ones.
    """
    known = (path.name[:_TIME_LENGTH] for path in parent.glob(f"{'[0-9]' * 8}-{'[0-9]' * 6}-{glob.escape(label)}*"))
    return max([time.strftime(_TIME), *known])


def _reserve(parent: Path, name: str, made: list[Path]) -> Path:
    number = 1
    while True:
        path = parent / (name if number == 1 else f"{name}-{number}")
        try:
            # Atomic: of several runs that start in the same second, each gets its own.
            path.mkdir()
        except FileExistsError:
            number += 1
        else:
            made.append(path)
            return path


def _make_parents(folder: Path, made: list[Path]) -> None:
    missing = [path for path in (folder, *folder.parents) if not path.exists()]
    for path in reversed(missing):
        path.mkdir(exist_ok=True)
        made.append(path)


def _remove(made: list[Path]) -> None:
    for path in reversed(made):
        with suppress(OSError):
            path.rmdir()
