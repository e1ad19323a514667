"""The Parquet file of trials: an export of their store, which lies beside it as a journal while they run.

When all trials are done, the store becomes the file, at once or not at all. A file that is extended, by trials or by
values, becomes a store again first; it is replaced when all is done.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from parity_lightning.engine.trial import TrialResult
from parity_lightning.errors import SettingError
from parity_lightning.studies.cells import Cell, Extent
from parity_lightning.studies.export import tables_of, write_parquet
from parity_lightning.studies.recorded_plan import RecordedPlan
from parity_lightning.studies.rows import FORMAT
from parity_lightning.studies.settings import Settings, common_of
from parity_lightning.studies.store import Store

# Names in the file's metadata.
_PLAN = "parity_lightning.plan"
_TIMES = "parity_lightning.convergence_times"

# The columns of what came of a trial.
_OUTCOME = TrialResult._fields[1:]

_OPTION = "--output"
_REMOVE = "remove it, or name another file"
_ROWS_AT_ONCE = 50_000


def _digest(times: np.ndarray) -> str:
    return hashlib.sha256(np.ascontiguousarray(times, dtype="<f8").tobytes()).hexdigest()


class TrialsFile:
    """The file of the trials of a plan, there or to be made.

    Args:
        path: The file; its journal has the same name and ends with ``.journal``.
        cells: The cells of the plan.
        settings: What decides the trials of each.
        extent: How many trials each has.
        varied: Paths of settings that have a column in any case.

    Raises:
        SettingError: If there is a file of other trials, or one that is damaged or no file of trials.
    """

    def __init__(
        self,
        path: Path,
        cells: Sequence[Cell],
        settings: Sequence[Settings],
        extent: Extent,
        varied: Sequence[str] = (),
    ) -> None:
        self.path = path
        self.settings = settings
        self.extent = extent
        self._cells = cells
        self._varied = varied
        self._journal = Path(f"{path}.journal")
        self._known: TrialsOnRecord | None = None
        self._times: np.ndarray | None = None
        if path.exists():
            self._known = TrialsOnRecord.of(path)
            self._check(self._known)
            times = self._known.times(path)
            if self.is_complete:
                self._times = times
                # Left by a process that was killed once the file was there; one with rows beyond the file's is refused,
                # and left alone.
                if self._journal.exists():
                    with suppress(SettingError):
                        self._open().remove()

    @property
    def total(self) -> int:
        """How many trials there are to be."""
        return len(self.settings) * self.extent.trials

    @property
    def is_complete(self) -> bool:
        """Whether the file is there with all trials."""
        known = self._known
        return known is not None and (len(known.keys), known.trials) == (len(self.settings), self.extent.trials)

    def _check(self, known: TrialsOnRecord) -> None:
        ours = {each.key for each in self.settings}
        lost = [{**known.common, **own} for key, own in known.keys.items() if key not in ours][:1]
        if why := RecordedPlan(known.first_seed, known.trials, lost).why_not_in(self.extent, self.settings):
            raise SettingError(_OPTION, self.path, why)

    def _open(self) -> Store:
        return Store(self._journal, self._cells, self.settings, self.extent, _OPTION, self.path)

    def store(self) -> Store:
        """Opens the store of the trials, with the rows of the file if there is one.

        Raises:
            SettingError: If it cannot be opened.
        """
        store = self._open()
        if self._known is not None:
            try:
                place_of = {each.key: place for place, each in enumerate(self.settings)}
                places = [place_of[key] for key in self._known.keys]
                for some in self._known.rows(self.path, places):
                    store.add_rows(some)
            except BaseException:
                store.close()
                raise
        return store

    def finish(self, store: Store) -> None:
        """Makes the file of a store that has all trials, and removes the store.

        Raises:
            OSError: If it cannot be written.
        """
        self._times = store.convergence_times()
        common = common_of(self.settings)
        plan = {
            "format": FORMAT,
            "first_seed": self.extent.first_seed,
            "trials": self.extent.trials,
            "common": common,
            "keys": {each.key: each.beside(common) for each in self.settings},
        }
        metadata = {_PLAN: json.dumps(plan, default=str), _TIMES: _digest(self._times.reshape(-1))}
        write_parquet(self.path, tables_of(self.settings, self.extent.first_seed, store.rows(), self._varied), metadata)
        # Not before the file is on disk.
        store.remove()

    def convergence_times(self) -> np.ndarray:
        """The convergence times of a complete file, of shape ``(cells, trials)``; infinite where not solved."""
        assert self._times is not None
        if self._known is not None and self.is_complete:
            # The file has the order in which its cells came.
            place_of = {key: place for place, key in enumerate(self._known.keys)}
            return self._times.reshape(-1, self.extent.trials)[[place_of[each.key] for each in self.settings]]
        return self._times.reshape(-1, self.extent.trials)


def _damaged(path: Path, error: Exception) -> SettingError:
    return SettingError(_OPTION, path, f"is damaged ({' '.join(str(error).split())[:100]}); {_REMOVE}")


class TrialsOnRecord(NamedTuple):
    """The plan that a Parquet file has in its metadata.

    Attributes:
        first_seed: The seed of the first trial of each cell.
        trials: How many trials each cell has.
        common: The settings of all cells.
        keys: The keys of the cells in their order, with the settings of each that not all have.
        digest: Of the convergence times.
    """

    first_seed: int
    trials: int
    common: dict[str, Any]
    keys: dict[str, dict[str, Any]]
    digest: str

    @classmethod
    def of(cls, path: Path) -> TrialsOnRecord:
        """Reads the plan of a file.

        Raises:
            SettingError: If it has none, or one of another format.
        """
        import pyarrow.parquet as parquet

        try:
            metadata = parquet.read_schema(path).metadata or {}
            plan = json.loads(metadata[_PLAN.encode()])
            digest = metadata[_TIMES.encode()].decode()
            known = cls(plan["first_seed"], plan["trials"], plan["common"], plan["keys"], digest)
            written = plan["format"]
        except Exception as error:
            # A damaged file may raise anything.
            message = "holds something else than trials of this version; name another file"
            raise SettingError(_OPTION, path, message) from error
        if written != FORMAT:
            message = f"is of format {written}, and this version writes {FORMAT}; name another file"
            raise SettingError(_OPTION, path, message)
        return known

    def times(self, path: Path) -> np.ndarray:
        """The convergence times in the file, checked against the digest that was written with them."""
        import pyarrow.parquet as parquet

        try:
            columns = {}
            # Of all columns, for the checksums of their pages; and those that trials have, for a name may be damaged.
            for name in dict.fromkeys((*parquet.read_schema(path).names, *_OUTCOME)):
                column = parquet.read_table(path, columns=[name], page_checksum_verification=True)[name]
                if name == "convergence_time":
                    columns[name] = np.array(column.to_numpy(), dtype=float)
            times = columns["convergence_time"]
        except Exception as error:
            raise _damaged(path, error) from error
        times[np.isnan(times)] = np.inf
        total = len(self.keys) * self.trials
        if len(times) != total:
            raise SettingError(_OPTION, path, f"has {len(times):,} rows of {total:,}; {_REMOVE}")
        if self.digest != _digest(times):
            raise SettingError(_OPTION, path, f"has other convergence times than were written; {_REMOVE}")
        return times

    def rows(self, path: Path, places: Sequence[int]) -> Iterator[list[tuple[int, int, TrialResult]]]:
        """The rows of the file, many at a time: the place of the cell, the number of the trial, what came of it.

        Args:
            path: The file.
            places: The places of its cells in another plan.

        Raises:
            SettingError: If it is damaged.
        """
        import pyarrow.parquet as parquet

        number = 0
        for batch in parquet.ParquetFile(path).iter_batches(_ROWS_AT_ONCE, columns=list(_OUTCOME)):
            rows = []
            try:
                for row in batch.to_pylist():
                    cell, trial = divmod(number, self.trials)
                    row |= {name: tuple(row[name]) for name in ("support", "reached")}
                    rows.append((places[cell], trial, TrialResult(number, **row)))
                    number += 1
            except (TypeError, ValueError, KeyError, IndexError) as error:
                raise _damaged(path, error) from error
            yield rows
