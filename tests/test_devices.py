"""Several devices train on the same global batches as one, and stop together."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from conftest import CONFIGS
from processes import begin, free_port

ONLINE = f"--config={CONFIGS / 'online.yaml'}"
ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1"}
SAME = ("solved", "convergence_time", "onset", "steps", "support", "val_accuracy", "val_examples", "stop_reason")


# Solved in few steps: each is an exchange between two processes.
FIT = ("fit", ONLINE, "--data.n=20", "--data.k=2", "--trainer.val_check_interval=20", "--trainer.accelerator=cpu")


class Trained:
    """What a run left: one folder, whatever the number of processes."""

    def __init__(self, runs: Path, out: str) -> None:
        self.out = out
        (folder,) = runs.iterdir()
        self.files = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
        self.summary: dict[str, Any] = json.loads((folder / "summary.json").read_text())
        with (folder / "metrics.csv").open() as file:
            self.rows = [{name: float(value) for name, value in row.items()} for row in csv.DictReader(file)]


def launched(where: Path, *options: str, launchers: tuple[tuple[str, ...], ...] = ((),)) -> Trained:
    """Runs as a user does: Lightning, or torchrun on each node, starts the processes."""
    started = [
        subprocess.Popen(
            [
                sys.executable,
                *launcher,
                "-m",
                "parity_lightning",
                *FIT,
                f"--trainer.default_root_dir={where}",
                *options,
            ],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=ENVIRONMENT,
        )
        for launcher in launchers
    ]
    told = ""
    for process in started:
        out, err = process.communicate(timeout=180)
        assert process.returncode == 0, err
        told += out
    return Trained(where, told)


def run_as(where: Path, *options: str, ranks: Sequence[Mapping[str, str]] = ({},)) -> Trained:
    """Runs in processes that have these variables of the environment."""
    told = where.with_suffix(".txt")
    arguments = [*FIT, f"--trainer.default_root_dir={where}", *options]
    processes = [begin(arguments, told, environment={"OMP_NUM_THREADS": "1", **rank}) for rank in ranks]
    for process in processes:
        process.join(600)
        # One of two that waits for the other.
        process.kill()
        process.join()
        assert process.exitcode == 0, told.read_text()
    return Trained(where, told.read_text())


FILES = {"checkpoints/last.ckpt", "config.yaml", "metrics.csv", "progress.png", "summary.json"}


@pytest.fixture(scope="module")
def on_one_device(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    where = tmp_path_factory.mktemp("one") / "runs"
    return run_as(where, "--trainer.precision=64", "--model.compile_after=null")


@pytest.mark.parametrize(("precision", "tolerance"), [("64", 1e-7), pytest.param("32", 1e-4, marks=pytest.mark.slow)])
def test_two_devices_train_as_one(precision: str, tolerance: float, on_one_device: Trained, tmp_path: Path) -> None:
    options = (f"--trainer.precision={precision}", "--model.compile_after=null")
    one = on_one_device if precision == "64" else run_as(tmp_path / "one", *options)
    two = launched(tmp_path / "two", *options, "--trainer.strategy=ddp", "--trainer.devices=2")
    assert [two.summary[name] for name in SAME] == [one.summary[name] for name in SAME]
    assert two.files == one.files == FILES
    assert len(two.rows) == len(one.rows)
    for row, shared in zip(one.rows, two.rows, strict=True):
        # Errors are whole numbers, counted over both devices; metrics are float32, whatever trains.
        assert (shared["step"], shared["val/errors"]) == (row["step"], row["val/errors"])
        assert shared == pytest.approx(row, rel=tolerance, abs=tolerance)
    assert two.out.count("summary: ") == 1


NODES = ("--trainer.precision=64", "--trainer.strategy=ddp", "--trainer.num_nodes=2")


def assert_same(two: Trained, one: Trained) -> None:
    assert [two.summary[name] for name in SAME] == [one.summary[name] for name in SAME]
    assert two.files == FILES
    assert [row["val/errors"] for row in two.rows] == [row["val/errors"] for row in one.rows]


def test_two_nodes_train_as_one_device(on_one_device: Trained, tmp_path: Path) -> None:
    # What torchrun tells the processes that it starts on each node.
    shared = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": free_port(), "WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "1"}
    own = {"LOCAL_RANK": "0", "TORCHELASTIC_RUN_ID": "none"}
    ranks = [{**shared, **own, "RANK": f"{rank}", "GROUP_RANK": f"{rank}"} for rank in range(2)]
    assert_same(run_as(tmp_path / "two", *NODES, ranks=ranks), on_one_device)


@pytest.mark.slow
def test_so_do_two_that_torchrun_has_launched(on_one_device: Trained, tmp_path: Path) -> None:
    port = free_port()
    nodes = tuple(
        (
            *("-m", "torch.distributed.run", "--nnodes=2", "--nproc_per_node=1", f"--node_rank={rank}"),
            *("--master_addr=127.0.0.1", f"--master_port={port}"),
        )
        for rank in range(2)
    )
    assert_same(launched(tmp_path / "two", *NODES, launchers=nodes), on_one_device)
