"""What a run records by itself: ``metrics.csv``, ``config.yaml`` and checkpoints."""

from __future__ import annotations

import csv
import errno
import io
import json
import os
from collections.abc import Mapping
from contextlib import nullcontext, suppress
from pathlib import Path
from typing import Any

import torch
from lightning.fabric.plugins.io import TorchCheckpointIO
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.cli import SaveConfigCallback
from lightning.pytorch.loggers import CSVLogger
from lightning.pytorch.utilities import rank_zero_only
from torch import Tensor

from parity_lightning.atomic_write import atomic_write, sync_file
from parity_lightning.checkpoint_file import read_checkpoint
from parity_lightning.thinning import is_recorded


class RunMetrics(CSVLogger):
    """Writes ``metrics.csv`` into the run's folder, row by row; hyperparameters stand in ``config.yaml`` there already.

    Of long runs not every evaluation is written, see `is_recorded`; the last one always is.

    Args:
        folder: The run's folder.
        every: SGD steps between evaluations.
        begins_at: The step at which the run goes on, if the folder holds an earlier part of it: rows up to there stay,
            later ones will come once more.
    """

    def __init__(self, folder: Path, every: int, begins_at: int = 0) -> None:
        super().__init__(save_dir=folder.parent, name="", version=folder.name)
        self._path = folder / "metrics.csv"
        self._every = every
        self._begins_at = begins_at
        self._columns: list[str] = []
        self._is_open = False
        self._left_out: dict[str, Any] | None = None

    @property
    def experiment(self) -> None:
        """Nothing: there is no more to it than the file."""

    @rank_zero_only
    def log_metrics(self, metrics: Mapping[str, Any], step: int | None = None) -> None:
        """Writes a row, without Lightning's ``epoch``: an endless stream has but one."""
        row: dict[str, Any] = {
            name: value.item() if isinstance(value, Tensor) else value for name, value in metrics.items()
        }
        row.pop("epoch", None)
        row["step"] = reached = step or 0
        if is_recorded(reached, self._every):
            self._left_out = None
            self._write(row)
        else:
            self._left_out = row

    def log_hyperparams(self, params: Any = None) -> None:
        """Writes nothing."""

    def save(self) -> None:
        """Does nothing: rows are written as they come."""

    @rank_zero_only
    def finalize(self, status: str) -> None:
        """Writes the last row, if it was left out."""
        if self._left_out is not None:
            # Of a run that has failed, perhaps because nothing can be written, what is possible.
            with nullcontext() if status == "success" else suppress(OSError):
                self._write(self._left_out)
            self._left_out = None

    def _write(self, row: Mapping[str, Any]) -> None:
        if not self._is_open or not set(row) <= set(self._columns):
            self._open(row)
        text = io.StringIO()
        csv.DictWriter(text, self._columns, lineterminator="\n").writerow(row)
        # One call, which never makes a new file: should the folder be gone, that is not to go unnoticed.
        descriptor = os.open(self._path, os.O_WRONLY | os.O_APPEND | getattr(os, "O_NOFOLLOW", 0))
        try:
            row_text = text.getvalue().encode()
            if os.write(descriptor, row_text) < len(row_text):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self._path))
        finally:
            os.close(descriptor)

    def _open(self, row: Mapping[str, Any]) -> None:
        """Writes the header, with the columns of a row that is to come, and the rows so far."""
        rows = _rows_of(self._path)
        if not self._is_open:
            rows = [earlier for earlier in rows if int(earlier["step"]) <= self._begins_at]
        self._columns = sorted({*row, *(rows[0] if rows else []), *self._columns})
        with atomic_write(self._path) as new, new.open("w", newline="") as file:
            writer = csv.DictWriter(file, self._columns, lineterminator="\n")
            writer.writeheader()
            writer.writerows(rows)
        self._is_open = True


def _rows_of(path: Path) -> list[dict[str, str]]:
    """The rows of a file, without one that was not written to its end; none if there is no file."""
    if not path.exists():
        return []
    text = path.read_text()
    rows = csv.DictReader(io.StringIO(text[: text.rfind("\n") + 1]))
    return [row for row in rows if None not in row and None not in row.values() and row.get("step", "").isdigit()]


class WholeCheckpoints(TorchCheckpointIO):
    """Writes checkpoints that are there as a whole or not at all."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None) -> None:
        """Writes a checkpoint; an earlier one of this name is there until the new one is."""
        if storage_options is not None:
            super().save_checkpoint(checkpoint, path, storage_options)
            return
        content = io.BytesIO()
        torch.save(checkpoint, content)
        # A run goes on from here, and the rows until here are not computed again.
        if (metrics := Path(path).parent.parent / "metrics.csv").exists():
            sync_file(metrics)
        Path(path).parent.mkdir(exist_ok=True)
        with atomic_write(Path(path)) as new:
            # Not by torch.save, whose errors do not say that the disk is full.
            new.write_bytes(content.getbuffer())

    def load_checkpoint(self, path: Any, map_location: Any = None, weights_only: bool | None = None) -> dict[str, Any]:
        """Reads a checkpoint, whoever chose it; its checksums are compared, and no code runs from it.

        Raises:
            DamagedCheckpoint: If it is not what was written.
            UnsafeCheckpoint: If it holds more than tensors, numbers and strings.
        """
        return read_checkpoint(Path(path))


class SaveConfig(SaveConfigCallback):
    """Saves ``config.yaml`` and tells loggers that keep settings, such as W&B's, the configuration."""

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Saves all but what ``fit`` alone understands, for the other subcommands take the file, too."""
        self.config.pop("resume", None)
        super().setup(trainer, pl_module, stage)

    def save_config(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Passes the configuration on."""
        config = json.loads(self.parser.dump(self.config, skip_none=False, format="json"))
        for logger in trainer.loggers:
            logger.log_hyperparams(config)
