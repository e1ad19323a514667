"""What executors cost, and how fast the coordinator writes: the tables of docs/scale.md.

    python benchmarks/executors.py cells      # CPU time per setting of 25 trials, embedded and Ray
    python benchmarks/executors.py store      # rows a second into the store, and bytes a row

A study is run in two sizes: the difference is what a setting costs, and the rest what it takes to begin. What counts
is the CPU time of all processes that take part, Ray's own among them: it depends little on what else the machine does.
"""

from __future__ import annotations

import argparse
import contextlib
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import psutil
import yaml
from nothing import Nothing, result_of

from parity_lightning.cli.executor_options import ExecutorOptions
from parity_lightning.engine.trial import TrialResult
from parity_lightning.studies.agenda import Agenda
from parity_lightning.studies.cells import Extent, Grid
from parity_lightning.studies.coordinator import run_study
from parity_lightning.studies.packs import packs_of
from parity_lightning.studies.settings import Settings
from parity_lightning.studies.store import Store
from parity_lightning.studies.work import Work

ROOT = Path(__file__).parents[1]
TRIALS = 25
NOTHING = (64, 3264)
REAL = (64, 320)
PACKS = (8, 40)
ROWS = 400_000


class Cost(NamedTuple):
    """What a command took, in seconds: of the clock, and of all its processes together."""

    wall: float
    cpu: float


def cost_of(command: list[str]) -> Cost:
    """Runs a command; CPU times are those of its processes when they were last seen."""
    began = time.monotonic()
    seen: dict[tuple[int, float], float] = {}
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as running:
        while running.poll() is None:
            with contextlib.suppress(psutil.NoSuchProcess):
                own = psutil.Process(running.pid)
                for process in [own, *own.children(recursive=True)]:
                    with contextlib.suppress(psutil.Error):
                        times = process.cpu_times()
                        seen[process.pid, process.create_time()] = times.user + times.system
            time.sleep(0.1)
    assert running.returncode == 0, command
    return Cost(time.monotonic() - began, sum(seen.values()))


def run_nothing(executor: str, cells: int) -> None:
    """Runs a study of trials that compute nothing."""
    grid = Grid({"cell": list(range(cells))})
    settings = [Settings({}, {"cell": cell}, {}) for cell in range(cells)]
    with tempfile.TemporaryDirectory() as folder:
        store = Store(Path(folder) / "s.sqlite", grid, settings, Extent(TRIALS))
        chosen = ExecutorOptions(executor, workers=2).made(store.path)  # type: ignore[arg-type]
        packs = packs_of(["one stack"] * cells)
        run_study(store, Work(Nothing, grid, store.extent, {}), packs, chosen, print, lambda _: None)
        assert len(store) == cells * TRIALS
        store.close()


def sweep_of(folder: Path, cells: int, *, stacked: bool) -> Path:
    """A sweep of settings that are solved soon, each its own learning rate, or batch size: these share no stack."""
    rates = [round(0.05 + 0.1 * number / cells, 6) for number in range(cells)]
    varied = {"model.optimizer.lr": rates} if stacked else {"data.batch_size": [32 + number for number in range(cells)]}
    config = str(ROOT / "configs" / "online.yaml")
    content = {
        "method": "grid",
        "command": ["${env}", "parity-lightning", "fit", "--config", config, "${args}"],
        "parameters": {
            **{option: {"values": values} for option, values in varied.items()},
            "data.n": {"value": 20},
            "data.k": {"value": 2},
        },
    }
    file = folder / f"{cells}-{stacked}.yaml"
    file.write_text(yaml.safe_dump(content, sort_keys=False))
    return file


def measure_cells() -> None:
    """Prints the table of executors."""
    print("| executor | cells | to begin: wall, CPU | each setting of 25 trials: wall, CPU |\n|---|---|---|---|")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)

        def nothing(executor: str, cells: int) -> list[str]:
            return [sys.executable, __file__, "nothing", executor, str(cells)]

        def sweep(file: Path, executor: str) -> list[str]:
            given = [f"--store={file}-{executor}.sqlite", f"--trials={TRIALS}", "--workers=2", f"--executor={executor}"]
            return [sys.executable, "-m", "parity_lightning", "sweep", str(file), *given]

        def stacked(executor: str, cells: int) -> list[str]:
            return sweep(sweep_of(folder, cells, stacked=True), executor)

        def alone(executor: str, cells: int) -> list[str]:
            return sweep(sweep_of(folder, cells, stacked=False), executor)

        kinds: dict[str, tuple[Callable[[str, int], list[str]], tuple[int, int]]] = {
            "nothing computed": (nothing, NOTHING),
            "(20,2), 64 settings a pack": (stacked, REAL),
            "(20,2), each setting a pack": (alone, PACKS),
        }
        for kind, (command, (few, many)) in kinds.items():
            for executor in ("embedded", "ray"):
                small, large = (cost_of(command(executor, cells)) for cells in (few, many))
                wall, cpu = ((large[part] - small[part]) / (many - few) for part in (0, 1))
                begin = f"{small.wall - few * wall:.0f} s, {small.cpu - few * cpu:.0f} s"
                print(f"| {executor} | {kind} | {begin} | {1e3 * wall:.2f} ms, {1e3 * cpu:.2f} ms |", flush=True)


class _Ready:
    """An executor whose results are there already, a few hundred at a time."""

    def run(self, work: Work, agenda: Agenda, tell: Callable[[str], None]) -> Iterator[list[TrialResult]]:
        while (lease := agenda.lease()) is not None:
            results = [result_of(number, number % TRIALS) for number in lease.numbers]
            agenda.settle(results)
            yield results


def measure_store() -> None:
    """Prints how fast the coordinator takes results in, and how long rows are."""
    cells = ROWS // TRIALS
    grid = Grid({"cell": list(range(cells))})
    settings = [Settings({}, {"cell": cell}, {}) for cell in range(cells)]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "s.sqlite"
        store = Store(path, grid, settings, Extent(TRIALS))
        empty = path.stat().st_size
        work = Work(Nothing, grid, store.extent, {})
        wall, before = time.monotonic(), resource.getrusage(resource.RUSAGE_SELF)
        run_study(store, work, packs_of(["one stack"] * cells), _Ready(), print, lambda _: None)
        after = resource.getrusage(resource.RUSAGE_SELF)
        wall = time.monotonic() - wall
        store.close()
        cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        size = (path.stat().st_size - empty) / ROWS
        print(f"{ROWS:,} rows: {ROWS / wall:,.0f} a second, {1e6 * cpu / ROWS:.1f} us of CPU and {size:.0f} bytes each")
        began = time.process_time()
        Store(path, grid, settings, Extent(TRIALS)).close()
        print(f"opened again, all rows checked: {time.process_time() - began:.1f} s of CPU")


def main() -> None:
    """Measures what is asked for."""
    parser = argparse.ArgumentParser()
    parser.add_argument("what", choices=["cells", "store", "nothing"])
    parser.add_argument("executor", nargs="?")
    parser.add_argument("cells", nargs="?", type=int)
    given = parser.parse_args()
    if given.what == "nothing":
        run_nothing(given.executor, given.cells)
    elif given.what == "cells":
        measure_cells()
    else:
        measure_store()


if __name__ == "__main__":
    main()
