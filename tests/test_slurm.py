"""The SLURM executor on a cluster of Debian's daemons: every trial once, whatever dies, and few questions."""

from __future__ import annotations

import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pyarrow.parquet as parquet
import pytest
import slurm_cluster
import yaml
from conftest import CONFIGS
from slurm_cluster import SlurmCluster, wait_for
from slurm_studies import Broken, Case, Odd, OfNode, OneNode, Slow

from parity_lightning.cli import main
from parity_lightning.studies.agenda import MOST_FAILURES
from parity_lightning.studies.coordinator import Progress
from parity_lightning.studies.executors import WorkerFailed
from parity_lightning.studies.executors.slurm.cluster import Cluster, Refused

pytestmark = pytest.mark.slurm


def test_packs_are_tasks_of_arrays_and_slurm_is_asked_seldom(cluster: SlurmCluster, tmp_path: Path) -> None:
    case = Case(tmp_path, cells=14, seconds=0.2)
    asked, submitted = len(cluster.calls("squeue")), len(cluster.calls("sbatch"))
    assert case.run(interval=5.0).tolist() == case.expected
    assert case.count == 14 * 4
    # MaxArraySize is 6.
    assert [line.partition(": ")[2] for line in case.told] == ["6 tasks, 48 trials", "1 task, 8 trials"]
    assert len(cluster.calls("sbatch")) - submitted == 2
    calls = cluster.calls("squeue")[asked:]
    assert calls
    assert min(np.diff(calls), default=5.0) >= 4.9
    assert not cluster.calls("sacct")
    assert not case.batches()


def test_what_fails_is_tried_again_and_set_aside_after_three_times(cluster: SlurmCluster, tmp_path: Path) -> None:
    case = Case(tmp_path, cells=4)
    done = ~np.isnan(case.run(Broken))
    assert done[[0, 3]].all()
    # The seeds 5 and 6 of the second can be done.
    assert done[1].tolist() == [True, True, False, False]
    assert not done[2].any()
    assert {place: count for place, (count, _) in case.failures.items()} == {1: MOST_FAILURES, 2: MOST_FAILURES}
    assert "RuntimeError: no node can do it" in case.failures[1][1]
    assert "its job was killed" in case.failures[2][1]
    assert np.isnan(case.run(Slow)).any()
    assert case.run(Slow, retry=True).tolist() == case.expected


def test_a_node_that_only_fails_is_set_aside_and_the_cells_are_not(cluster: SlurmCluster, tmp_path: Path) -> None:
    case = Case(tmp_path, cells=8, seconds=0.2)
    assert case.run(OneNode, pack=1).tolist() == case.expected
    assert any("node n2 has only failed of late and is set aside" in line for line in case.told)
    assert all(count < MOST_FAILURES for count, _ in case.failures.values())


def test_a_cell_that_is_decided_early_is_decided_in_its_job(cluster: SlurmCluster, tmp_path: Path) -> None:
    case = Case(tmp_path, cells=10, trials=25, decided_at=5)
    times = case.run(Odd, pack=10)
    done, solved = (~np.isnan(times)).sum(1), np.isfinite(times).sum(1)
    assert (solved[:5] == 5).all()
    assert solved[9] < 5
    assert (done - solved)[9] >= 21
    assert case.count == done.sum() < 250


def test_rows_of_one_setting_are_computed_in_one_way(cluster: SlurmCluster, tmp_path: Path) -> None:
    case = Case(tmp_path, cells=1, trials=8, seconds=0.5)

    def stop(progress: Progress) -> None:
        if progress.done:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        case.run(OfNode, directives={"nodelist": "n1"}, show=stop)
    times = case.run(OfNode, directives={"nodelist": "n2"})
    assert np.isnan(times).any()
    assert case.failures[0][0] == MOST_FAILURES
    assert "computed in another way (n1) than here (n2)" in case.failures[0][1]
    assert case.run(OfNode, directives={"nodelist": "n1"}, retry=True).tolist() == case.expected


