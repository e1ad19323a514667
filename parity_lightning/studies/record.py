"""The record of trials: rows that come in while they run, and one Parquet file in the end.

While trials run, their results go into a journal beside the file, an SQLite database whose primary key is the trial's
number: a killed process loses only the trials it was running, and no trial has two rows. When all are done, the journal
becomes the Parquet file, at once or not at all.
"""

from __future__ import annotations

import errno
import hashlib
import json
import sqlite3
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock, Timeout

from parity_lightning.engine.trial import TrialResult, check_same_computation
from parity_lightning.errors import SettingError
from parity_lightning.run_dir.atomic_write import atomic_write, sync_folder

_COLUMNS = {
    "number": "INTEGER PRIMARY KEY",
    "support": "TEXT",
    "data_seed": "TEXT",
    "convergence_time": "INTEGER",
    "onset": "INTEGER",
    "steps": "INTEGER",
    "val_accuracy": "REAL",
    "hidden_progress": "REAL",
    "stop_reason": "TEXT",
    "computed": "TEXT",
}
# Beside them a checksum of the row: SQLite keeps none.
_CHECKSUM = "checksum"
_FORMAT = 2

_ROWS_AT_ONCE = 50_000

# Names in the file's metadata.
_TRIALS = "parity_lightning.trials"
_ABOUT = "parity_lightning.settings"
_TIMES = "parity_lightning.convergence_times"


_REMOVE = "remove it, or name another file"


def _checksum(row: tuple[Any, ...]) -> int:
    return zlib.crc32(repr(row).encode())


def _digest(times: np.ndarray) -> str:
    return hashlib.sha256(np.ascontiguousarray(times, dtype="<f8").tobytes()).hexdigest()


