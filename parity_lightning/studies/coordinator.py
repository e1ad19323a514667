"""The coordinator: has an executor run what is missing from a store, and writes every result into it."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import closing
from typing import NamedTuple

import numpy as np

from parity_lightning.engine.trial import TrialResult
from parity_lightning.studies.agenda import MOST_FAILURES, Agenda
from parity_lightning.studies.executors import Executor
from parity_lightning.studies.packs import Pack
from parity_lightning.studies.store import Store
from parity_lightning.studies.work import Work

COMMIT_EVERY = 1.0
"""Seconds between two commits: a commit waits for the disk."""


class Progress(NamedTuple):
    """How far a study has come.

    Attributes:
        done: Trials that have a row.
        solved: How many of them are solved.
        total: Trials there are to be at most.
    """

    done: int
    solved: int
    total: int


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
    progress = Progress(int(done.sum()), int(solved.sum()), store.total)
    show(progress)
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
                    more = sum(result.convergence_time is not None for result in results)
                    progress = progress._replace(done=progress.done + len(results), solved=progress.solved + more)
                    show(progress)
    finally:
        store.add(waiting)
        _record_faults(store, agenda, tell)


def _record_faults(store: Store, agenda: Agenda, tell: Callable[[str], None]) -> None:
    for fault in agenda.faults():
        store.record_failure(fault.place, fault.failures, fault.error)
        if fault.failures >= MOST_FAILURES:
            tell(f"a setting failed {fault.failures} times and is set aside: {fault.error}")
