"""What SLURM's jobs cost, on a cluster of this machine's own; docs/scale.md says what came of it. It needs root.

    PYTHONPATH=tests python benchmarks/slurm_jobs.py

A sweep is run in two sizes, of one task and of five: the difference is what a setting costs. CPU times are those of the
command, and of its jobs, and depend little on what else the machine does.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path

import psutil
from executors import REAL, TRIALS, sweep_of
from slurm_cluster import SlurmCluster, cluster_in


def seconds_of(seen: dict[tuple[int, float], float], processes: list[int]) -> None:
    """Takes note of the CPU seconds that processes have used so far."""
    for number in processes:
        with suppress(psutil.Error):
            process = psutil.Process(number)
            times = process.cpu_times()
            seen[number, process.create_time()] = times.user + times.system


def cost_of(cluster: SlurmCluster, options: list[str]) -> tuple[float, float, float]:
    """Runs a sweep; returns the seconds of the clock, and the CPU seconds of the command and of its jobs."""
    own: dict[tuple[int, float], float] = {}
    jobs: dict[tuple[int, float], float] = {}
    began = time.monotonic()
    command = [sys.executable, "-m", "parity_lightning", "sweep", *options]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as running:
        while running.poll() is None:
            seconds_of(own, [running.pid])
            seconds_of(jobs, cluster.jobs_on())
            time.sleep(0.1)
    assert running.returncode == 0, options
    return time.monotonic() - began, sum(own.values()), sum(jobs.values())


def main() -> None:
    """Measures, and prints a table."""
    few, many = REAL
    print("| | wall | CPU of the command | CPU of jobs |\n|---|---|---|---|")
    with tempfile.TemporaryDirectory() as name, cluster_in(Path(name) / "cluster") as cluster:
        os.environ.update(cluster.environment)
        costs = []
        for cells in (few, few, many):
            store = Path(name) / f"{len(costs)}.sqlite"
            sweep = sweep_of(Path(name), cells, stacked=True)
            options = [f"--store={store}", f"--trials={TRIALS}", "--executor=slurm"]
            costs.append(cost_of(cluster, [str(sweep), *options]))
        # The first has compiled what the others use.
        for cells, cost in zip((few, many), costs[1:], strict=True):
            print(f"| {cells} settings of {TRIALS} trials | {cost[0]:.0f} s | {cost[1]:.1f} s | {cost[2]:.1f} s |")
        each = [1e3 * (after - before) / (many - few) for before, after in zip(*costs[1:], strict=True)]
        print(f"| each more | {each[0]:.0f} ms | {each[1]:.1f} ms | {each[2]:.1f} ms |")


if __name__ == "__main__":
    main()
