"""Several devices train on the same global batches as one, and stop together."""

from __future__ import annotations

import csv
import json
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from conftest import CONFIGS

ONLINE = f"--config={CONFIGS / 'online.yaml'}"
ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1"}
SAME = ("solved", "convergence_time", "onset", "steps", "support", "val_accuracy", "val_examples", "stop_reason")


class Trained:
    """A run in processes of its own, and what it left: one folder, whatever the number of processes."""

    def __init__(self, runs: Path, *options: str, launchers: tuple[tuple[str, ...], ...] = ((),)) -> None:
        fit = ["-m", "parity_lightning", "fit", ONLINE, "--data.n=20", "--trainer.accelerator=cpu"]
        where = f"--trainer.default_root_dir={runs}"
        started = [
            subprocess.Popen(
                [sys.executable, *launcher, *fit, where, *options],
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                env=ENVIRONMENT,
            )
            for launcher in launchers
        ]
        self.out = ""
        for process in started:
            out, err = process.communicate(timeout=180)
            assert process.returncode == 0, err
            self.out += out
        (folder,) = runs.iterdir()
        self.files = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
        self.summary: dict[str, Any] = json.loads((folder / "summary.json").read_text())
        with (folder / "metrics.csv").open() as file:
            self.rows = [{name: float(value) for name, value in row.items()} for row in csv.DictReader(file)]


FILES = {"checkpoints/last.ckpt", "config.yaml", "metrics.csv", "progress.png", "summary.json"}


@pytest.fixture(scope="module")
def on_one_device(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    return Trained(tmp_path_factory.mktemp("one"), "--trainer.precision=64", "--model.compile_after=null")


@pytest.mark.parametrize(("precision", "tolerance"), [("64", 1e-7), pytest.param("32", 1e-4, marks=pytest.mark.slow)])
def test_two_devices_train_as_one(precision: str, tolerance: float, on_one_device: Trained, tmp_path: Path) -> None:
    options = (f"--trainer.precision={precision}", "--model.compile_after=null")
    one = on_one_device if precision == "64" else Trained(tmp_path / "one", *options)
    two = Trained(tmp_path / "two", *options, "--trainer.strategy=ddp", "--trainer.devices=2")
    assert [two.summary[name] for name in SAME] == [one.summary[name] for name in SAME]
    assert two.files == one.files == FILES
    assert len(two.rows) == len(one.rows)
    for row, shared in zip(one.rows, two.rows, strict=True):
        # Errors are whole numbers, counted over both devices; metrics are float32, whatever trains.
        assert (shared["step"], shared["val/errors"]) == (row["step"], row["val/errors"])
        assert shared == pytest.approx(row, rel=tolerance, abs=tolerance)
    assert two.out.count("summary: ") == 1


def test_two_nodes_train_as_one_device(on_one_device: Trained, tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    nodes = tuple(
        (
            *("-m", "torch.distributed.run", "--nnodes=2", "--nproc_per_node=1", f"--node_rank={rank}"),
            *("--master_addr=127.0.0.1", f"--master_port={port}"),
        )
        for rank in range(2)
    )
    options = ("--trainer.precision=64", "--trainer.strategy=ddp", "--trainer.num_nodes=2")
    one, two = on_one_device, Trained(tmp_path / "two", *options, launchers=nodes)
    assert [two.summary[name] for name in SAME] == [one.summary[name] for name in SAME]
    assert two.files == FILES
    assert [row["val/errors"] for row in two.rows] == [row["val/errors"] for row in one.rows]
