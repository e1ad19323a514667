"""What came of the runs of a figure: outcomes of trials by setting, and curves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from parity_lightning.figures.scales import Scale
from parity_lightning.statistics.survival import quantile_of
from parity_lightning.studies.cells import Cell
from parity_lightning.studies.stored_study import reached

Curve = Mapping[str, np.ndarray]
"""What ``metrics.csv`` has of a run, by column; ``step`` among them. NaN where there is no value."""


def short_values(cell: Cell) -> dict[str, Any]:
    """The values of a setting by the last parts of its options; a configuration by the name of its file.

    Example:
        >>> short_values({"config": "configs/figures/4-left.yaml", "data.n": 40, "model.optimizer.lr": 0.1})
        {'config': '4-left', 'n': 40, 'lr': 0.1}
    """
    names = {option: option.rpartition(".")[2] for option in cell}
    return {name: Path(cell[option]).stem if name == "config" else cell[option] for option, name in names.items()}


@dataclass(frozen=True)
class Runs:
    """What came of the runs of a figure.

    Attributes:
        cells: The settings, as the plan has them.
        outcomes: Of each setting, numbers that came of its trials, by column, each of shape ``(trials,)``; NaN where
            there is none, as of ``convergence_time`` where a trial was not solved.
        limits: After how many steps the trials of each setting were given up.
        curves: The curves of each setting's first trials; empty where none were asked for.
        scale: At which scale they were run.
    """

    cells: Sequence[Cell]
    outcomes: Sequence[Mapping[str, np.ndarray]]
    limits: Sequence[int]
    curves: Sequence[Sequence[Curve]] = field(default_factory=list)
    scale: Scale = "laptop"

    def places(self, **values: Any) -> list[int]:
        """The settings that have these values, by the last parts of their options.

        Example:
            >>> Runs([{"data.n": 10}, {"data.n": 20}], [{}, {}], [99, 99]).places(n=20)
            [1]
        """
        own = [short_values(cell) for cell in self.cells]
        return [
            place for place, each in enumerate(own) if all(each.get(name) == value for name, value in values.items())
        ]

    def times(self, **values: Any) -> np.ndarray:
        """The convergence times of all trials of these settings, infinite where one was not solved."""
        times = self.column("convergence_time", **values)
        return np.where(np.isnan(times), np.inf, times)

    def times_to(self, accuracy: float, **values: Any) -> np.ndarray:
        """The steps at which trials of these settings first had an accuracy, infinite where one had not.

        Args:
            accuracy: One of the ``accuracy_thresholds`` of these settings.
            values: Which settings.
        """
        times = self.column(reached(accuracy), **values)
        return np.where(np.isnan(times), np.inf, times)

    def column(self, name: str, **values: Any) -> np.ndarray:
        """A number of each trial of these settings, of shape ``(trials,)``; NaN where there is none.

        Args:
            name: What it is called in a row of a trial.
            values: Which settings.
        """
        return np.concatenate([np.array([]), *(self.outcomes[place][name] for place in self.places(**values))])

    def limit(self, **values: Any) -> int:
        """After how many steps trials of these settings were given up, the last of them."""
        return max(self.limits[place] for place in self.places(**values))

    def values_of(self, name: str, **values: Any) -> list[Any]:
        """The different values that these settings have of an option, in the order of the plan."""
        found = (short_values(self.cells[place]).get(name) for place in self.places(**values))
        return list(dict.fromkeys(value for value in found if value is not None))

    def rows(self) -> list[TableRow]:
        """The settings as rows of a table: what varies, how many trials are solved, and the median of t_c."""
        shown = [short_values(cell) for cell in self.cells]
        names = list(dict.fromkeys(name for each in shown for name in each))
        # What is the same in all settings is said by the choices.
        names = [name for name in names if len({repr(each.get(name)) for each in shown}) > 1] or names[-1:]
        rows = []
        for own, outcomes in zip(shown, self.outcomes, strict=True):
            times = np.nan_to_num(outcomes["convergence_time"], nan=np.inf)
            median = quantile_of(times)
            counts = {"trials": len(times), "solved": int(np.isfinite(times).sum())}
            found = {"median": median.value, "low": median.low, "high": median.high}
            rows.append(TableRow({**{name: own.get(name) for name in names}, **counts, **found}))
        return rows


@dataclass(frozen=True)
class TableRow:
    """A row of a table whose columns depend on what varies.

    Attributes:
        values: The cells by column.
    """

    values: Mapping[str, Any]

    @property
    def _fields(self) -> tuple[str, ...]:
        return tuple(self.values)

    def _asdict(self) -> dict[str, Any]:
        return dict(self.values)
