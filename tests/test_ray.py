"""Ray for real: nodes, workers, Ray itself and the coordinator killed at random, and every trial once in the store."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
import yaml
from conftest import CONFIGS
from ray_cluster import processes_of, ray_cluster, workers_of
from test_study_executor import Slow, run

from parity_lightning.engine.trial import TrialResult, TrialSpec
from parity_lightning.studies.agenda import MOST_FAILURES
from parity_lightning.studies.cells import Extent
from parity_lightning.studies.executors import WorkerFailed
from parity_lightning.studies.executors.ray_core import RayCore

PROGRAM = Path(sys.executable).parent / "parity-lightning"

COMMAND = ["${env}", "parity-lightning", "fit", "--config", str(CONFIGS / "online.yaml"), "${args}"]
PARAMETERS = {
    "data.n": {"values": [8, 10, 12, 14, 16, 18]},
    "model.width": {"values": [10, 20]},
    "model.optimizer.lr": {"values": [0.01, 0.03]},
    "data.k": {"value": 2},
    "trainer.val_check_interval": {"value": 10},
}
TRIALS = 40


@pytest.fixture
def short_folder() -> Iterator[Path]:
    """A folder whose path is short enough for sockets."""
    with tempfile.TemporaryDirectory(prefix="ray-", dir="/tmp", ignore_cleanup_errors=True) as folder:
        yield Path(folder) / "ray"


def rows_of(store: Path) -> list[tuple[Any, ...]]:
    """All that is stored of all trials, by the keys of their cells."""
    with contextlib.closing(sqlite3.connect(store)) as database:
        assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        columns = [name for _, name, *_ in database.execute("PRAGMA table_info(trials)") if name not in ("cell",)]
        query = f"SELECT key, {', '.join(columns)} FROM trials JOIN cells ON cells.id = trials.cell ORDER BY key, trial"
        return database.execute(query).fetchall()


def count_of(store: Path) -> int:
    """How many rows a store has that may be being written."""
    with (
        contextlib.suppress(sqlite3.Error),
        contextlib.closing(sqlite3.connect(f"file:{store}?mode=ro", uri=True)) as db,
    ):
        return int(db.execute("SELECT COUNT(*) FROM trials").fetchone()[0])
    return 0


@pytest.fixture
def sweep_file(tmp_path: Path) -> Path:
    file = tmp_path / "s.yaml"
    content = {"method": "grid", "command": COMMAND, "parameters": PARAMETERS}
    file.write_text(yaml.safe_dump(content, sort_keys=False))
    return file


class Storm:
    """Runs a sweep and kills what takes part in it.

    Args:
        file: The sweep.
        store: Its store.
        options: Further ones of the command.
        environment: For the command.
        seed: Decides who is killed, and when.
    """

    def __init__(self, file: Path, store: Path, options: list[str], environment: Mapping[str, str], seed: int) -> None:
        self.command = [str(PROGRAM), "sweep", str(file), f"--store={store}", f"--trials={TRIALS}", *options]
        self.store = store
        self.environment = {**os.environ, **environment}
        self.random = random.Random(seed)
        self.log = store.with_suffix(".log")
        self.kills: dict[str, int] = {}
        self._start()

    def _start(self) -> None:
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(self.command, env=self.environment, stdout=log, stderr=log)

    def rage(self, killers: Mapping[str, Callable[[], bool]], kills: int) -> None:
        """Kills so many times, each time after some more rows have come; whoever ends is started again."""
        for number in range(kills):
            after = count_of(self.store) + self.random.randrange(1, 12)
            deadline = time.monotonic() + 1800
            while count_of(self.store) < after:
                assert time.monotonic() < deadline, self.log.read_text()[-2000:]
                assert self.process.poll() is None, (number, self.log.read_text()[-2000:])
                time.sleep(0.05)
            time.sleep(self.random.random())
            kind = self.random.choice(list(killers))
            deadline = time.monotonic() + 900
            while not killers[kind]():
                assert time.monotonic() < deadline, kind
                time.sleep(0.1)
            self.kills[kind] = self.kills.get(kind, 0) + 1

    def kill_coordinator(self) -> bool:
        self.process.kill()
        self.process.wait()
        self._start()
        return True

    def kill_driver(self) -> bool:
        """Kills the process that deals with Ray."""
        own = psutil.Process(self.process.pid).children()
        drivers = [each for each in own if "spawn_main" in " ".join(each.cmdline())]
        for driver in drivers:
            driver.kill()
        return bool(drivers)

    def kill_raylet(self) -> bool:
        """Kills the node that was started for the run."""
        nodes = [each for each in processes_of(self.process.pid) if "raylet" in each.name()]
        for node in nodes:
            node.kill()
        return bool(nodes)

    def kill_worker_of(self, roots: list[int]) -> bool:
        workers = [worker for root in roots for worker in workers_of(root)]
        if workers:
            with contextlib.suppress(psutil.NoSuchProcess):
                self.random.choice(workers).kill()
        return bool(workers)

    def end(self) -> None:
        """Has the sweep end."""
        deadline = time.monotonic() + 3600
        while self.process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.2)
        assert self.process.returncode == 0, self.log.read_text()[-3000:]
        # Nothing of what Ray has to say.
        told = self.log.read_text().replace("\r", "\n").splitlines()
        assert not [line for line in told if line.startswith(("(", "[", "\x1b", "Traceback", "ray"))], told


def check(storm: Storm, calm: Path, seed: int) -> None:
    """Every trial is in the store once, the same as where nothing was killed; tells the row of the fault table."""
    rows, expected = rows_of(storm.store), rows_of(calm)
    keys = [row[:2] for row in rows]
    duplicates, missing = len(keys) - len(set(keys)), len(set(row[:2] for row in expected) - set(keys))
    kills = ", ".join(f"{count} {kind}" for kind, count in sorted(storm.kills.items()))
    print(
        f"\nseed {seed}: {kills}; {len({key for key, _ in keys})} cells, {len(rows)} trials, "
        f"{duplicates} duplicates, {missing} missing, integrity ok"
    )
    assert (duplicates, missing) == (0, 0)
    assert rows == expected


@pytest.fixture(scope="module")
def calm(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The store of the same sweep by this machine's processes, undisturbed."""
    folder = tmp_path_factory.mktemp("calm")
    file, store = folder / "s.yaml", folder / "calm.sqlite"
    content = {"method": "grid", "command": COMMAND, "parameters": PARAMETERS}
    file.write_text(yaml.safe_dump(content, sort_keys=False))
    subprocess.run(
        [str(PROGRAM), "sweep", str(file), f"--store={store}", f"--trials={TRIALS}"], check=True, capture_output=True
    )
    return store


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2])
def test_nodes_workers_and_the_coordinator_killed_on_a_cluster(
    seed: int, tmp_path: Path, sweep_file: Path, short_folder: Path, calm: Path
) -> None:
    with ray_cluster(short_folder) as cluster:
        cluster.add()
        cluster.add()
        options = ["--executor=ray", f"--address={cluster.address}", "--stack_size=4"]
        storm = Storm(sweep_file, tmp_path / "s.sqlite", options, cluster.environment, seed)

        def kill_node() -> bool:
            cluster.kill(storm.random.choice(cluster.nodes[1:]))
            cluster.add()
            return True

        killers = {
            "workers": lambda: storm.kill_worker_of([node.pid for node in cluster.nodes]),
            "nodes": kill_node,
            "coordinators": storm.kill_coordinator,
            "drivers": storm.kill_driver,
        }
        storm.rage(killers, 10)
        storm.end()
        check(storm, calm, seed)


