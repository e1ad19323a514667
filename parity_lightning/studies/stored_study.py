"""A store that is only read: what each cell is, and what came of its trials."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from parity_lightning.errors import SettingError
from parity_lightning.studies.cells import Extent
from parity_lightning.studies.settings import Settings, column_of

OUTCOMES = (
    *("trial", "support", "data_seed", "convergence_time", "onset", "steps", "val_accuracy", "hidden_progress"),
    *("stop_reason", "computed", "reached"),
)
"""What a row of a trial has, by column."""


NUMBERS = ("convergence_time", "onset", "steps", "val_accuracy", "hidden_progress")
"""What every row has of numbers, or null, by column."""


def reached(threshold: float) -> str:
    """What the number is called of the first evaluated step at which an accuracy was reached.

    Args:
        threshold: One of the module's ``accuracy_thresholds``.

    Example:
        >>> reached(0.55), reached(1.0)
        ('reached_0.55', 'reached_1')
    """
    return f"reached_{threshold:g}"


def numbers_in(settings: Settings) -> dict[str, str]:
    """The numbers in rows of a cell by their names, as SQLite reads them: `NUMBERS`, and a step for each threshold.

    Args:
        settings: What decides the trials of the cell.
    """
    thresholds = settings.values.get("model.init_args.accuracy_thresholds") or ()
    steps = {reached(each): f"json_extract(reached, '$[{place}]')" for place, each in enumerate(thresholds)}
    return {**{name: name for name in NUMBERS}, **steps}


class StoredStudy:
    """Reads a store, also while another process writes it.

    Args:
        path: The file.

    Raises:
        SettingError: If there is no such store, or it is damaged.

    Attributes:
        extent: How many trials each cell has.
        numbers: The cells in the order of the plan, by their numbers in the store.
        varied: The columns that vary in the plan.
        shared: What stands beside every trial, by column.
        own: What stands beside the trials of each cell and not beside all, by column.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        if not path.is_file():
            raise SettingError("STORE", path, "no such file; give the store of a sweep")
        try:
            # Not read-only: a reader of a store that was left by a killed process has to bring it in order.
            self._database = sqlite3.connect(f"{path.absolute().as_uri()}?mode=rw", uri=True)
            plan = {name: json.loads(value) for name, value in self._database.execute("SELECT * FROM study")}
            self.extent = Extent(plan["trials"], plan["first_seed"], plan["decided_at"])
            self._common: dict[str, Any] = plan["common"]
            self.numbers = [number for (number,) in self._database.execute("SELECT id FROM cells ORDER BY place")]
            self.varied: list[str] = plan["varied"]
            self._settings, self._columns = self._all("settings"), self._all("columns")
        except (sqlite3.Error, ValueError, KeyError, TypeError) as error:
            raise SettingError(
                "STORE", path, f"is no store of a study, or damaged ({error}); give the store of a sweep"
            ) from error
        self.shared = Settings(self._common, {}, {}).row()
        names = {path: column_of(path) for path in {path for each in self._settings for path in each}}
        self.own = [
            columns | {name: _plain(value) for path, value in own.items() if (name := names[path]) is not None}
            for own, columns in zip(self._settings, self._columns, strict=True)
        ]

    def _all(self, column: str) -> list[dict[str, Any]]:
        """A column of JSON, in the order of the plan; read at once, which is faster than one by one."""
        texts = (text for (text,) in self._database.execute(f"SELECT {column} FROM cells ORDER BY place"))
        found: list[dict[str, Any]] = json.loads(f"[{','.join(texts)}]")
        return found

    @property
    def settings(self) -> list[Settings]:
        """What decides the trials of each cell."""
        return [
            Settings(self._common, own, columns) for own, columns in zip(self._settings, self._columns, strict=True)
        ]

    def options(self) -> list[dict[str, Any]]:
        """The values of what varies, of each cell, by option."""
        return self._all("options")

    def failures(self) -> list[tuple[int, str]]:
        """How often cells have failed that did, and why the last time."""
        query = "SELECT failures, error FROM cells WHERE failures > 0 ORDER BY place"
        return self._database.execute(query).fetchall()

    def computed(self) -> list[str]:
        """How trials were computed, all ways that there are."""
        return [text for (text,) in self._database.execute("SELECT DISTINCT computed FROM trials ORDER BY computed")]

    def times(self) -> list[np.ndarray]:
        """The convergence times of each cell's trials that have a row, infinite where one was not solved."""
        # One text of many numbers is read faster than many rows.
        query = "SELECT cell, COUNT(*), group_concat(ifnull(convergence_time, 'inf')) FROM trials GROUP BY cell"
        found = self._database.execute(query).fetchall()
        every = np.fromstring(",".join(text for _, _, text in found), sep=",")
        parts = np.split(every, np.cumsum([count for _, count, _ in found])[:-1])
        by_number = {number: part for (number, _, _), part in zip(found, parts, strict=False)}
        nothing = np.array([])
        return [by_number.get(number, nothing) for number in self.numbers]

    def rows(self, places: Sequence[int] | None = None) -> Iterator[tuple[int, dict[str, Any]]]:
        """Rows in the order of the plan: the place of the cell, and what came of the trial by column.

        Args:
            places: Of which cells; of all by default.
        """
        query = f"SELECT {', '.join(OUTCOMES)} FROM trials WHERE cell = ? ORDER BY trial"
        for place in range(len(self.numbers)) if places is None else places:
            for row in self._database.execute(query, (self.numbers[place],)):
                yield place, dict(zip(OUTCOMES, row, strict=True))

    def numbers_of(self, place: int, trials: int) -> dict[str, np.ndarray]:
        """The numbers that came of a cell's first trials, as far as they have a row.

        Args:
            place: The place of the cell.
            trials: How many trials.

        Returns:
            Of each of `numbers_in` an array of shape ``(rows,)``, NaN where there is none.
        """
        names = numbers_in(Settings(self._common, self._settings[place], {}))
        query = f"SELECT {', '.join(names.values())} FROM trials WHERE cell = ? AND trial < ? ORDER BY trial"
        found = self._database.execute(query, (self.numbers[place], trials)).fetchall()
        columns = np.array(found, dtype=float).reshape(-1, len(names)).T
        return dict(zip(names, columns, strict=True))

    def close(self) -> None:
        """Closes the file."""
        self._database.close()


def _plain(value: Any) -> Any:
    """A value as a column has it: lists and mappings as texts."""
    return json.dumps(value) if isinstance(value, (list, dict)) else value
