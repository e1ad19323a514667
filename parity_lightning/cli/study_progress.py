"""Runs what is missing from a store, under a progress bar."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

from lightning.pytorch.callbacks.progress.tqdm_progress import Tqdm

from parity_lightning.callbacks.progress_bar import bar_stream
from parity_lightning.cli.make_runner import MakeRunner
from parity_lightning.studies.cells import Cell
from parity_lightning.studies.coordinator import Progress, run_study
from parity_lightning.studies.executors import Executor
from parity_lightning.studies.executors.embedded import Embedded
from parity_lightning.studies.packs import Pack
from parity_lightning.studies.store import Store
from parity_lightning.studies.work import Work


def terminal_bar(total: int) -> Any:
    """The bar of a command; a line now and then where there is no terminal."""
    return Tqdm(
        total=total,
        desc="trials",
        unit=" trials",
        dynamic_ncols=True,
        file=bar_stream(),
        smoothing=0,
        mininterval=0.2 if sys.stderr.isatty() else 30,
    )


def run_under_bar(
    store: Store,
    make_runner: MakeRunner,
    cells: Sequence[Cell],
    packs: Sequence[Pack],
    threads: int,
    bar: Any,
    executor: Executor | None = None,
) -> None:
    """Runs all trials that have no row yet.

    Args:
        store: Gets the rows.
        make_runner: Makes what runs the trials of a pack.
        cells: The cells of the plan.
        packs: Those of them that can share a stack.
        threads: How many threads each process uses.
        bar: Shows progress, as tqdm's do; closed in the end.
        executor: Who runs them; by default this process and its helpers.
    """
    if store.damaged:
        rows = "row was" if store.damaged == 1 else "rows were"
        print(f"{store.damaged:,} {rows} damaged and will be run again", file=sys.stderr)
    printed: set[str] = set()

    def print_once(note: str) -> None:
        # Each process sends its notes, most of them the same.
        if note not in printed:
            printed.add(note)
            bar.write(note, file=sys.stderr)

    is_first = True

    def show(progress: Progress) -> None:
        nonlocal is_first
        if is_first:
            # What was there before has no bearing on the speed.
            bar.initial = bar.n = progress.done
            is_first = False
        if progress.done:
            bar.set_postfix_str(f"solved {progress.solved / progress.done:.1%}", refresh=False)
        bar.update(progress.done - bar.n)

    work = Work(make_runner, cells, store.extent, store.computed, threads)
    try:
        run_study(store, work, packs, executor or Embedded(make_runner.workers), print_once, show)
    finally:
        bar.close()
