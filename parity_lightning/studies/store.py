"""The store of a study: one SQLite file, one row a trial, written by one process.

A cell's key is a hash of all that decides its trials, and (cell, trial) is the primary key of a row: a killed process
loses only the trials it was running, and no trial has two rows. A study that is asked for again runs what is missing;
with more values or more trials it runs those. Rows of another study are never mixed in and never removed.
"""

from __future__ import annotations

import errno
import json
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from parity_lightning.engine.trial import TrialResult, check_same_computation
from parity_lightning.errors import SettingError
from parity_lightning.studies.agenda import MOST_FAILURES
from parity_lightning.studies.cells import Cell, Extent
from parity_lightning.studies.recorded_plan import RecordedPlan
from parity_lightning.studies.rows import COLUMNS, FORMAT, TABLES, Row, is_whole, row_of
from parity_lightning.studies.settings import Settings, common_of
from parity_lightning.studies.sqlite_file import SQLiteFile


class Store:
    """What came of the trials of a study.

    Trial j of the cell at place i of the plan has the number ``i * trials + j``.

    Args:
        path: The file.
        cells: The cells of the plan.
        settings: What decides the trials of each.
        extent: How many trials each has.
        option: The option that names the file, for messages.
        shown: What the option was given, if that is another file.
        varied: The columns of what varies.

    Raises:
        SettingError: If the file is damaged, in use, of another version, or of a study that is no part of this one.

    Attributes:
        keys: The names of the cells, in the order of the plan.
        computed: How the rows of each cell were computed, by its place; of those that have rows.
        damaged: How many rows were found damaged and will be run again.
    """

    def __init__(
        self,
        path: Path,
        cells: Sequence[Cell],
        settings: Sequence[Settings],
        extent: Extent,
        option: str = "--store",
        shown: Path | None = None,
        varied: Sequence[str] = (),
    ) -> None:
        self.path = path
        self.extent = extent
        self._option = option
        self._shown = shown or path
        self.keys = [each.key for each in settings]
        self.computed: dict[int, str] = {}
        self.damaged = 0
        self._ids: list[int] = []
        self._place_of: dict[int, int] = {}
        self._file = SQLiteFile(path, option, self._shown)
        try:
            self._database = self._file.database
            self._open(cells, settings, varied)
        except (OSError, sqlite3.Error, UnicodeDecodeError, KeyError, ValueError) as error:
            self.close()
            if isinstance(error, SettingError):
                raise
            # What is missing from a store that could be read was damaged, too.
            damage = error if isinstance(error, (OSError, sqlite3.Error)) else sqlite3.DatabaseError(str(error))
            raise self._file.explained(damage) from error

    def _open(self, cells: Sequence[Cell], settings: Sequence[Settings], varied: Sequence[str]) -> None:
        known = self._known()
        # Before anything is changed: it may be the store of other trials.
        if known is not None:
            self._check(known, settings)
        with self._database:
            for table in TABLES:
                self._database.execute(table)
            self._write_plan(cells, settings, varied)
        keep = ((key,) for key in self.keys)
        with self._database:
            self._database.execute("CREATE TEMPORARY TABLE ours (key TEXT PRIMARY KEY)")
            self._database.executemany("INSERT INTO ours VALUES (?)", keep)
            self._database.execute("DELETE FROM cells WHERE key NOT IN (SELECT key FROM ours)")
        rows = self._database.execute("SELECT id, place FROM cells")
        self._place_of = dict(rows.fetchall())
        self._ids = sorted(self._place_of, key=self._place_of.__getitem__)
        self._check_rows()

    def _known(self) -> dict[str, Any] | None:
        """The plan on record; None of a new file."""
        tables = {name for (name,) in self._database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        if "study" not in tables:
            if tables:
                raise SettingError(self._option, self._shown, "holds something else than trials; name another file")
            return None
        known = {name: json.loads(value) for name, value in self._database.execute("SELECT * FROM study")}
        if not known and not self._database.execute("SELECT 1 FROM trials LIMIT 1").fetchone():
            return None
        if not known:
            raise sqlite3.DatabaseError("it does not say of which trials its rows are")
        if known["format"] != FORMAT:
            message = f"is of format {known['format']}, and this version writes {FORMAT}; name another file"
            raise SettingError(self._option, self._shown, message)
        return known

    def _check(self, known: dict[str, Any], settings: Sequence[Settings]) -> None:
        """Refuses a store that is no part of this study, and says what differs."""
        ours = set(self.keys)
        # Cells without a row are no loss.
        with_rows = "SELECT id, key, settings FROM cells WHERE id IN (SELECT cell FROM trials) ORDER BY place"
        lost = [settings for _, key, settings in self._database.execute(with_rows) if key not in ours]
        (most,) = self._database.execute("SELECT COALESCE(MAX(trial) + 1, 0) FROM trials").fetchone()
        there = RecordedPlan(known["first_seed"], most, [{**known["common"], **json.loads(own)} for own in lost[:1]])
        if most and (why := there.why_not_in(self.extent, settings)):
            raise SettingError(self._option, self._shown, why)

    def _write_plan(self, cells: Sequence[Cell], settings: Sequence[Settings], varied: Sequence[str]) -> None:
        common = common_of(settings)
        plan = {
            "format": FORMAT,
            "first_seed": self.extent.first_seed,
            "trials": self.extent.trials,
            "decided_at": self.extent.decided_at,
            "common": common,
            "varied": list(varied),
        }
        rows = [(name, json.dumps(value, default=str)) for name, value in plan.items()]
        self._database.executemany("INSERT OR REPLACE INTO study VALUES (?, ?)", rows)
        self._database.executemany(
            "INSERT INTO cells (place, key, options, settings, columns) VALUES (?, ?, ?, ?, ?) ON CONFLICT (key) "
            "DO UPDATE SET place = excluded.place, options = excluded.options, settings = excluded.settings",
            (
                (place, key, *(json.dumps(part, default=str) for part in (cell, each.beside(common), each.columns)))
                for place, (cell, each, key) in enumerate(zip(cells, settings, self.keys, strict=True))
            ),
        )

    def _check_rows(self) -> None:
        """Removes rows that are not what was written, and learns how the others were computed."""
        damaged, computed = [], list(COLUMNS).index("computed")
        for row in self._database.execute(f"SELECT {', '.join(COLUMNS)}, checksum FROM trials"):
            place, how = self._place_of.get(row[0]), row[computed]
            if place is None or not is_whole(row) or self.computed.setdefault(place, how) != how:
                damaged.append(row[:2])
        if damaged:
            with self._database:
                self._database.executemany("DELETE FROM trials WHERE cell = ? AND trial = ?", damaged)
        self.damaged = len(damaged)

    @property
    def total(self) -> int:
        """How many trials there are to be."""
        return len(self._ids) * self.extent.trials

    def left(self) -> int:
        """How many trials are to be run of cells that are neither decided nor set aside."""
        times = self.convergence_times()
        done, solved = (~np.isnan(times)).sum(1), np.isfinite(times).sum(1)
        set_aside = self.set_aside()
        return sum(
            self.extent.trials - int(done[place])
            for place in range(len(times))
            if place not in set_aside and not self.extent.is_decided(int(solved[place]), int(done[place]))
        )

    def __len__(self) -> int:
        """How many trials have a row."""
        (count,) = self._database.execute("SELECT COUNT(*) FROM trials").fetchone()
        return int(count)

    def _number(self, cell: int, trial: int) -> int:
        return self._place_of[cell] * self.extent.trials + trial

    def convergence_times(self) -> np.ndarray:
        """The convergence times, of shape ``(cells, trials)``; infinite where a trial was not solved.

        Trials that have no row yet are NaN.
        """
        times = np.full(self.total, np.nan)
        for cell, trial, time in self._database.execute("SELECT cell, trial, convergence_time FROM trials"):
            times[self._number(cell, trial)] = np.inf if time is None else time
        return times.reshape(len(self._ids), self.extent.trials)

    def failures(self) -> dict[int, tuple[int, str]]:
        """How often cells have failed, and why the last time, by their places."""
        rows = self._database.execute("SELECT place, failures, error FROM cells WHERE failures > 0 ORDER BY place")
        return {place: (failures, error) for place, failures, error in rows}

    def set_aside(self) -> dict[int, str]:
        """Why cells have failed so often that they are not run any more, by their places."""
        return {place: error for place, (failures, error) in self.failures().items() if failures >= MOST_FAILURES}

    def record_failure(self, place: int, failures: int, error: str) -> None:
        """Writes down how often a cell has failed by now, and why."""
        statement = "UPDATE cells SET failures = ?, error = ? WHERE place = ?"
        self._execute(statement, [(failures, error, place)])

    def retry_failed(self) -> int:
        """Forgets the failures of all cells, so that they are run again; returns of how many."""
        failed = len(self.failures())
        self._execute("UPDATE cells SET failures = 0 WHERE failures > ?", [(0,)])
        return failed

    def add(self, results: Sequence[TrialResult]) -> None:
        """Writes rows; what is written survives whatever happens to this process or the machine.

        Raises:
            MixedComputation: If one was computed in another way than earlier rows of its cell; those before it are
                written.
            OSError: If they cannot be written.
        """
        rows: list[Row] = []
        try:
            for result in results:
                place, trial = divmod(result.number, self.extent.trials)
                known = self.computed.setdefault(place, result.computed)
                check_same_computation(known, result.computed, "the same command goes on with the first")
                rows.append(row_of(self._ids[place], trial, result))
        finally:
            self._insert(rows)

    def add_rows(self, rows: Iterable[tuple[int, int, TrialResult]]) -> None:
        """Writes rows of a file, each with the place of its cell and the number of its trial."""
        made = []
        for place, trial, result in rows:
            self.computed.setdefault(place, result.computed)
            made.append(row_of(self._ids[place], trial, result))
        self._insert(made)

    def _insert(self, rows: Sequence[Row]) -> None:
        marks = ", ".join("?" for _ in (*COLUMNS, "checksum"))
        self._execute(f"INSERT OR IGNORE INTO trials VALUES ({marks})", rows)

    def _execute(self, statement: str, rows: Sequence[Row]) -> None:
        try:
            with self._database:
                self._database.executemany(statement, rows)
        except sqlite3.Error as error:
            raise OSError(errno.EIO, str(error), str(self.path)) from error

    def rows(self) -> Iterator[tuple[int, dict[str, Any]]]:
        """All rows in the order of the plan: the place of the cell, and what came of the trial by column."""
        names = list(COLUMNS)
        query = f"SELECT place, {', '.join(f't.{name}' for name in names)} FROM trials t JOIN cells c ON c.id = t.cell"
        for place, *row in self._database.execute(f"{query} ORDER BY place, trial"):
            values = dict(zip(names, row, strict=True))
            del values["cell"]
            yield place, values

    def close(self) -> None:
        """Closes the store and releases its lock."""
        self._file.close()

    def remove(self) -> None:
        """Closes the store and removes its file: what it held is somewhere else by now."""
        self._file.remove()
