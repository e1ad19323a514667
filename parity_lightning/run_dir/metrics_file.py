"""The file ``metrics.csv`` of a run."""

from __future__ import annotations

import csv
import errno
import io
import os
from collections.abc import Mapping
from contextlib import nullcontext, suppress
from pathlib import Path
from typing import Any

from lightning.pytorch.loggers import CSVLogger
from lightning.pytorch.utilities import rank_zero_only
from torch import Tensor

from parity_lightning.run_dir.atomic_write import atomic_write
from parity_lightning.run_dir.thinning import is_recorded


class RunMetrics(CSVLogger):
    """Writes ``metrics.csv`` into the run's folder, row by row; hyperparameters are in its ``config.yaml``.

    Of a long run only some evaluations are written, see `is_recorded`; the last one always is.

    Args:
        folder: The run's folder.
        every: SGD steps between evaluations.
        begins_at: The step from which the run is resumed: rows up to it stay, later ones are written once more.
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
        """None: there is nothing but the file."""

    @rank_zero_only
    def log_metrics(self, metrics: Mapping[str, Any], step: int | None = None) -> None:
        """Writes a row, without Lightning's ``epoch``: an endless stream has only one."""
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
            # After a failure, which may be that nothing can be written, the row is written if possible.
            with nullcontext() if status == "success" else suppress(OSError):
                self._write(self._left_out)
            self._left_out = None

    def _write(self, row: Mapping[str, Any]) -> None:
        if not self._is_open or not set(row) <= set(self._columns):
            self._open(row)
        text = io.StringIO()
        csv.DictWriter(text, self._columns, lineterminator="\n").writerow(row)
        # Without O_CREAT: if the folder has been removed, this fails instead of making a new file.
        descriptor = os.open(self._path, os.O_WRONLY | os.O_APPEND | getattr(os, "O_NOFOLLOW", 0))
        try:
            row_text = text.getvalue().encode()
            if os.write(descriptor, row_text) < len(row_text):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self._path))
        finally:
            os.close(descriptor)

    def _open(self, row: Mapping[str, Any]) -> None:
        """Writes the header, with the columns of the next row, and the rows so far."""
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
    """The complete rows of a file; none if there is no file."""
    if not path.exists():
        return []
    text = path.read_text()
    rows = csv.DictReader(io.StringIO(text[: text.rfind("\n") + 1]))
    return [row for row in rows if None not in row and None not in row.values() and row.get("step", "").isdigit()]