class Record:
    """What came of the trials of some settings.

    Trial j of setting i has the number ``i * trials + j``.

    Args:
        path: The Parquet file; the journal beside it has the same name and ends with ``.journal``.
        settings: What to write beside the trials of each setting: values by the names of their columns.
        about: All that decides what the trials do, as a text; it is kept in the file.
        first_seed: The seed of the first trial of every setting; the others count on from it.
        trials: Trials of each setting.

    Raises:
        SettingError: If there is a file of other trials, or one that is damaged or no record of trials.

    Attributes:
        computed: How the rows of each setting were computed, by its number; of those that have rows.
        damaged: How many rows were found damaged and will be run again.
    """

    def __init__(
        self, path: Path, settings: Sequence[dict[str, Any]], about: str, first_seed: int, trials: int
    ) -> None:
        self.path = path
        self.settings = settings
        self.trials = trials
        self.first_seed = first_seed
        self._journal = Path(f"{path}.journal")
        self._about = about
        self._fingerprint = hashlib.sha256(f"{_FORMAT} {about} {first_seed} {trials}".encode()).hexdigest()
        self._database: sqlite3.Connection | None = None
        self._lock: FileLock | None = None
        self._as_texts: set[str] = set()
        self._times: np.ndarray | None = None
        self.computed: dict[int, str] = {}
        self.damaged = 0
        if path.exists():
            self._check(self._fingerprint_of_file(), path)
            self._times = self._times_of_file()
            # Left by a process that was killed once the file was there.
            self._remove_journal()
        elif self._journal.exists():
            self._open()

    @property
    def total(self) -> int:
        """How many trials there are to be."""
        return len(self.settings) * self.trials

    @property
    def is_complete(self) -> bool:
        """Whether the Parquet file is there."""
        return self.path.exists()

    def _check(self, fingerprint: str | None, path: Path) -> None:
        if fingerprint != self._fingerprint:
            raise SettingError("--output", path, "holds something else than these trials; name another file")

    def _fingerprint_of_file(self) -> str | None:
        import pyarrow.parquet as parquet

        try:
            metadata = parquet.read_schema(self.path).metadata or {}
        except (OSError, ValueError):
            return None
        return str(metadata.get(_TRIALS.encode(), b"").decode(errors="replace"))

    def _times_of_file(self) -> np.ndarray:
        """The convergence times in the Parquet file, checked against the digest that was written with them."""
        import pyarrow.parquet as parquet

        try:
            schema = parquet.read_schema(self.path)
            metadata = schema.metadata or {}
            columns = {}
            for name in schema.names:
                # Of all columns, for the checksums of their pages.
                column = parquet.read_table(self.path, columns=[name], page_checksum_verification=True)[name]
                if name == "convergence_time":
                    columns[name] = np.array(column.to_numpy(), dtype=float)
            times = columns["convergence_time"]
            digest = metadata.get(_TIMES.encode(), b"").decode()
        except Exception as error:
            # A damaged file may raise anything.
            message = f"is damaged ({' '.join(str(error).split())[:100]}); {_REMOVE}"
            raise SettingError("--output", self.path, message) from error
        times[np.isnan(times)] = np.inf
        if len(times) != self.total:
            raise SettingError("--output", self.path, f"has {len(times):,} rows of {self.total:,}; {_REMOVE}")
        if digest != _digest(times):
            raise SettingError("--output", self.path, f"has other convergence times than were written; {_REMOVE}")
        return times

    def _open(self) -> None:
        for ending in ("", "-wal", "-shm", ".lock"):
            if Path(f"{self._journal}{ending}").is_symlink():
                message = f"{self._journal}{ending} is a link, which would be followed; remove it"
                raise SettingError("--output", self.path, message)
        began = self._journal.exists()
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._lock = FileLock(f"{self._journal}.lock")
            self._lock.acquire(timeout=0)
            self._connect()
            if not began:
                sync_folder(self.path.parent)
        except Timeout:
            self._lock = None
            raise SettingError("--output", self.path, "is being written by another process; wait for it") from None
        except (OSError, sqlite3.Error, UnicodeDecodeError) as error:
            self.close()
            # An error's text may hold what was damaged, and then sqlite3 cannot decode it.
            if began and type(error) in (sqlite3.DatabaseError, UnicodeDecodeError):
                message = f"its journal {self._journal} is damaged ({error}); remove it to run the trials again"
                raise SettingError("--output", self.path, message) from error
            raise SettingError("--output", self.path, f"cannot be written ({error}); name another file") from error
        except SettingError:
            self.close()
            raise

    def _connect(self) -> None:
        """Opens the journal and checks that its rows are of these trials, and what was written."""
        self._database = database = sqlite3.connect(self._journal)
        # A row whose checksum differs was damaged.
        database.text_factory = lambda text: text.decode(errors="replace")
        database.execute("PRAGMA journal_mode=WAL")
        # A row that was committed survives a power failure.
        database.execute("PRAGMA synchronous=FULL")
        database.execute("CREATE TABLE IF NOT EXISTS about (fingerprint TEXT)")
        columns = ", ".join(f"{name} {kind}" for name, kind in _COLUMNS.items())
        database.execute(f"CREATE TABLE IF NOT EXISTS trials ({columns}, {_CHECKSUM} INTEGER)")
        known: tuple[str] | None = database.execute("SELECT fingerprint FROM about").fetchone()
        if known is None:
            if database.execute("SELECT 1 FROM trials LIMIT 1").fetchone():
                raise sqlite3.DatabaseError("it does not say of which trials its rows are")
            database.execute("INSERT INTO about VALUES (?)", (self._fingerprint,))
            database.commit()
        else:
            # Before anything is changed: it may be the record of other trials.
            self._check(known[0], self._journal)
            self._check_rows(database)

    def _check_rows(self, database: sqlite3.Connection) -> None:
        """Removes rows that are not what was written, and learns how the others were computed."""
        (verdict,) = database.execute("PRAGMA integrity_check(1)").fetchone()
        if verdict != "ok":
            raise sqlite3.DatabaseError(" ".join(verdict.split()))
        damaged = []
        for row in database.execute(f"SELECT {', '.join(_COLUMNS)}, {_CHECKSUM} FROM trials"):
            number, computed = row[0], row[-2]
            is_whole = row[-1] == _checksum(row[:-1])
            if not is_whole or self.computed.setdefault(number // self.trials, computed) != computed:
                damaged.append((number,))
        if damaged:
            database.executemany("DELETE FROM trials WHERE number = ?", damaged)
            database.commit()
        self.damaged = len(damaged)

    def begin(self) -> None:
        """Makes the journal, if there is none yet.

        Raises:
            SettingError: If it cannot be written, or another process is writing it.
        """
        if self._database is None and not self.is_complete:
            self._open()

    def _rows(self, query: str) -> Iterator[tuple[Any, ...]]:
        if self._database is None:
            return iter(())
        return iter(self._database.execute(query))

    def missing(self) -> Iterator[int]:
        """The numbers of the trials that have no row yet, in order."""
        done = iter(sorted(number for (number,) in self._rows("SELECT number FROM trials")))
        next_done = next(done, None)
        for number in range(self.total):
            if number == next_done:
                next_done = next(done, None)
            else:
                yield number

    def count(self) -> tuple[int, int]:
        """How many trials have a row, and how many of them are solved."""
        counts = next(self._rows("SELECT COUNT(*), COUNT(convergence_time) FROM trials"), (0, 0))
        return counts[0], counts[1]

    def add(self, results: Sequence[TrialResult]) -> None:
        """Writes rows; what is written survives whatever happens to this process or the machine.

        Raises:
            MixedComputation: If one was computed in another way than earlier rows of its setting; those before it are
                written.
            OSError: If they cannot be written.
        """
        self.begin()
        assert self._database is not None
        rows = []
        try:
            for result in results:
                setting = result.number // self.trials
                known = self.computed.setdefault(setting, result.computed)
                check_same_computation(known, result.computed, "the same command goes on with the first")
                texts = {"support": json.dumps(result.support), "data_seed": str(result.data_seed)}
                row = tuple(result._replace(**texts))  # type: ignore[arg-type]
                rows.append((*row, _checksum(row)))
        finally:
            self._write(rows)

    def _write(self, rows: Sequence[tuple[Any, ...]]) -> None:
        assert self._database is not None
        marks = ", ".join("?" for _ in (*_COLUMNS, _CHECKSUM))
        try:
            with self._database:
                self._database.executemany(f"INSERT OR IGNORE INTO trials VALUES ({marks})", rows)
        except sqlite3.Error as error:
            raise OSError(errno.EIO, str(error), str(self._journal)) from error

    def finish(self) -> None:
        """Makes the Parquet file of the journal, once all trials are there."""
        if self.is_complete:
            return
        import pyarrow
        import pyarrow.parquet as parquet

        assert self._database is not None
        self._times = self.convergence_times().reshape(-1)
        schema = self._schema(self._times)
        try:
            with (
                atomic_write(self.path) as new,
                parquet.ParquetWriter(new, schema, compression="zstd", write_page_checksum=True) as writer,
            ):
                cursor = self._database.execute(f"SELECT {', '.join(_COLUMNS)} FROM trials ORDER BY number")
                while rows := cursor.fetchmany(_ROWS_AT_ONCE):
                    table = [self._as_row(dict(zip(_COLUMNS, row, strict=True))) for row in rows]
                    writer.write_table(pyarrow.Table.from_pylist(table, schema=schema))
        except OSError as error:
            raise OSError(error.errno, error.strerror or str(error), str(self.path)) from error
        # Not before the file is on disk.
        self.close()
        self._remove_journal()

    def _remove_journal(self) -> None:
        files = [Path(f"{self._journal}{ending}") for ending in ("", "-wal", "-shm")]
        if any(file.exists() for file in files):
            for file in files:
                file.unlink(missing_ok=True)
            sync_folder(self.path.parent)

    def close(self) -> None:
        """Closes the journal and releases its lock."""
        if self._database is not None:
            self._database.close()
            self._database = None
        if self._lock is not None:
            # In this order: once it is released, another process may lock the file, which must not be removed then.
            Path(self._lock.lock_file).unlink(missing_ok=True)
            self._lock.release()
            self._lock = None

    def _schema(self, times: np.ndarray) -> Any:
        import pyarrow

        names = {
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
            "computed": pyarrow.string(),
            "data_seed": pyarrow.uint64(),
        }
        fields = [pyarrow.field(name, kind) for name, kind in names.items()]
        for name in dict.fromkeys(name for setting in self.settings for name in setting):
            values = [setting.get(name) for setting in self.settings]
            mixed = len({isinstance(value, str) for value in values if value is not None}) > 1
            # Of a precision for example: 32 and bf16-mixed.
            kind = pyarrow.string() if mixed else pyarrow.infer_type(values)
            if mixed:
                self._as_texts.add(name)
            # A column without any value, that of num_samples online, may have some in other files.
            fields.append(pyarrow.field(name, pyarrow.int64() if pyarrow.types.is_null(kind) else kind))
        return pyarrow.schema(
            fields, metadata={_ABOUT: self._about, _TRIALS: self._fingerprint, _TIMES: _digest(times)}
        )

    def _as_row(self, row: dict[str, Any]) -> dict[str, Any]:
        setting, trial = divmod(row.pop("number"), self.trials)
        row |= {
            "trial": trial,
            "seed": self.first_seed + trial,
            "support": json.loads(row["support"]),
            "data_seed": int(row["data_seed"]),
            "solved": row["convergence_time"] is not None,
        }
        values = self.settings[setting]
        row |= {name: str(value) if name in self._as_texts else value for name, value in values.items()}
        return row

    def convergence_times(self) -> np.ndarray:
        """The convergence times, of shape ``(settings, trials)``; infinite where a trial was not solved.

        Trials that have no row yet are NaN.
        """
        times = self._times
        if times is None:
            times = np.full(self.total, np.nan)
            for number, time in self._rows("SELECT number, convergence_time FROM trials"):
                times[number] = np.inf if time is None else time
        return times.reshape(len(self.settings), self.trials)