@pytest.mark.slow
@pytest.mark.parametrize("seed", [3])
def test_a_ray_of_its_own_killed(seed: int, tmp_path: Path, sweep_file: Path, calm: Path) -> None:
    options = ["--executor=ray", "--workers=2", "--stack_size=4"]
    storm = Storm(sweep_file, tmp_path / "s.sqlite", options, {}, seed)
    killers = {
        "workers": lambda: storm.kill_worker_of([storm.process.pid]),
        "coordinators": storm.kill_coordinator,
        "drivers": storm.kill_driver,
        "raylets": storm.kill_raylet,
    }
    storm.rage(killers, 8)
    storm.end()
    check(storm, calm, seed)


class BrokenNode(Slow):
    """Fails on one of the nodes; the other goes on after its first trial only once that has been so three times."""

    def has_company(self, begun: list[str]) -> bool:
        return sum(process != str(os.getpid()) for process in begun) >= MOST_FAILURES

    def outcome(self, spec: TrialSpec, cell: int) -> TrialResult:
        if "BROKEN_NODE" in os.environ:
            raise RuntimeError("no such device")
        return super().outcome(spec, cell)


@pytest.mark.slow
def test_a_node_that_only_fails_is_set_aside_and_the_cells_are_not(
    tmp_path: Path, short_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with ray_cluster(short_folder) as cluster:
        cluster.add({"BROKEN_NODE": "1"})
        cluster.add()
        for name, value in cluster.environment.items():
            monkeypatch.setenv(name, value)
        executor = RayCore(None, cluster.address, 0, 2)
        store, told = run(tmp_path, BrokenNode, executor, range(20), Extent(20, 5))
    assert not np.isnan(store.convergence_times()).any()
    assert any("of the Ray cluster has only failed of late and is set aside" in line for line in told)
    assert all(count < MOST_FAILURES for count, _ in store.failures().values())
    store.close()


@pytest.mark.slow
def test_an_interrupted_sweep_leaves_no_ray_behind(tmp_path: Path, sweep_file: Path) -> None:
    storm = Storm(sweep_file, tmp_path / "s.sqlite", ["--executor=ray", "--workers=1", "--stack_size=4"], {}, seed=0)
    deadline = time.monotonic() + 1800
    while count_of(storm.store) == 0 and time.monotonic() < deadline:
        time.sleep(0.1)
    everything = processes_of(storm.process.pid)
    storm.process.send_signal(signal.SIGINT)
    assert storm.process.wait(900) == 130
    assert "interrupted; the same command goes on from here" in storm.log.read_text()
    assert len(everything) > 5
    psutil.wait_procs(everything, timeout=30)
    assert not [process for process in everything if process.is_running()]
    assert count_of(storm.store) > 0


@pytest.mark.slow
def test_a_cluster_that_is_not_there_ends_the_study_in_a_line(tmp_path: Path) -> None:
    with pytest.raises(WorkerFailed, match=r"Ray at 127\.0\.0\.1:9 cannot be reached"):
        run(tmp_path, Slow, RayCore(None, "127.0.0.1:9", 0, 1))


@pytest.mark.slow
def test_a_cluster_without_its_head_ends_the_sweep_in_a_line(
    tmp_path: Path, sweep_file: Path, short_folder: Path
) -> None:
    with ray_cluster(short_folder) as cluster:
        cluster.add()
        options = ["--executor=ray", f"--address={cluster.address}", "--stack_size=4"]
        storm = Storm(sweep_file, tmp_path / "s.sqlite", options, cluster.environment, seed=0)
        deadline = time.monotonic() + 1800
        while count_of(storm.store) == 0 and time.monotonic() < deadline:
            time.sleep(0.1)
        cluster.kill(cluster.nodes[0])
        assert storm.process.wait(900) == 1
    last = storm.log.read_text().splitlines()[-1]
    assert last.startswith(
        f"parity-lightning sweep: Ray at {cluster.address} cannot be reached: ConnectionRefusedError"
    )
    assert last.endswith("the same command goes on from here")
    assert count_of(storm.store) > 0


@pytest.mark.slow
def test_a_figure_that_ray_runs_is_the_same(tmp_path: Path) -> None:
    tables = []
    for executor in ("ray", "embedded"):
        command = [str(PROGRAM), "figure", "4-left", "--scale=smoke", "--executor", executor, "--workers=2"]
        subprocess.run([*command, f"--output={tmp_path / executor}"], check=True, capture_output=True)
        tables.append((tmp_path / executor / "figure-4-left" / "smoke" / "data.csv").read_text())
    assert tables[0] == tables[1]
