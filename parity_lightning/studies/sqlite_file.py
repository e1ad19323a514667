"""An SQLite file that one process writes: opened, locked and checked."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from filelock import FileLock, Timeout

from parity_lightning.errors import SettingError
from parity_lightning.run_dir.atomic_write import sync_folder

ENDINGS = ("", "-wal", "-shm")
"""Of the files that belong to a database."""


class SQLiteFile:
    """A database in WAL mode with a lock against a second writer.

    Args:
        path: The file, made if there is none.
        option: The option that names it, for messages.
        shown: What the option was given.

    Raises:
        SettingError: If it is damaged, cannot be written, is being written by another process, or a link lies in its
            place.

    Attributes:
        database: The connection.
        is_new: Whether there was no such file.
    """

    def __init__(self, path: Path, option: str, shown: Path) -> None:
        self.path = path
        self._option = option
        self._shown = shown
        for ending in (*ENDINGS, ".lock"):
            if Path(f"{path}{ending}").is_symlink():
                raise SettingError(option, shown, f"{path}{ending} is a link, which would be followed; remove it")
        self.is_new = not path.exists()
        self._lock: FileLock | None = None
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._lock = FileLock(f"{path}.lock")
            self._lock.acquire(timeout=0)
            self.database = sqlite3.connect(path)
            # A row whose checksum differs was damaged.
            self.database.text_factory = lambda text: text.decode(errors="replace")
            self.database.execute("PRAGMA journal_mode=WAL")
            # A row that was committed survives a power failure.
            self.database.execute("PRAGMA synchronous=FULL")
            if not self.is_new:
                (verdict,) = self.database.execute("PRAGMA integrity_check(1)").fetchone()
                if verdict != "ok":
                    raise sqlite3.DatabaseError(" ".join(verdict.split()))
            else:
                sync_folder(path.parent)
        except Timeout:
            self._lock = None
            raise SettingError(option, shown, "is being written by another process; wait for it") from None
        except (OSError, sqlite3.Error, UnicodeDecodeError) as error:
            self.close()
            raise self.explained(error) from error

    def explained(self, error: Exception) -> SettingError:
        """What an error of the database means for the user."""
        # An error's text may hold what was damaged, and then sqlite3 cannot decode it.
        if not self.is_new and type(error) in (sqlite3.DatabaseError, UnicodeDecodeError):
            what = "is" if self.path == self._shown else f"its journal {self.path} is"
            return SettingError(
                self._option, self._shown, f"{what} damaged ({error}); remove it to run the trials again"
            )
        return SettingError(self._option, self._shown, f"cannot be written ({error}); name another file")

    def close(self) -> None:
        """Closes the file and releases its lock."""
        if database := self.__dict__.pop("database", None):
            database.close()
        if self._lock is not None:
            # In this order: once it is released, another process may lock the file, which must not be removed then.
            Path(self._lock.lock_file).unlink(missing_ok=True)
            self._lock.release()
            self._lock = None

    def remove(self) -> None:
        """Closes and removes the file."""
        self.close()
        remove_database(self.path)


def remove_database(path: Path) -> None:
    """Removes a database and what belongs to it, if it is there."""
    files = [Path(f"{path}{ending}") for ending in ENDINGS]
    if any(file.exists() for file in files):
        for file in files:
            file.unlink(missing_ok=True)
        sync_folder(path.parent)
