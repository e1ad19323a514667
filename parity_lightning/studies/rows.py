"""The tables of a store: one row a trial, with a checksum, for SQLite keeps none."""

from __future__ import annotations

import json
import zlib
from typing import Any

from parity_lightning.engine.trial import TrialResult

COLUMNS = {
    "cell": "INTEGER NOT NULL",
    "trial": "INTEGER NOT NULL",
    "support": "TEXT",
    "data_seed": "TEXT",
    "convergence_time": "INTEGER",
    "onset": "INTEGER",
    "steps": "INTEGER",
    "val_accuracy": "REAL",
    "hidden_progress": "REAL",
    "stop_reason": "TEXT",
    "computed": "TEXT",
    "reached": "TEXT",
}
"""The columns with their types; ``checksum`` stands behind them."""

FORMAT = 3
"""A store of another format is refused."""

TABLES = (
    "CREATE TABLE IF NOT EXISTS study (name TEXT PRIMARY KEY, value TEXT)",
    "CREATE TABLE IF NOT EXISTS cells (id INTEGER PRIMARY KEY, place INTEGER, key TEXT UNIQUE, options TEXT, "
    "settings TEXT, columns TEXT, failures INTEGER DEFAULT 0, error TEXT)",
    f"CREATE TABLE IF NOT EXISTS trials ({', '.join(f'{name} {kind}' for name, kind in COLUMNS.items())}, "
    "checksum INTEGER, PRIMARY KEY (cell, trial)) WITHOUT ROWID",
)

Row = tuple[Any, ...]
"""Values of the columns, and the checksum."""


def row_of(cell: int, trial: int, result: TrialResult) -> Row:
    """The row of a trial.

    Args:
        cell: The number of its cell in the store.
        trial: Which of the cell's trials it is.
        result: What came of it.
    """
    texts = {name: json.dumps(value) for name, value in (("support", result.support), ("reached", result.reached))}
    texts["data_seed"] = str(result.data_seed)
    values = (cell, trial, *result._replace(**texts)[1:])  # type: ignore[arg-type]
    return (*values, _checksum(values))


def is_whole(row: Row) -> bool:
    """Whether a row is what was written.

    Example:
        >>> row = row_of(3, 7, TrialResult(0, (1, 2), 5, 100, 90, 100, 1.0, 0.5, "solved", "eager"))
        >>> is_whole(row), is_whole((*row[:4], 99, *row[5:]))
        (True, False)
    """
    return bool(row[-1] == _checksum(row[:-1]))


def _checksum(values: Row) -> int:
    return zlib.crc32(repr(values).encode())
