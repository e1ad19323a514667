"""Runs what a figure's plan asks for and its store has not yet, and reads what came of it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from parity_lightning.cli.executor_options import ExecutorOptions
from parity_lightning.cli.fit_settings import FitSettings
from parity_lightning.cli.make_runner import MakeRunner
from parity_lightning.cli.probe import probe
from parity_lightning.cli.shipped_configs import named
from parity_lightning.cli.study_progress import run_under_bar
from parity_lightning.errors import SettingError
from parity_lightning.figures.figure import Plan
from parity_lightning.figures.runs import short_values
from parity_lightning.studies.cells import Cell, Extent
from parity_lightning.studies.coordinator import check_none_failed
from parity_lightning.studies.export import tables_of, write_table
from parity_lightning.studies.packs import packs_of
from parity_lightning.studies.store import Store
from parity_lightning.studies.stored_study import StoredStudy, numbers_in
from parity_lightning.terminal.show_progress import show_progress

Outcomes = list[dict[str, np.ndarray]]
"""Of each setting, numbers that came of its trials, by column."""


@dataclass(frozen=True)
class FigureStore:
    """The trials of a figure, in one SQLite file for all scales.

    Attributes:
        path: The file.
        plan: What is run.
        seed: The seed of the first trial of each setting.
        executor: Who runs them.
        compiled: Whether steps are compiled, where that can be.
        before: The same figure with fewer settings, which are not parsed again; no estimate of the time is made then,
            for it takes some seconds.
    """

    path: Path
    plan: Plan
    seed: int
    executor: ExecutorOptions
    compiled: bool = True
    before: FigureStore | None = None

    def run(self, missing: int) -> Iterator[str]:
        """Runs what is missing; rows that are there already are kept, and those of a larger scale are used.

        Args:
            missing: How many trials are, as `missing` says.

        Yields:
            Lines for the user: what is run, and how long it may take.

        Raises:
            UsageError: If options cannot work.
            SettingError: If the store holds other trials, or a part of a larger scale.
            SettingsFailed: If a setting fails three times.
        """
        cells, planned = self.cells, self._planned
        count = "1 setting" if len(cells) == 1 else f"{len(cells):,} settings"
        if missing == 0:
            if self.before is None:
                yield f"{count} x {self.plan.trials:,} trials: all there already"
            return
        extent = Extent(self.plan.trials, self.seed, self.plan.decided_at)
        store = Store(self.path, cells, planned.settings, extent, "--output", varied=planned.columns)
        try:
            packs = packs_of(each.stack for each in planned.settings)
            make_runner = MakeRunner((), None, self.executor.on_a_machine, self.compiled, parsed=planned.parsed)
            yield f"{self._round}{count} x {self.plan.trials:,} trials = {store.total:,}, {missing:,} of them to run"
            if self.before is None:
                yield from probe(make_runner, cells, planned.settings, packs, missing)
            bar, threads = show_progress("trials", "trials", store.total), self.executor.threads
            run_under_bar(store, make_runner, cells, packs, threads, bar, self.executor.made(self.path))
            check_none_failed(store)
        finally:
            store.close()

    @property
    def _round(self) -> str:
        """Which round it is, of a figure that goes on in rounds, for a line that begins with it."""
        number, store = 1, self.before
        while store is not None:
            number, store = number + 1, store.before
        return "" if number == 1 else f"round {number}: "

    def check_seed(self) -> None:
        """Refuses another seed than that of the trials that are there.

        Raises:
            SettingError: If they have another.
        """
        if self.path.is_file():
            study = StoredStudy(self.path)
            known = study.extent.first_seed
            study.close()
            if known != self.seed:
                hint = f"the trials in this folder begin with seed {known}; give --seed={known} or another --output"
                raise SettingError("--seed", self.seed, hint)

    @property
    def cells(self) -> list[Cell]:
        """The settings with the files of their configurations found."""
        return [{**cell, "config": str(config_file(cell["config"]))} for cell in self.plan.cells]

    @cached_property
    def _planned(self) -> FitSettings:
        known = self.before._planned.known if self.before else None
        return FitSettings((), self.cells, self.compiled, known=known)

    def missing(self) -> int:
        """How many trials have no row yet and are still needed."""
        decided = Extent(self.plan.trials, 0, self.plan.decided_at).is_decided
        solved = [np.isfinite(each["convergence_time"]) for each in self.outcomes()]
        return sum(0 if decided(int(own.sum()), len(own)) else self.plan.trials - len(own) for own in solved)

    def outcomes(self) -> Outcomes:
        """What came of the trials that have a row, as many of each setting as the plan has."""
        nothing = [dict.fromkeys(numbers_in(each), np.array([])) for each in self._planned.settings]
        if not self.path.is_file():
            return nothing
        study = StoredStudy(self.path)
        try:
            return [
                none if place is None else study.numbers_of(place, self.plan.trials)
                for none, place in zip(nothing, self._places_in(study), strict=True)
            ]
        finally:
            study.close()

    def _places_in(self, study: StoredStudy) -> list[int | None]:
        """Where a store has the settings of the plan."""
        place_of = {each.key: place for place, each in enumerate(study.settings)}
        return [place_of.get(key) for key in self.keys]

    @property
    def limits(self) -> list[int]:
        """After how many steps the trials of each setting are given up."""
        return [int(each.values["trainer.max_steps"]) for each in self._planned.settings]

    @property
    def keys(self) -> list[str]:
        """The names of the settings, made of all that decides their trials."""
        return [each.key for each in self._planned.settings]

    def export(self, path: Path) -> None:
        """Writes a row for each trial into a Parquet file, a column for every setting.

        Args:
            path: The file.
        """
        named = [
            each._replace(columns={**each.columns, "config": short_values(cell)["config"]})
            for each, cell in zip(self._planned.settings, self.plan.cells, strict=True)
        ]
        paths = list(self._planned.paths.values())
        study = StoredStudy(self.path)
        try:
            here = {place: number for number, place in enumerate(self._places_in(study)) if place is not None}
            rows = ((here[place], row) for place, row in study.rows(list(here)) if row["trial"] < self.plan.trials)
            write_table(path, tables_of(named, self.seed, rows, paths))
        finally:
            study.close()


def config_name(name: str) -> str:
    """The name of a configuration below ``configs``, of what a figure calls it.

    Example:
        >>> config_name("4-left.yaml"), config_name("architectures/xv.yaml")
        ('figures/4-left.yaml', 'architectures/xv.yaml')
    """
    return name if "/" in name else f"figures/{name}"


def config_file(name: str) -> Path:
    """A configuration of a figure: one of those that come with the package.

    Args:
        name: The file's name below ``configs/figures``, or with its folder below ``configs``.

    Raises:
        SettingError: If there is no such file.
    """
    path = named(config_name(name))
    if path is None:
        raise SettingError("figure", name, "no such configuration of a figure; see parity-lightning configs")
    return path
