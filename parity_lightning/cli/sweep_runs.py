"""Runs cells of a sweep into its store: parsed, planned, run, and told."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from parity_lightning.cli.executor_options import ExecutorOptions
from parity_lightning.cli.fit_settings import FitSettings
from parity_lightning.cli.make_runner import MakeRunner
from parity_lightning.cli.probe import probe
from parity_lightning.cli.study_options import SweepOptions
from parity_lightning.cli.study_progress import run_under_bar
from parity_lightning.errors import SettingError
from parity_lightning.studies.agenda import MOST_FAILURES
from parity_lightning.studies.cells import Cell, Extent
from parity_lightning.studies.packs import packs_of
from parity_lightning.studies.store import Store
from parity_lightning.terminal.output import show
from parity_lightning.terminal.show_progress import show_progress


class SweepRuns(NamedTuple):
    """How the cells of a sweep are run.

    Attributes:
        name: The sweep's name.
        words: What every cell gives to ``fit``.
        options: Those of the command.
        executor: Who runs them.
        trials: How many trials each cell has.
        first_seed: The seed of the first; None for the configuration's.
        compiled: Whether steps are compiled, where that can be.
    """

    name: str
    words: tuple[str, ...]
    options: SweepOptions
    executor: ExecutorOptions
    trials: int
    first_seed: int | None
    compiled: bool

    def run(self, cells: Sequence[Cell], path: Path, *, with_plan: bool = True) -> list[str]:
        """Runs what is missing.

        Args:
            cells: All cells of the store, those that it has among them.
            path: The store.
            with_plan: Whether to print how much there is to do, and how long it may take.

        Returns:
            Why cells were set aside, for each of them.
        """
        options, workers = self.options, self.executor.on_a_machine
        began = time.monotonic()
        planned = FitSettings(self.words, cells, self.compiled)
        took = time.monotonic() - began
        # An overlay may have a seed of its own; that of the file's seeds prevails.
        first_seed = planned.first.seed if self.first_seed is None else self.first_seed
        extent = Extent(self.trials, first_seed, options.decided_at)
        if options.decided_at is not None and options.decided_at > self.trials:
            hint = f"must be at most the number of trials, {self.trials}"
            raise SettingError("--decided_at", options.decided_at, hint)
        packs = packs_of(each.stack for each in planned.settings)
        make_runner = MakeRunner(self.words, options.stack_size, workers, self.compiled, parsed=planned.parsed)
        store = Store(path, cells, planned.settings, extent, varied=planned.columns)
        try:
            if options.retry == "failed":
                store.retry_failed()
            left = store.left()
            if with_plan:
                count = f"{len(cells):,} settings x {self.trials:,} trials = {store.total:,}"
                show(f"{self.name}: {count}, parsed in {took:.0f} s")
            if left and with_plan:
                show(f"{left:,} to run in {len(packs):,} packs that share a stack, {self.executor.in_words}")
                for line in probe(make_runner, cells, planned.settings, packs, left):
                    show(line)
            if left:
                bar, threads = show_progress("trials", "trials", store.total), self.executor.threads
                run_under_bar(store, make_runner, cells, packs, threads, bar, self.executor.made(path))
            return [error for failures, error in store.failures().values() if failures >= MOST_FAILURES]
        finally:
            store.close()
