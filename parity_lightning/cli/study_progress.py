"""Runs what is missing from a store, and shows how far it has come."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from parity_lightning.cli.make_runner import MakeRunner
from parity_lightning.display.table import short_value
from parity_lightning.studies.cells import Cell
from parity_lightning.studies.coordinator import Progress, run_study
from parity_lightning.studies.executors import Executor
from parity_lightning.studies.executors.embedded import Embedded
from parity_lightning.studies.packs import Pack
from parity_lightning.studies.store import Store
from parity_lightning.studies.work import Work
from parity_lightning.terminal.output import complain
from parity_lightning.terminal.progress import Rows, no_rows


class Bar(Protocol):
    """Shows progress, as `parity_lightning.terminal.progress.Progress` does."""

    def update(self, done: int, values: Mapping[str, str] | None = None, rows: Rows = no_rows) -> None:
        """Takes note of how many trials are done, of what is known, and of what is running."""

    def write(self, text: str) -> None:
        """Prints a line that stays."""

    def close(self) -> None:
        """Ends it."""


def run_under_bar(
    store: Store,
    make_runner: MakeRunner,
    cells: Sequence[Cell],
    packs: Sequence[Pack],
    threads: int,
    bar: Bar,
    executor: Executor | None = None,
) -> None:
    """Runs all trials that have no row yet.

    Args:
        store: Gets the rows.
        make_runner: Makes what runs the trials of a pack.
        cells: The cells of the plan.
        packs: Those of them that can share a stack.
        threads: How many threads each process uses.
        bar: Shows progress; closed in the end.
        executor: Who runs them; by default this process and its helpers.
    """
    if store.damaged:
        rows = "row was" if store.damaged == 1 else "rows were"
        complain(f"{store.damaged:,} {rows} damaged and will be run again")
    printed: set[str] = set()

    def print_once(note: str) -> None:
        # Each process sends its notes, most of them the same.
        if note not in printed:
            printed.add(note)
            bar.write(note)

    def show(progress: Progress) -> None:
        values = {}
        if progress.cells > 1:
            values["settings done"] = f"{progress.cells_done:,} of {progress.cells:,}"
        if progress.done:
            values["solved"] = f"{progress.solved:,} ({100 * progress.solved / progress.done:.1f} %)"
        running = progress.running if progress.cells > 1 else ()
        bar.update(
            progress.done,
            values,
            lambda: [(_named(cells[each.place]), f"{each.done:,} done, {each.solved:,} solved") for each in running],
        )

    work = Work(make_runner, cells, store.extent, store.computed, threads)
    try:
        run_study(store, work, packs, executor or Embedded(make_runner.workers), print_once, show)
    finally:
        bar.close()


def _named(cell: Cell) -> str:
    """What tells a setting from the others, in short.

    Example:
        >>> _named({"data.n": 50, "model.optimizer.lr": 0.1, "config": "configs/architectures/xv.yaml"})
        'n=50, lr=0.1, config=xv'
    """
    return ", ".join(f"{option.rpartition('.')[2]}={short_value(value)}" for option, value in cell.items())
