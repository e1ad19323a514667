"""Rows of a study as a table with a column for every setting, in Parquet or CSV."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

from parity_lightning.errors import SettingError
from parity_lightning.run_dir.atomic_write import atomic_write
from parity_lightning.studies.settings import Settings

if TYPE_CHECKING:
    import pyarrow

_ROWS_AT_ONCE = 50_000


def tables_of(
    settings: Sequence[Settings],
    first_seed: int,
    rows: Iterable[tuple[int, dict[str, Any]]],
    varied: Sequence[str] = (),
) -> Iterator[pyarrow.Table]:
    """The rows of a study with what their cells are, as tables of at most 50,000 rows and one schema.

    Args:
        settings: Of each cell.
        first_seed: The seed of the first trial of each cell.
        rows: The place of the cell and what came of the trial, as `Store.rows` gives them.
        varied: Paths of settings that have a column in any case.

    Yields:
        At least one table.
    """
    import pyarrow

    beside = [each.row(varied) for each in settings]
    schema, texts = _schema(beside)
    some: list[dict[str, Any]] = []
    is_empty = True
    for place, row in rows:
        values = {name: str(value) if name in texts else value for name, value in beside[place].items()}
        values |= row
        values |= {
            "seed": first_seed + row["trial"],
            "support": json.loads(row["support"]),
            "reached": json.loads(row["reached"]),
            "data_seed": int(row["data_seed"]),
            "solved": row["convergence_time"] is not None,
        }
        some.append(values)
        if len(some) == _ROWS_AT_ONCE:
            is_empty = False
            yield pyarrow.Table.from_pylist(some, schema=schema)
            some = []
    if some or is_empty:
        yield pyarrow.Table.from_pylist(some, schema=schema)


def _schema(beside: Sequence[dict[str, Any]]) -> tuple[pyarrow.Schema, set[str]]:
    """The columns, and those whose values are of several kinds and kept as texts."""
    import pyarrow

    kinds = {
        "trial": pyarrow.int64(),
        "seed": pyarrow.uint64(),
        "support": pyarrow.list_(pyarrow.int64()),
        "solved": pyarrow.bool_(),
        "convergence_time": pyarrow.int64(),
        "onset": pyarrow.int64(),
        "steps": pyarrow.int64(),
        "val_accuracy": pyarrow.float64(),
        "hidden_progress": pyarrow.float64(),
        "stop_reason": pyarrow.string(),
        "reached": pyarrow.list_(pyarrow.int64()),
        "computed": pyarrow.string(),
        "data_seed": pyarrow.uint64(),
    }
    texts = set()
    for name in dict.fromkeys(name for row in beside for name in row):
        values = [value for row in beside if (value := row.get(name)) is not None]
        if len({isinstance(value, str) for value in values}) > 1:
            # Of a precision for example: 32 and bf16-mixed.
            texts.add(name)
            kinds[name] = pyarrow.string()
        else:
            # A column without any value, that of num_samples online, may have some in other files.
            kinds[name] = pyarrow.infer_type(values) if values else pyarrow.int64()
    return pyarrow.schema([pyarrow.field(name, kind) for name, kind in kinds.items()]), texts


def write_parquet(path: Path, tables: Iterable[pyarrow.Table], metadata: Mapping[str, str] | None = None) -> None:
    """Writes tables into a Parquet file, at once or not at all.

    Args:
        path: The file.
        tables: At least one.
        metadata: Texts to be kept in the file.

    Raises:
        OSError: If it cannot be written.
    """
    import pyarrow.parquet as parquet

    tables = iter(tables)
    first = next(tables)
    schema = first.schema.with_metadata(dict(metadata or {}))
    with (
        _named(path),
        atomic_write(path) as new,
        parquet.ParquetWriter(new, schema, compression="zstd", write_page_checksum=True) as writer,
    ):
        for table in chain([first], tables):
            writer.write_table(table.cast(schema))


def write_csv(path: Path, tables: Iterable[pyarrow.Table]) -> None:
    """Writes tables into a CSV file, supports and the like as ``[1, 2, 3]``; at once or not at all.

    Raises:
        OSError: If it cannot be written.
    """
    import pyarrow
    import pyarrow.csv as csv

    def plain(table: pyarrow.Table) -> pyarrow.Table:
        for name in ("support", "reached"):
            texts = pyarrow.array([json.dumps(value) for value in table[name].to_pylist()], pyarrow.string())
            table = table.set_column(table.schema.get_field_index(name), name, texts)
        return table

    tables = iter(tables)
    first = plain(next(tables))
    with _named(path), atomic_write(path) as new, csv.CSVWriter(new, first.schema) as writer:
        for table in chain([first], map(plain, tables)):
            writer.write_table(table)


def write_table(path: Path, tables: Iterable[pyarrow.Table]) -> None:
    """Writes tables into a Parquet or a CSV file, by its ending, which `check_target` has checked.

    Raises:
        OSError: If it cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    _WRITERS[path.suffix](path, tables)


_WRITERS = {".parquet": write_parquet, ".csv": write_csv}


def check_target(path: Path, option: str) -> None:
    """Refuses a file that no table can be written to, or that is there.

    Raises:
        SettingError: If it has another ending, or is there already.
    """
    if path.suffix not in _WRITERS:
        raise SettingError(option, path, "must end with .parquet or .csv")
    if path.exists():
        raise SettingError(option, path, "is there already; name another file")


@contextmanager
def _named(path: Path) -> Iterator[None]:
    """Gives an error of writing the name of the file, which pyarrow leaves out."""
    try:
        yield
    except OSError as error:
        raise OSError(error.errno, error.strerror or str(error), str(path)) from error