def test_an_interrupt_cancels_jobs_and_keeps_what_they_did(cluster: SlurmCluster, tmp_path: Path) -> None:
    case = Case(tmp_path, cells=4, seconds=0.5)

    def stop(progress: Progress) -> None:
        if progress.done > 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        case.run(show=stop)
    assert "tasks cancelled; what they have done is kept" in case.told[-1]
    wait_for(lambda: not cluster.told("squeue", "--noheader"), "the jobs to be gone")
    before = case.count
    assert before < 16
    assert case.run().tolist() == case.expected
    # Of each of the two jobs one trial may have been cut short.
    assert case.count <= 16 + 2
    assert not case.failures


def test_a_job_whose_time_is_over_leaves_the_rest_to_another(cluster: SlurmCluster, tmp_path: Path) -> None:
    case = Case(tmp_path, cells=1, trials=20, seconds=0.3)
    warned: list[str] = []

    def warn(progress: Progress) -> None:
        if progress.done > 3 and not warned:
            warned.append(cluster.told("scancel", "--batch", "--signal=USR2", "--me") or "")

    assert case.run(show=warn).tolist() == case.expected
    assert warned
    assert len([line for line in case.told if line.startswith("SLURM job")]) == 2
    assert case.count <= 20 + 1
    assert not case.failures


