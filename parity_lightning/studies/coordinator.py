"""The coordinator: has an executor run what is missing from a store, and writes every result into it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import closing
from itertools import islice
from typing import NamedTuple

import numpy as np

from parity_lightning.engine.trial import TrialResult
from parity_lightning.studies.agenda import MOST_FAILURES, Agenda
from parity_lightning.studies.cells import Extent
from parity_lightning.studies.executors import Executor
from parity_lightning.studies.packs import Pack
from parity_lightning.studies.store import Store
from parity_lightning.studies.work import Work

COMMIT_EVERY = 1.0
"""Seconds between two commits: a commit waits for the disk."""

_MOST_SHOWN = 8


class CellProgress(NamedTuple):
    """How far a cell has come.

    Attributes:
        place: Which one.
        done: Its trials that have a row.
        solved: How many of them are solved.
    """

    place: int
    done: int
    solved: int


class Progress(NamedTuple):
    """How far a study has come.

    Attributes:
        done: Trials that have a row.
        solved: How many of them are solved.
        total: Trials there are to be at most.
        cells_done: Cells that need no more trials.
        cells: Cells there are.
        running: Cells that trials were done of last and that need more, the last first.
    """

    done: int
    solved: int
    total: int
    cells_done: int
    cells: int
    running: tuple[CellProgress, ...] = ()


class _Counts:
    """Counts the trials of each cell.

    Args:
        extent: When a cell needs no more trials.
        times: Convergence times of shape ``(cells, trials)``, NaN of trials without a row.
    """

    def __init__(self, extent: Extent, times: np.ndarray) -> None:
        self._extent = extent
        self._done: list[int] = (~np.isnan(times)).sum(1).tolist()
        self._solved: list[int] = np.isfinite(times).sum(1).tolist()
        self._total = times.size
        self._running: dict[int, None] = {}
        self._cells_done = sum(self._is_done(place) for place, done in enumerate(self._done) if done)
        self._all_done, self._all_solved = sum(self._done), sum(self._solved)

    def _is_done(self, place: int) -> bool:
        return self._extent.is_decided(self._solved[place], self._done[place])

    def add(self, results: Iterable[TrialResult]) -> None:
        """Counts trials that are done."""
        for result in results:
            place = result.number // self._extent.trials
            before = self._is_done(place)
            is_solved = result.convergence_time is not None
            self._done[place] += 1
            self._solved[place] += is_solved
            self._all_done += 1
            self._all_solved += is_solved
            self._running.pop(place, None)
            if self._is_done(place):
                self._cells_done += not before
            else:
                self._running[place] = None

    def progress(self) -> Progress:
        """How far it has come."""
        last = islice(reversed(self._running), _MOST_SHOWN)
        running = tuple(CellProgress(each, self._done[each], self._solved[each]) for each in last)
        cells = len(self._done)
        return Progress(self._all_done, self._all_solved, self._total, self._cells_done, cells, running)


def run_study(
    store: Store,
    work: Work,
    packs: Sequence[Pack],
    executor: Executor,
    tell: Callable[[str], None],
    show: Callable[[Progress], None],
) -> None:
    """Runs all trials of a plan that have no row yet.

    Args:
        store: Gets the rows; every second, so that what a killed process loses is a second's work.
        work: How a trial is run.
        packs: Cells that can share a stack.
        executor: Who runs them.
        tell: Called with lines for the user.
        show: Called after every change.

    Raises:
        WorkerFailed: If no worker is left.
        MixedComputation: If a row was computed in another way than others of its cell.
        OSError: If the store cannot be written.
    """
    times = store.convergence_times()
    done, solved = ~np.isnan(times), np.isfinite(times)
    failures = {place: count for place, (count, _) in store.failures().items()}
    agenda = Agenda(store.extent, packs, done.reshape(-1), solved.sum(1), failures)
    counts = _Counts(store.extent, times)
    show(counts.progress())
    waiting: list[TrialResult] = []
    written = time.monotonic()
    try:
        work = work._replace(computed=store.computed, keys=store.keys)
        # Closed at once, whatever happens here: an executor may have jobs to call off.
        with closing(executor.run(work, agenda, tell)) as stream:
            for results in stream:
                waiting += results
                if waiting and time.monotonic() - written > COMMIT_EVERY:
                    store.add(waiting)
                    waiting, written = [], time.monotonic()
                _record_faults(store, agenda, tell)
                if results:
                    counts.add(results)
                    show(counts.progress())
    finally:
        store.add(waiting)
        _record_faults(store, agenda, tell)


def _record_faults(store: Store, agenda: Agenda, tell: Callable[[str], None]) -> None:
    for fault in agenda.faults():
        store.record_failure(fault.place, fault.failures, fault.error)
        if fault.failures >= MOST_FAILURES:
            tell(f"a setting failed {fault.failures} times and is set aside: {fault.error}")
