"""The agenda and the executors: each trial once, whatever fails; what fails for good is set aside and named.

What is asked of every executor runs with each of them; Ray takes its time to start, so those are slow tests, and SLURM
needs daemons (`tests/slurm_cluster.py`).
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from parity_lightning.engine.trial import MixedComputation, TrialResult, TrialSpec
from parity_lightning.errors import SettingError
from parity_lightning.studies.agenda import MOST_FAILURES, Agenda
from parity_lightning.studies.cells import Extent, Grid
from parity_lightning.studies.coordinator import run_study
from parity_lightning.studies.executors import Executor, WorkerFailed, embedded
from parity_lightning.studies.executors.embedded import Embedded
from parity_lightning.studies.packs import packs_of
from parity_lightning.studies.settings import Settings
from parity_lightning.studies.store import Store
from parity_lightning.studies.work import Runner, Work

EXTENT = Extent(trials=10, first_seed=5)


Make = Callable[[int], Executor]
"""Makes an executor of so many workers."""


def embedded_executor(workers: int) -> Executor:
    return Embedded(workers)


def ray_executor(workers: int) -> Executor:
    pytest.importorskip("ray")
    from parity_lightning.studies.executors.ray_core import RayCore

    return RayCore(workers, None, 0, workers)


def slurm_executor(workers: int, spool: Path) -> Executor:
    from parity_lightning.studies.executors.slurm.cluster import Cluster
    from parity_lightning.studies.executors.slurm.executor import Slurm

    return Slurm(Cluster({}), spool, at_once=workers, interval=1.0, pause=0.1)


@pytest.fixture(
    params=[
        "embedded",
        pytest.param("ray", marks=pytest.mark.slow),
        pytest.param("slurm", marks=pytest.mark.slurm),
    ]
)
def make(request: pytest.FixtureRequest, tmp_path: Path) -> Make:
    """Makes each of the executors."""
    if request.param == "embedded":
        return embedded_executor
    if request.param == "ray":
        return ray_executor
    request.getfixturevalue("cluster")
    return lambda workers: slurm_executor(workers, tmp_path / "spool")


def outcome_of(spec: TrialSpec, time: int | None = 50) -> TrialResult:
    solved = "max_steps" if time is None else "solved"
    return TrialResult(spec.number, (0,), spec.seed, time, None, os.getpid(), 1.0, 0.0, solved, "slowly")


class Slow:
    """A runner whose trials take a while, for the exchange between processes.

    Every process goes on after its first trial only once there are ``waits_for`` processes that run trials; the
    coordinator's, where it runs trials, only once the others have begun ``waits_for_trials``.
    """

    note = None
    waits_for = 0
    waits_for_trials = 0

    def __init__(self, cells: Sequence[dict[str, Any]], worker: int, computed: str | None) -> None:
        self.cells = cells
        self.is_helper = os.getpid() != cells[0]["coordinator"]

    def run(self, specs: Iterator[TrialSpec]) -> Iterator[list[TrialResult]]:
        begun = Path(self.cells[0]["begun"])
        for number, spec in enumerate(specs):
            if number:
                deadline = time.monotonic() + 120
                while not self.has_company(begun.read_text().split()) and time.monotonic() < deadline:
                    time.sleep(0.01)
            with begun.open("a") as file:
                file.write(f"{os.getpid()}\n")
            time.sleep(0.003)
            yield [self.outcome(spec, self.cells[spec.setting]["cell"])]

    def has_company(self, begun: list[str]) -> bool:
        others = sum(process != str(os.getpid()) for process in begun)
        return len(set(begun)) >= self.waits_for and (self.is_helper or others >= self.waits_for_trials)

    def outcome(self, spec: TrialSpec, cell: int) -> TrialResult:
        return outcome_of(spec)


class Shared(Slow):
    """Two processes have their share."""

    waits_for = 2


class Broken(Slow):
    """Fails at some trials of cell 3 the first time, and in cell 4 always; its process dies of cell 5."""

    def outcome(self, spec: TrialSpec, cell: int) -> TrialResult:
        if cell == 3 and spec.seed % 4 == 3:
            before = Path(f"{self.cells[0]['begun']}-{spec.seed}")
            if not before.exists():
                before.touch()
                raise RuntimeError("not the first time")
        if cell == 4:
            raise RuntimeError("no process can do it")
        if cell == 5 and self.is_helper:
            os.kill(os.getpid(), signal.SIGKILL)
        return super().outcome(spec, cell)


class BrokenWorker(Slow):
    """Helpers fail whatever they do."""

    waits_for_trials = MOST_FAILURES

    def outcome(self, spec: TrialSpec, cell: int) -> TrialResult:
        if self.is_helper:
            raise RuntimeError("no such device")
        return super().outcome(spec, cell)


class Mixed(Slow):
    """Helpers compute in another way."""

    waits_for_trials = 1

    def outcome(self, spec: TrialSpec, cell: int) -> TrialResult:
        if self.is_helper:
            raise MixedComputation("another way")
        return super().outcome(spec, cell)


class Refused(Slow):
    """Helpers refuse a setting."""

    def outcome(self, spec: TrialSpec, cell: int) -> TrialResult:
        raise SettingError("device", 0, "set it another way")


class Odd(Slow):
    """Every (c+1)-th trial of cell c is solved."""

    def outcome(self, spec: TrialSpec, cell: int) -> TrialResult:
        return outcome_of(spec, 50 if spec.seed % (cell + 1) == 0 else None)


@pytest.fixture(autouse=True)
def help_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embedded, "HELP_AFTER", 0.0)


def run(
    path: Path,
    make_runner: Callable[..., Runner],
    executor: Executor,
    cells: Sequence[int] = range(8),
    extent: Extent = EXTENT,
    most: int = 4,
) -> tuple[Store, list[str]]:
    """Runs a study; returns its store and what was told."""
    (begun := path / "begun").write_text("")
    grid = Grid({"cell": list(cells), "begun": [str(begun)], "coordinator": [os.getpid()]})
    store = Store(path / "s.sqlite", grid, [Settings({}, {"cell": cell}, {}) for cell in cells], extent)
    told: list[str] = []
    packs = packs_of(["one stack"] * len(cells), most)
    run_study(store, Work(make_runner, grid, extent, {}), packs, executor, told.append, lambda _: None)
    return store, told


def test_several_processes_share_trials_and_do_each_once(tmp_path: Path, make: Make) -> None:
    store, _ = run(tmp_path, Shared, make(2), range(6), Extent(50, 5))
    rows = [(place, row["trial"], row["data_seed"]) for place, row in store.rows()]
    assert rows == [(place, trial, str(5 + trial)) for place in range(6) for trial in range(50)]
    assert len({row["steps"] for _, row in store.rows()}) >= 2


def test_what_fails_is_tried_again_and_set_aside_after_three_times(tmp_path: Path, make: Make) -> None:
    extent = Extent(20, 5)
    store, told = run(tmp_path, Broken, make(2), extent=extent)
    done = ~np.isnan(store.convergence_times())
    failures = store.failures()
    # Cell 5 kills the helper that has it; the first process, which has no such trouble, may have had it before.
    assert done[[0, 1, 2, 6, 7]].all()
    assert not done[4].any()
    assert failures[4][0] == MOST_FAILURES
    assert "RuntimeError: no process can do it" in failures[4][1]
    assert any("set aside: RuntimeError: no process" in line for line in told)
    store.close()
    again, _ = run(tmp_path, Slow, make(1), extent=extent)
    # What was set aside stays so until it is asked for.
    assert not (~np.isnan(again.convergence_times()))[4].any()
    again.retry_failed()
    again.close()
    whole, _ = run(tmp_path, Slow, make(1), extent=extent)
    assert not np.isnan(whole.convergence_times()).any()


def test_a_worker_that_only_fails_is_set_aside_and_the_cells_are_not(tmp_path: Path) -> None:
    store, told = run(tmp_path, BrokenWorker, Embedded(2), range(20), Extent(20, 5))
    assert not np.isnan(store.convergence_times()).any()
    assert any("worker 1 has only failed of late and is set aside" in line for line in told)
    assert all(count < MOST_FAILURES for count, _ in store.failures().values())


def test_what_no_worker_could_do_better_ends_the_study(
    tmp_path: Path, make: Make, request: pytest.FixtureRequest
) -> None:
    # Another node of SLURM may compute as the rows on record were computed.
    kind = Refused if "slurm" in request.node.name else Mixed
    with pytest.raises(WorkerFailed, match=r"a worker process failed: .*another way"):
        run(tmp_path, kind, make(2), range(20), Extent(20, 5))


def test_a_second_coordinator_is_refused(tmp_path: Path) -> None:
    store, _ = run(tmp_path, Slow, Embedded(1), [0])
    with pytest.raises(SettingError, match="is being written by another process"):
        run(tmp_path, Slow, Embedded(1), [0])
    store.close()


@given(st.lists(st.sampled_from(["solve", "give up", "fail", "die", "lose"]), max_size=200), st.sampled_from([None, 2]))
def test_an_agenda_ends_with_every_trial_done_decided_or_set_aside(events: list[str], decided_at: int | None) -> None:
    extent = Extent(trials=6, first_seed=0, decided_at=decided_at)
    agenda = Agenda(extent, packs_of(["a", "b", "a", "a"], most=2), np.zeros(24, bool), np.zeros(4, int))
    times = np.full(24, np.nan)
    failed: dict[int, int] = {}
    chances = iter(events)
    while (lease := agenda.lease()) is not None:
        event = next(chances, "solve")
        if event in ("solve", "give up"):
            for number in lease.numbers:
                assert np.isnan(times[number])
                times[number] = np.inf if event == "give up" else 50
            found = None if event == "give up" else 50
            agenda.settle([outcome_of(TrialSpec(number, 0, 0), found) for number in lease.numbers])
        else:
            agenda.hand_back(lease.pack, lease.numbers, None if event == "lose" else "broken", killed=event == "die")
        failed |= {fault.place: fault.failures for fault in agenda.faults()}
    assert agenda.is_settled
    solved, done = np.isfinite(times).reshape(4, 6).sum(1), (~np.isnan(times)).reshape(4, 6).sum(1)
    for place in range(4):
        assert extent.is_decided(solved[place], done[place]) or failed[place] == MOST_FAILURES


def test_a_cell_that_is_decided_early_is_decided_as_all_its_trials_would(tmp_path: Path, make: Make) -> None:
    store, _ = run(tmp_path, Odd, make(1), [0, 1, 9], Extent(25, 0, decided_at=5))
    times = store.convergence_times()
    done, solved = (~np.isnan(times)).sum(1), np.isfinite(times).sum(1)
    # Of the third, 3 of 25 are solved: with the 21st that is not, it cannot have 5 any more.
    assert (solved >= 5).tolist() == [True, True, False]
    assert done[2] - solved[2] >= 21
    assert done[0] < 25


@pytest.mark.skipif(not Path("/proc").exists(), reason="processes are looked up in /proc")
def test_helpers_end_with_the_process_that_started_them() -> None:
    code = f"import sys; sys.path[:0] = {sys.path!r}; from test_study_executor import *; run_orphans()"
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        helper = int(parent.stdout.readline())
        parent.kill()
    deadline = time.monotonic() + 20
    while is_running(helper) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not is_running(helper)


def run_orphans() -> None:
    """Shares trials out and tells the number of the helper's process."""
    embedded.HELP_AFTER = 0.0
    extent = Extent(100_000)
    cells = [{"cell": 0, "begun": os.devnull, "coordinator": os.getpid()}]
    agenda = Agenda(extent, [(0,)], np.zeros(extent.trials, bool), [0])
    for _ in Embedded(2).run(Work(Slow, cells, extent, {}), agenda, print):
        if children := multiprocessing.active_children():
            print(children[0].pid, flush=True)
            break
    time.sleep(60)


def is_running(process: int) -> bool:
    try:
        state = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"