def test_jobs_that_cannot_begin_end_the_study(
    cluster: SlurmCluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    with pytest.raises(WorkerFailed, match=r"jobs end before they begin to work: .*/nowhere/python"):
        Case(tmp_path, cells=2).run()


def test_what_slurm_refuses_is_told_in_its_words(cluster: SlurmCluster, tmp_path: Path) -> None:
    with pytest.raises(Refused, match=r"[Ii]nvalid partition"):
        Cluster({"partition": "none"}).check()
    Cluster({"partition": "main", "cpus-per-task": 2}).check()
    with pytest.raises(WorkerFailed, match=r"SLURM takes no jobs: .*[Ii]nvalid partition"):
        Case(tmp_path, cells=2).run(directives={"partition": "none"})


def test_a_sweep_is_the_same_as_by_the_embedded_executor(cluster: SlurmCluster, tmp_path: Path) -> None:
    parameters = {
        "data.n": {"values": [8, 12]},
        "model.width": {"values": [20, 30]},
        "model.optimizer.lr": {"values": [0.05, 0.1]},
        "trainer.val_check_interval": {"value": 10},
        "seed_everything": {"values": [3, 4, 5]},
    }
    command = ["${env}", "parity-lightning", "fit", "--config", str(CONFIGS / "online.yaml"), "--data.k=2", "${args}"]
    file = tmp_path / "s.yaml"
    file.write_text(yaml.safe_dump({"method": "grid", "command": command, "parameters": parameters}, sort_keys=False))
    tables = []
    for name, options in (("embedded", ["--workers=1"]), ("slurm", ["--partition=main", "--cpus_per_task=2"])):
        store = tmp_path / f"{name}.sqlite"
        main(["sweep", str(file), f"--store={store}", f"--executor={name}", *options])
        main(["results", str(store), f"--export={tmp_path / name}.parquet"])
        tables.append(parquet.read_table(tmp_path / f"{name}.parquet").to_pylist())
    assert len(tables[0]) == 24
    assert tables[0] == tables[1]
    assert not list((tmp_path / "slurm.sqlite.slurm").glob("parity-*"))


def coordinator(case: Case, seconds: float) -> subprocess.Popen[bytes]:
    """Starts a coordinator that can be killed."""
    what = (str(case.path), len(case.cells), case.extent.trials, seconds)
    code = f"import sys; sys.path[:0] = {sys.path!r}; import slurm_studies; slurm_studies.coordinate(*{what!r})"
    with (case.path / "told.txt").open("ab") as told:
        return subprocess.Popen([sys.executable, "-c", code], stdout=told, stderr=told)


def test_a_killed_coordinator_is_followed_by_one_that_takes_its_jobs_over(
    cluster: SlurmCluster, tmp_path: Path
) -> None:
    case = Case(tmp_path, cells=8, trials=10, seconds=0.3)
    submitted = len(cluster.calls("sbatch"))
    first = coordinator(case, 0.3)
    wait_for(lambda: case.rows > 0, "rows")
    first.kill()
    first.wait()
    rows = case.rows
    wait_for(lambda: case.count > rows + 10, "jobs that run on")
    for file in sorted(case.path.glob("spool/*/*.jsonl"))[:1]:
        with file.open("ab") as lines:
            lines.write(b'[1, {"cell": "x"}]\n')
    assert case.run().tolist() == case.expected
    assert case.told[0] == "SLURM: 4 tasks of an earlier start are taken over"
    assert any("is damaged" in line for line in case.told)
    # Nothing was submitted again, and nothing run twice.
    assert len(cluster.calls("sbatch")) - submitted == 1
    assert case.count == 80


def test_a_job_of_a_dead_node_goes_on_from_its_lines_on_another(cluster: SlurmCluster, tmp_path: Path) -> None:
    case = Case(tmp_path, cells=2, trials=15, seconds=0.3)
    process = coordinator(case, 0.3)
    try:
        wait_for(lambda: case.rows > 4, "rows")
        (node,) = [name for name in slurm_cluster.NODES if cluster.jobs_on(name)]
        cluster.kill_node(node)
        (other,) = set(slurm_cluster.NODES) - {node}
        wait_for(lambda: cluster.hasten() or cluster.jobs_on(other), "the job to begin again")
        cluster.start_node(node)
        process.wait(120)
    finally:
        process.kill()
        process.wait()
    # It was submitted once, and only what was under way was run again.
    assert len([line for line in (tmp_path / "told.txt").read_text().splitlines() if "SLURM job" in line]) == 1
    assert case.count <= 30 + 1
    assert case.run().tolist() == case.expected


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_every_trial_is_there_once_whatever_is_killed(cluster: SlurmCluster, tmp_path: Path, seed: int) -> None:
    seconds = 1.0
    case = Case(tmp_path, cells=12, trials=12, seconds=seconds)
    chance = random.Random(seed)
    kinds = ["job", "job", "node", "slurmd", "coordinator", "coordinator"]
    chance.shuffle(kinds)
    killed: list[str] = []
    process = coordinator(case, seconds)
    try:
        for kind in kinds:
            time.sleep(chance.uniform(1, 4))
            cluster.hasten()
            wait_for(cluster.jobs_on, "a job", 200)
            node = chance.choice(slurm_cluster.NODES)
            if kind == "job":
                os.kill(chance.choice(cluster.jobs_on()), signal.SIGKILL)
            elif kind == "coordinator":
                process.kill()
                process.wait()
                time.sleep(chance.uniform(0, 4))
                process = coordinator(case, seconds)
            else:
                (cluster.kill_slurmd if kind == "slurmd" else cluster.kill_node)(node)
                time.sleep(chance.uniform(0, 4))
                cluster.start_node(node)
            killed.append(kind)
        deadline = time.monotonic() + 600
        while process.poll() is None and time.monotonic() < deadline:
            cluster.hasten()
            time.sleep(1)
        assert process.poll() == 0, (case.path / "told.txt").read_text()
    finally:
        process.kill()
        process.wait()
    print(f"seed {seed}: killed {', '.join(killed)}; {case.count} trials run of 144")
    database = sqlite3.connect(case.path / "s.sqlite")
    assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    assert database.execute("SELECT COUNT(*), COUNT(DISTINCT cell || '-' || trial) FROM trials").fetchone() == (
        144,
        144,
    )
    database.close()
    assert case.run().tolist() == case.expected
    assert not [count for count, _ in case.failures.values() if count >= MOST_FAILURES]
    assert killed == kinds
