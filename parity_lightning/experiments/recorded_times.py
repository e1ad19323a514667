"""Convergence times of trials, and how to read those that ``parity-lightning trials`` wrote."""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from parity_lightning.errors import SettingError

_NEEDED = ("trial", "convergence_time", "steps", "n", "k", "val_check_interval")


class Sample(NamedTuple):
    """Times of the trials of one search.

    Attributes:
        search: What searched.
        n: Inputs of the parity.
        k: Size of its support.
        times: In tries or steps, of shape ``(trials,)``; infinite where not solved.
        every: After how many steps trials were looked at.
        limit: How many steps trials were given, together or each.
        law: The probability of at most so many tries, if known.
    """

    search: str
    n: int
    k: int
    times: np.ndarray
    every: int = 1
    limit: float | np.ndarray = math.inf
    law: Callable[[np.ndarray], np.ndarray] | None = None


def read_trials(path: str) -> list[Sample]:
    """The times of each setting in a Parquet file of ``parity-lightning trials``.

    Raises:
        SettingError: If there is no such file, or it is another's.
    """
    import pyarrow
    import pyarrow.parquet as parquet

    try:
        table = parquet.read_table(path)
    except (OSError, ValueError) as error:
        raise SettingError(
            "trials", path, f"cannot be read as a Parquet file ({str(error).splitlines()[0]})"
        ) from error

    def wrong(why: str) -> SettingError:
        return SettingError("trials", path, f"must be a file that `parity-lightning trials` wrote ({why})")

    if not table.num_rows:
        raise wrong("it has no trials")
    columns = []
    for name in _NEEDED:
        if table.column_names.count(name) != 1:
            raise wrong(f"it has no column {name}, or several")
        column = table[name]
        if not pyarrow.types.is_integer(column.type):
            raise wrong(f"{name} is no whole number but {column.type}")
        if name != "convergence_time" and column.null_count:
            raise wrong(f"{name} is missing in {column.null_count:,} rows")
        # Of a trial that was not solved the time is missing, so it reads as nan.
        values = column.to_numpy()
        least = 0 if name == "trial" else 1
        if np.any(values < least):
            raise wrong(f"{name} is below {least}")
        columns.append(values)
    trial, time, steps, n, k, every = columns
    time = np.where(np.isnan(time.astype(np.float64)), np.inf, time.astype(np.float64))
    if np.any(np.isfinite(time) & (time > steps)):
        raise wrong("a convergence_time is above steps")
    # The trials of each setting are numbered from 0 on.
    first = np.concatenate([[True], trial[1:] <= trial[:-1]])
    if not np.array_equal(first, trial == 0):
        raise wrong("the trials of a setting are not numbered from 0 on")
    starts = [*np.flatnonzero(first).tolist(), len(trial)]
    samples = []
    for number, (start, end) in enumerate(pairwise(starts)):
        if any(np.any(setting[start:end] != setting[start]) for setting in (n, k, every)):
            raise wrong("n, k or val_check_interval changes within a setting")
        name = "trials" if len(starts) == 2 else f"trials, setting {number}"
        samples.append(
            Sample(
                name,
                int(n[start]),
                int(k[start]),
                time[start:end],
                int(every[start]),
                steps[start:end].astype(np.float64),
            )
        )
    return samples
