"""Studies whose trials only take a while, for the SLURM executor; what its jobs import, so it imports little."""

from __future__ import annotations

import os
import signal
import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from parity_lightning.engine.trial import TrialResult, TrialSpec, check_same_computation
from parity_lightning.studies.cells import Extent, Grid
from parity_lightning.studies.coordinator import Progress, run_study
from parity_lightning.studies.executors.slurm.cluster import Cluster
from parity_lightning.studies.executors.slurm.executor import Slurm
from parity_lightning.studies.packs import packs_of
from parity_lightning.studies.settings import Settings
from parity_lightning.studies.store import Store
from parity_lightning.studies.work import Runner, Work


class Slow:
    """A runner whose trials take a while, and leave a mark."""

    note = None

    def __init__(self, cells: Sequence[dict[str, Any]], worker: int, computed: str | None) -> None:
        self.cells = cells

    def run(self, specs: Iterator[TrialSpec]) -> Iterator[list[TrialResult]]:
        for spec in specs:
            cell = self.cells[spec.setting]
            time.sleep(cell["seconds"])
            with Path(cell["begun"]).open("a") as file:
                file.write("x")
            self.meet(cell["cell"], spec.seed)
            yield [self.outcome(spec, cell["cell"])]

    def meet(self, cell: int, seed: int) -> None:
        """Does nothing."""

    def outcome(self, spec: TrialSpec, cell: int) -> TrialResult:
        """Tells trials apart."""
        return TrialResult(
            spec.number, (0, 2), spec.seed, time_of(cell, spec.seed), None, 1, 1.0, None, "solved", "slowly", (3, None)
        )


def time_of(cell: int, seed: int) -> int:
    return 1000 * cell + seed


class Broken(Slow):
    """Fails in cell 1, and its process dies of cell 2; where a file says so."""

    def meet(self, cell: int, seed: int) -> None:
        if cell == 1 and seed > 6:
            raise RuntimeError("no node can do it")
        if cell == 2:
            os.kill(os.getpid(), signal.SIGKILL)


class OneNode(Slow):
    """Fails on the second node."""

    def meet(self, cell: int, seed: int) -> None:
        if os.environ["SLURMD_NODENAME"] == "n2":
            raise RuntimeError("no such device")


class Odd(Slow):
    """Solves one trial of so many as the cell's number says."""

    def outcome(self, spec: TrialSpec, cell: int) -> TrialResult:
        solved = super().outcome(spec, cell)
        return solved if spec.seed % (cell + 1) == 0 else solved._replace(convergence_time=None)


class OfNode(Slow):
    """Computes in another way on each node."""

    def __init__(self, cells: Sequence[dict[str, Any]], worker: int, computed: str | None) -> None:
        super().__init__(cells, worker, computed)
        check_same_computation(computed, os.environ["SLURMD_NODENAME"], "give a --constraint")

    def outcome(self, spec: TrialSpec, cell: int) -> TrialResult:
        return super().outcome(spec, cell)._replace(computed=os.environ["SLURMD_NODENAME"])


class Case:
    """A study in a folder.

    Args:
        path: The folder.
        cells: How many cells.
        trials: How many trials of each.
        seconds: How long a trial takes.
        decided_at: With how many solved trials a cell is decided.
    """

    def __init__(
        self, path: Path, cells: int = 6, trials: int = 4, seconds: float = 0.0, decided_at: int | None = None
    ) -> None:
        self.path = path
        self.begun = path / "begun"
        self.cells = Grid({"cell": list(range(cells)), "seconds": [seconds], "begun": [str(self.begun)]})
        self.settings = [Settings({}, {"cell": cell}, {}) for cell in range(cells)]
        self.extent = Extent(trials, 5, decided_at)
        self.told: list[str] = []

    def run(
        self,
        make_runner: Callable[..., Runner] = Slow,
        pack: int = 2,
        directives: dict[str, Any] | None = None,
        show: Callable[[Progress], None] = lambda _: None,
        retry: bool = False,
        **options: Any,
    ) -> np.ndarray:
        """Runs what is missing; returns the convergence times."""
        store = Store(self.path / "s.sqlite", self.cells, self.settings, self.extent)
        try:
            if retry:
                store.retry_failed()
            cluster = Cluster(directives or {})
            executor = Slurm(cluster, self.path / "spool", **{"interval": 1.0, "pause": 0.1, **options})
            packs = packs_of(["one stack"] * len(self.cells), pack)
            run_study(store, Work(make_runner, self.cells, self.extent, {}), packs, executor, self.told.append, show)
            return store.convergence_times()
        finally:
            self.failures = store.failures()
            store.close()

    @property
    def expected(self) -> list[list[int]]:
        """The convergence times that there should be."""
        return [[time_of(cell, 5 + trial) for trial in range(self.extent.trials)] for cell in range(len(self.cells))]

    @property
    def count(self) -> int:
        """How many trials were run, of whatever attempt."""
        return self.begun.stat().st_size if self.begun.exists() else 0

    def batches(self) -> list[Path]:
        """What is left in the spool."""
        return [path for path in (self.path / "spool").iterdir() if path.is_dir()]

    @property
    def rows(self) -> int:
        """How many rows there are by now."""
        database = sqlite3.connect(self.path / "s.sqlite")
        try:
            return int(database.execute("SELECT COUNT(*) FROM trials").fetchone()[0])
        except sqlite3.OperationalError:
            return 0
        finally:
            database.close()


def coordinate(path: str, cells: int, trials: int, seconds: float) -> None:
    """A coordinator in a process of its own."""
    case = Case(Path(path), cells, trials, seconds)
    case.run()
    print("\n".join(case.told))
