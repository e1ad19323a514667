"""The agenda and the embedded executor: each trial once, whatever fails; what fails for good is set aside and named."""

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
from parity_lightning.studies.executors import WorkerFailed, embedded
from parity_lightning.studies.executors.embedded import Embedded
from parity_lightning.studies.packs import packs_of
from parity_lightning.studies.settings import Settings
from parity_lightning.studies.store import Store
from parity_lightning.studies.work import Runner, Work

TRIALS = 10


def outcome_of(spec: TrialSpec, worker: int, time: int | None = 50) -> TrialResult:
    solved = "max_steps" if time is None else "solved"
    return TrialResult(spec.number, (0,), spec.seed, time, None, worker, 1.0, 0.0, solved, "slowly")


class Slow:
    """A runner whose trials take a while, for the exchange between processes.

    The first process goes on after its first trial only once helpers have begun ``waits_for`` trials.
    """

    note = None
    waits_for = 0

    def __init__(self, cells: Sequence[dict[str, Any]], worker: int, computed: str | None) -> None:
        self.cells = cells
        self.worker = worker

    def run(self, specs: Iterator[TrialSpec]) -> Iterator[list[TrialResult]]:
        begun = Path(self.cells[0]["begun"])
        for number, spec in enumerate(specs):
            if self.worker:
                with begun.open("a") as file:
                    file.write("x")
            elif number:
                deadline = time.monotonic() + 120
                while begun.stat().st_size < self.waits_for and time.monotonic() < deadline:
                    time.sleep(0.01)
            time.sleep(0.003)
            yield [self.outcome(spec, self.cells[spec.setting]["cell"])]

    def outcome(self, spec: TrialSpec, cell: int) -> TrialResult:
        return outcome_of(spec, self.worker)


class Shared(Slow):
    """Helpers have their share."""

    waits_for = 1


class Broken(Slow):
    """Fails at some trials of cell 3, and in cell 4 always; its process dies of cell 5."""

    def outcome(self, spec: TrialSpec, cell: int) -> TrialResult:
        if cell == 3 and spec.seed % 4 == 3 and self.worker == 0:
            raise RuntimeError("this process cannot do it")
        if cell == 4:
            raise RuntimeError("no process can do it")
        if cell == 5 and self.worker:
            os.kill(os.getpid(), signal.SIGKILL)
        return super().outcome(spec, cell)


class BrokenWorker(Slow):
    """Helpers fail whatever they do."""

    waits_for = MOST_FAILURES

    def outcome(self, spec: TrialSpec, cell: int) -> TrialResult:
        if self.worker:
            raise RuntimeError("no such device")
        return super().outcome(spec, cell)


class Mixed(Slow):
    """Helpers compute in another way."""

    waits_for = 1

    def outcome(self, spec: TrialSpec, cell: int) -> TrialResult:
        if self.worker:
            raise MixedComputation("another way")
        return super().outcome(spec, cell)


@pytest.fixture(autouse=True)
def help_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embedded, "HELP_AFTER", 0.0)


def run(
    path: Path,
    make_runner: Callable[..., Runner],
    cells: int = 8,
    trials: int = TRIALS,
    most: int = 4,
    workers: int = 2,
) -> tuple[Store, list[str]]:
    """Runs a study; returns its store and what was told."""
    (begun := path / "begun").write_text("")
    grid = Grid({"cell": list(range(cells)), "begun": [str(begun)]})
    store = Store(
        path / "s.sqlite", grid, [Settings({}, {"cell": cell}, {}) for cell in range(cells)], Extent(trials, 5)
    )
    told: list[str] = []
    packs = packs_of(["one stack"] * cells, most)
    run_study(store, Work(make_runner, grid, store.extent, {}), packs, Embedded(workers), told.append, lambda _: None)
    return store, told


