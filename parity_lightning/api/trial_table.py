"""A table of trials: one row each, opened by pandas, polars and DuckDB, and shown as a summary of each setting."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING, Any

import numpy as np

from parity_lightning.cli.results_report import table
from parity_lightning.studies.results import Results

if TYPE_CHECKING:
    import pandas
    import pyarrow


class TrialTable:
    """What came of trials.

    ``pandas.DataFrame`` comes from `to_pandas`; ``polars.DataFrame(table)`` and ``duckdb.from_arrow(table.arrow)`` take
    the table itself.

    Args:
        arrow: A row for each trial, a column for everything that came of it and for every setting.
        varied: The columns in which settings differ.
        trials: How many trials each setting was to have.

    Attributes:
        arrow: The rows.
        varied: The columns in which settings differ.
    """

    def __init__(self, arrow: pyarrow.Table, varied: Sequence[str], trials: int) -> None:
        self.arrow = arrow
        self.varied = list(varied)
        self._trials = trials

    def __len__(self) -> int:
        return int(self.arrow.num_rows)

    def __getitem__(self, column: str) -> list[Any]:
        """The values of a column, in the order of the rows."""
        values: list[Any] = self.arrow[column].to_pylist()
        return values

    @property
    def columns(self) -> list[str]:
        """The names of the columns."""
        names: list[str] = self.arrow.column_names
        return names

    def to_pandas(self) -> pandas.DataFrame:
        """The rows as a data frame; needs pandas."""
        return self.arrow.to_pandas()

    def __arrow_c_stream__(self, requested_schema: Any = None) -> Any:
        return self.arrow.__arrow_c_stream__(requested_schema)

    def __dataframe__(self, *args: Any, **kwargs: Any) -> Any:
        return self.arrow.__dataframe__(*args, **kwargs)

    def results(self) -> Results:
        """The rows by settings, for shares, medians and the paper's rule."""
        names = [*self.varied, "max_steps"]
        # Several seeds of the data are settings of their own only if they vary.
        columns = {name: self[name] for name in names}
        times = [np.inf if time is None else float(time) for time in self["convergence_time"]]
        places: dict[str, list[int]] = {}
        for row in range(len(self)):
            places.setdefault(repr([columns[name][row] for name in self.varied]), []).append(row)
        own = [{name: columns[name][rows[0]] for name in names} for rows in places.values()]
        return Results(
            {}, own, [np.array([times[row] for row in rows]) for rows in places.values()], self._trials, self.varied
        )

    def __repr__(self) -> str:
        if not len(self):
            return "0 trials"
        settings = "1 setting" if len(self.results().own) == 1 else f"{len(self.results().own):,} settings"
        return f"{len(self):,} trials of {settings}\n{table(self.results().groups())}"

    def _repr_html_(self) -> str:
        head, *lines = repr(self).splitlines()
        return f"<p>{escape(head)}</p><pre>{escape(chr(10).join(lines))}</pre>"
