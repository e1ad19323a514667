"""One new folder for all that a run writes."""

from __future__ import annotations

import shutil
import time
from contextlib import suppress
from pathlib import Path

from parity_lightning.errors import SettingError


class RunFolder:
    """Reserves a folder that no other run has, and gives it back if the run does not start.

    Args:
        parent: Below which folder.
        label: What the run is, the end of the folder's name; its beginning is the time.
    """

    def __init__(self, parent: Path, label: str) -> None:
        self._made: list[Path] = []
        self.path = self._reserve(parent, f"{time.strftime('%Y%m%d-%H%M%S')}-{label}")

    def _reserve(self, parent: Path, name: str) -> Path:
        try:
            self._make_parents(parent)
            number = 1
            while True:
                path = parent / (name if number == 1 else f"{name}-{number}")
                try:
                    # Atomic: of several runs that start in the same second, each gets its own.
                    path.mkdir()
                except FileExistsError:
                    number += 1
                else:
                    self._made.append(path)
                    return path
        except OSError as error:
            self.give_back()
            raise SettingError(
                "default_root_dir", parent, f"cannot be written ({error.strerror}); name a folder that can"
            ) from error

    def _make_parents(self, folder: Path) -> None:
        missing = [path for path in (folder, *folder.parents) if not path.exists()]
        for path in reversed(missing):
            path.mkdir(exist_ok=True)
            self._made.append(path)

    def discard(self) -> None:
        """Removes the folder of a run that was refused after it had begun to write there."""
        shutil.rmtree(self.path, ignore_errors=True)

    def give_back(self) -> None:
        """Removes the folders that were made, as far as they are empty."""
        for path in reversed(self._made):
            with suppress(OSError):
                path.rmdir()
