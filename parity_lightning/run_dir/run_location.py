"""Where a run writes, and at which step it begins."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from lightning.pytorch.utilities import rank_zero_only

from parity_lightning.errors import SettingError
from parity_lightning.run_dir.resume import check_no_links, end_of_run, find_run, newest_checkpoint
from parity_lightning.run_dir.run_folder import RunFolder
from parity_lightning.terminal.output import complain, show

# Passes the run's folder on to the processes that a strategy of several devices starts with the same command.
_FOLDER_VARIABLE = "PARITY_LIGHTNING_RUN_FOLDER"

_LAST = "last"


class RunEnded(Exception):
    """The run that is to be resumed has already ended.

    Args:
        folder: Its folder.
        end: How, in words.
    """

    def __init__(self, folder: Path, end: str) -> None:
        super().__init__(f"nothing to do: {os.path.relpath(folder)} ended, {end}")
        self.folder = folder


class RunLocation(NamedTuple):
    """Where a run writes, and at which step it begins.

    Attributes:
        path: The run's folder.
        lock: The lock on the folder, in the process of the first device; None in the others.
        resumed: Whether an earlier run is resumed there.
        checkpoint: The checkpoint it is resumed from; None to begin at step 0.
        begins_at: The SGD steps taken before.
        threads: How many threads the run had before, if that is known.
    """

    path: Path
    lock: RunFolder | None
    resumed: bool = False
    checkpoint: Path | None = None
    begins_at: int = 0
    threads: int | None = None

    def discard(self) -> None:
        """Removes the folder, if it is new."""
        if self.lock is not None:
            self.lock.discard()

    def release(self) -> None:
        """Releases the lock; removes the folder if it is new and empty."""
        if self.lock is not None:
            self.lock.release()
            del os.environ[_FOLDER_VARIABLE]


def locate_run(parent: Path, label: str, config: Any, as_saved: Callable[[], Mapping[str, Any]]) -> RunLocation:
    """Makes a new folder for a run or, if it is to be resumed, finds the earlier one; and locks it.

    Args:
        parent: The folder of all runs.
        label: What the run is, the end of its folder's name.
        config: Its configuration.
        as_saved: Returns the configuration as it stands in a ``config.yaml``.

    Raises:
        SettingError: If there is no such run, another process writes there, or the folder cannot be written.
        RunEnded: If the run to be resumed has already ended.
    """
    last, auto = config.ckpt_path == _LAST, config.resume == "auto"
    is_first = not getattr(rank_zero_only, "rank", 0)
    if _FOLDER_VARIABLE in os.environ:
        path = Path(os.environ[_FOLDER_VARIABLE])
        return _resumed(path, None) if last or auto else RunLocation(path, None)
    if auto and config.ckpt_path not in (None, _LAST):
        raise SettingError("--resume", "auto", "resumes from the run's own checkpoints; leave --ckpt_path out")
    found = find_run(parent, label, as_saved(), from_seed=not last) if last or auto else None
    if found is None:
        if last:
            raise SettingError("--ckpt_path", _LAST, f"there is no earlier run of these settings below {parent}")
        return _new(parent, label, is_first)
    _exit_if_ended(found, config.trainer.max_steps)
    check_no_links(found)
    lock = RunFolder(found) if is_first else None
    try:
        # Before it was locked, another process may have brought it to its end.
        _exit_if_ended(found, config.trainer.max_steps)
        location = _resumed(found, lock)
    except BaseException:
        if lock is not None:
            lock.release()
        raise
    os.environ[_FOLDER_VARIABLE] = str(found)
    if is_first:
        show(f"going on with {os.path.relpath(found)} from step {location.begins_at:,}")
    return location


def _new(parent: Path, label: str, is_first: bool) -> RunLocation:
    if not is_first:
        # Only the first process makes a folder; what the others name is not used.
        return RunLocation(parent / "of-rank-0", None)
    folder = RunFolder.new(parent, label)
    os.environ[_FOLDER_VARIABLE] = str(folder.path)
    return RunLocation(folder.path, folder)


def _exit_if_ended(folder: Path, max_steps: int) -> None:
    if end := end_of_run(folder, max_steps):
        raise RunEnded(folder, end)


def _resumed(path: Path, lock: RunFolder | None) -> RunLocation:
    checkpoint = newest_checkpoint(path)
    if lock is not None:
        for file in checkpoint.damaged:
            complain(f"{os.path.relpath(file)} is damaged; an earlier checkpoint is used")
        if checkpoint.step and not (path / "metrics.csv").exists():
            complain(f"metrics.csv is gone; it will begin after step {checkpoint.step:,}")
    # In the process of another device the run may be a new one that the first process has just made a folder for.
    resumed = (path / "config.yaml").exists()
    return RunLocation(path, lock, resumed, checkpoint.path, checkpoint.step, checkpoint.threads)