def test_several_processes_share_trials_and_do_each_once(tmp_path: Path) -> None:
    store, _ = run(tmp_path, Shared, cells=6, trials=50)
    rows = [(place, row["trial"], row["data_seed"]) for place, row in store.rows()]
    assert rows == [(place, trial, str(5 + trial)) for place in range(6) for trial in range(50)]
    assert {row["steps"] for _, row in store.rows()} == {0, 1}


def test_what_fails_is_tried_again_and_set_aside_after_three_times(tmp_path: Path) -> None:
    store, told = run(tmp_path, Broken, trials=20)
    done = ~np.isnan(store.convergence_times())
    failures = store.failures()
    # Cell 5 kills the helper that has it; this process, which has no such trouble, may have had it before.
    assert done[[0, 1, 2, 6, 7]].all()
    assert not done[4].any()
    assert failures[4][0] == MOST_FAILURES
    assert "RuntimeError: no process can do it" in failures[4][1]
    assert any("set aside: RuntimeError: no process" in line for line in told)
    store.close()
    again, _ = run(tmp_path, Slow, trials=20, workers=1)
    # What was set aside stays so until it is asked for.
    assert not (~np.isnan(again.convergence_times()))[4].any()
    again.retry_failed()
    again.close()
    whole, _ = run(tmp_path, Slow, trials=20, workers=1)
    assert not np.isnan(whole.convergence_times()).any()


def test_a_worker_that_only_fails_is_set_aside_and_the_cells_are_not(tmp_path: Path) -> None:
    store, told = run(tmp_path, BrokenWorker, cells=20, trials=20)
    assert not np.isnan(store.convergence_times()).any()
    assert any("worker 1 has only failed of late and is set aside" in line for line in told)
    assert all(count < MOST_FAILURES for count, _ in store.failures().values())


def test_what_no_worker_could_do_better_ends_the_study(tmp_path: Path) -> None:
    with pytest.raises(WorkerFailed, match="another way"):
        run(tmp_path, Mixed, cells=20, trials=20)


def test_a_second_coordinator_is_refused(tmp_path: Path) -> None:
    store, _ = run(tmp_path, Slow, cells=1, workers=1)
    with pytest.raises(SettingError, match="is being written by another process"):
        run(tmp_path, Slow, cells=1)
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
            agenda.settle([outcome_of(TrialSpec(number, 0, 0), 0, found) for number in lease.numbers])
        else:
            agenda.hand_back(lease.pack, lease.numbers, None if event == "lose" else "broken", killed=event == "die")
        failed |= {fault.place: fault.failures for fault in agenda.faults()}
    assert agenda.is_settled
    solved, done = np.isfinite(times).reshape(4, 6).sum(1), (~np.isnan(times)).reshape(4, 6).sum(1)
    for place in range(4):
        assert extent.is_decided(solved[place], done[place]) or failed[place] == MOST_FAILURES


def test_a_cell_that_is_decided_early_is_decided_as_all_its_trials_would(tmp_path: Path) -> None:
    class Odd(Slow):
        def outcome(self, spec: TrialSpec, cell: int) -> TrialResult:
            return outcome_of(spec, 0, 50 if spec.seed % (cell + 1) == 0 else None)

    (begun := tmp_path / "begun").write_text("")
    grid = Grid({"cell": [0, 1, 9], "begun": [str(begun)]})
    settings = [Settings({}, {"cell": cell}, {}) for cell in (0, 1, 9)]
    store = Store(tmp_path / "s.sqlite", grid, settings, Extent(25, 0, decided_at=5))
    work = Work(Odd, grid, store.extent, {})
    run_study(store, work, [(0, 1, 2)], Embedded(1), lambda _: None, lambda _: None)
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
    agenda = Agenda(extent, [(0,)], np.zeros(extent.trials, bool), [0])
    for _ in Embedded(2).run(Work(Slow, [{"cell": 0, "begun": os.devnull}], extent, {}), agenda, print):
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
