"""The options of ``sweep``, ``results`` and ``report``."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from jsonargparse.typing import NonNegativeInt, PositiveInt


@dataclass(frozen=True)
class SweepOptions:
    """How to run a sweep.

    Args:
        store: The file to write, one row a trial; by default a folder below runs/ with the sweep's name. The same
            command goes on where an earlier one was stopped, and runs what was added to the sweep.
        trials: How many trials of each setting, each with its own seed; by default as many as the file has seeds.
        decided_at: End a setting early once so many of its trials are solved, or once so many no longer can be.
        stack_size: How many trials a process trains at a time; by default chosen for throughput and memory.
        seed: Which settings a random search draws.
        retry: failed: run again what failed three times and was set aside.
    """

    store: str | None = None
    trials: PositiveInt | None = None
    decided_at: PositiveInt | None = None
    stack_size: PositiveInt | None = None
    seed: NonNegativeInt = 0
    retry: Literal["failed"] | None = None


@dataclass(frozen=True)
class ResultsOptions:
    """What to show of a store.

    Args:
        where: COLUMN=VALUE, also with != < <= > >=: only settings for which this holds. May be given several times.
        group_by: COLUMN,COLUMN: put settings together that have the same values there.
        against: The number that medians are drawn and power laws fitted against; by default the one with most values.
        picture: A .png file to draw the medians into.
        export: A .parquet or .csv file to write, one row a trial, a column for every setting.
    """

    where: list[str] = field(default_factory=list)
    group_by: str | None = None
    against: str | None = None
    picture: str | None = None
    export: str | None = None


@dataclass(frozen=True)
class ReportOptions:
    """Where to write the page.

    Args:
        output: The .html file to write, a new one; by default report.html, or report-2.html and so on where there is
            one already.
    """

    output: str | None = None
