"""A file of trials that is only read: what each cell is, and what came of its trials."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from parity_lightning.studies.cells import Extent
from parity_lightning.studies.settings import Settings
from parity_lightning.studies.stored_study import OUTCOMES
from parity_lightning.studies.trials_file import TrialsOnRecord

# What a row has for itself, beside its outcome.
_OF_EACH_TRIAL = {"seed", "solved", *OUTCOMES}


class StoredTrials:
    """Reads the Parquet file of trials, as `StoredStudy` reads a store.

    Args:
        path: The file.

    Raises:
        SettingError: If it is no file of trials, damaged, or of another version.

    Attributes:
        extent: How many trials each cell has.
        varied: The columns that vary.
        shared: What stands beside every trial, by column.
        own: What stands beside the trials of each cell and not beside all, by column.
        settings: What decides the trials of each cell.
    """

    def __init__(self, path: Path) -> None:
        import pyarrow.parquet as parquet

        self.path = path
        known = TrialsOnRecord.of(path)
        self._times = known.times(path).reshape(len(known.keys), known.trials)
        self.extent = Extent(known.trials, known.first_seed)
        self.settings = [Settings(known.common, own, {}) for own in known.keys.values()]
        names = [name for name in parquet.read_schema(path).names if name not in _OF_EACH_TRIAL]
        columns = parquet.read_table(path, columns=names)
        cells = columns.take(np.arange(len(known.keys)) * known.trials).to_pylist()
        self.varied = [name for name in names if len({repr(cell[name]) for cell in cells}) > 1]
        self.shared: dict[str, Any] = {name: cells[0][name] for name in names if name not in self.varied}
        self.own = [{name: cell[name] for name in self.varied} for cell in cells]

    def times(self) -> list[np.ndarray]:
        """The convergence times of each cell's trials, infinite where one was not solved."""
        return list(self._times)

    def computed(self) -> list[str]:
        """How trials were computed, all ways that there are."""
        import pyarrow.compute
        import pyarrow.parquet as parquet

        column = parquet.read_table(self.path, columns=["computed"])["computed"]
        found: list[str] = sorted(pyarrow.compute.unique(column).to_pylist())
        return found

    def failures(self) -> list[tuple[int, str]]:
        """None: a file is made when all trials are done."""
        return []

    def close(self) -> None:
        """Does nothing: the file is read at once."""
