"""Where a run writes, and from where it begins."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from lightning.pytorch.utilities import rank_zero_only

from parity_lightning.errors import SettingError
from parity_lightning.run_dir.resume import Checkpoint, check_no_links, find_run, how_it_ended, newest_checkpoint
from parity_lightning.run_dir.run_folder import RunFolder

# The folder of the run, for the processes that a strategy starts anew with the same command.
_FOLDER_VARIABLE = "PARITY_LIGHTNING_RUN_FOLDER"

_LAST = "last"


class RunLocation(NamedTuple):
    """Where a run writes, and from where it begins.

    Attributes:
        path: Its folder.
        held: The same, in the process that answers for it: the first of all devices'.
        goes_on: Whether an earlier run goes on there.
        checkpoint: From which checkpoint.
        begins_at: The SGD steps taken until then.
        threads: How many threads the run had until then, if that is known.
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
        """Lets others write there; removes it if it is new and empty."""
        if self.lock is not None:
            self.lock.release()
            del os.environ[_FOLDER_VARIABLE]


def locate_run(parent: Path, label: str, config: Any, as_saved: Callable[[], Mapping[str, Any]]) -> RunLocation:
    """Makes a folder for a run or, if it is to go on, finds it.

    Args:
        parent: The folder of runs.
        label: What the run is, the end of its folder's name.
        config: Its configuration.
        as_saved: Tells the configuration as it stands in a ``config.yaml``.

    Raises:
        SettingError: If there is no such run, somebody else writes there, or nothing can be written.
        SystemExit: With 0 if the run that is to go on has come to its end.
    """
    last, auto = config.ckpt_path == _LAST, config.resume == "auto"
    is_first = not getattr(rank_zero_only, "rank", 0)
    if _FOLDER_VARIABLE in os.environ:
        path = Path(os.environ[_FOLDER_VARIABLE])
        return _going_on(path, None) if last or auto else RunLocation(path, None)
    if auto and config.ckpt_path not in (None, _LAST):
        raise SettingError("--resume", "auto", "goes on from the run's own checkpoints; leave --ckpt_path out")
    found = find_run(parent, label, as_saved(), from_seed=not last) if last or auto else None
    if found is None:
        if last:
            raise SettingError("--ckpt_path", _LAST, f"there is no earlier run of these settings below {parent}")
        # Of all processes, only the first one's name is used.
        return (
            RunLocation(*_held(RunFolder.new(parent, label))) if is_first else RunLocation(parent / "of-rank-0", None)
        )
    _check_goes_on(found, config.trainer.max_steps)
    check_no_links(found)
    lock = RunFolder(found) if is_first else None
    try:
        # Until it was held, it may have come to its end.
        _check_goes_on(found, config.trainer.max_steps)
        location = _going_on(found, lock)
    except BaseException:
        if lock is not None:
            lock.release()
        raise
    os.environ[_FOLDER_VARIABLE] = str(found)
    if is_first:
        print(f"going on with {os.path.relpath(found)} from step {location.begins_at:,}", flush=True)
    return location


def _check_goes_on(folder: Path, max_steps: int) -> None:
    if end := how_it_ended(folder, max_steps):
        print(f"nothing to do: {os.path.relpath(folder)} ended, {end}", flush=True)
        raise SystemExit(0)


def _held(folder: RunFolder) -> tuple[Path, RunFolder]:
    os.environ[_FOLDER_VARIABLE] = str(folder.path)
    return folder.path, folder


def _going_on(path: Path, lock: RunFolder | None) -> RunLocation:
    checkpoint: Checkpoint = newest_checkpoint(path)
    if lock is not None:
        for file in checkpoint.damaged:
            print(f"{os.path.relpath(file)} is damaged; an earlier checkpoint is used", file=sys.stderr, flush=True)
        if checkpoint.step and not (path / "metrics.csv").exists():
            print(f"metrics.csv is gone; it will begin after step {checkpoint.step:,}", file=sys.stderr, flush=True)
    # A run of which this process has only heard may be a new one.
    return RunLocation(
        path, lock, (path / "config.yaml").exists(), checkpoint.path, checkpoint.step, checkpoint.threads
    )
