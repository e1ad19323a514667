"""What goes wrong around a run leaves what was written whole, and is told in a line."""

from __future__ import annotations

import csv
import json
import os
import pickle
import resource
import shutil
import signal
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import CONFIGS, Run
from lightning.pytorch import Callback, LightningModule, Trainer
from processes import begin, fresh, quiet_main, run
from test_resume import folder_of, wait_for_rows

from parity_lightning.cli import main
from parity_lightning.run_dir.atomic_write import atomic_write
from parity_lightning.run_dir.run_folder import RunFolder

ONLINE = f"--config={CONFIGS / 'online.yaml'}"


def with_little_room(arguments: Sequence[str], told: Path) -> None:
    """Runs the command line where no file can be larger than 64 KiB, as on a disk that is nearly full."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (2**16, 2**16))
    quiet_main(arguments, told)


def unsolvable(runs: Path) -> list[str]:
    where = f"--trainer.default_root_dir={runs}"
    return [
        "fit",
        ONLINE,
        "--data.n=40",
        "--data.k=12",
        "--trainer.max_steps=400000",
        "--model.compile_after=null",
        where,
    ]


def last_line(told: Path) -> str:
    lines = [line for line in told.read_text().replace("\r", "\n").splitlines() if "cannot be written" in line]
    return lines[-1]


def test_a_full_disk_is_told_and_what_was_written_is_whole(tmp_path: Path) -> None:
    # Its first checkpoint would be larger than that, its metrics are not.
    arguments = [*unsolvable(tmp_path / "runs"), "--model.width=600", "--trainer.max_steps=200"]
    process = fresh(with_little_room, arguments, tmp_path / "told.txt")
    process.join()
    assert process.exitcode == 1
    told = (tmp_path / "told.txt").read_text()
    assert "Traceback" not in told
    assert "step 200: " in last_line(tmp_path / "told.txt")
    assert "File too large" in last_line(tmp_path / "told.txt")
    assert "to go on: parity-lightning fit" in told
    folder = folder_of(tmp_path)
    assert steps_of(folder) == list(range(50, 201, 50))
    assert not list(folder.rglob(".new-*"))
    # There is room again.
    assert run([*arguments, "--ckpt_path=last"], tmp_path / "told.txt")
    assert json.loads((folder / "summary.json").read_text())["steps"] == 200


def test_a_folder_that_is_gone_is_told(tmp_path: Path) -> None:
    process = begin(unsolvable(tmp_path / "runs"), tmp_path / "told.txt")
    folder = wait_for_rows(tmp_path / "runs", 3)
    shutil.rmtree(folder)
    process.join(60)
    assert process.exitcode == 1
    assert "Traceback" not in (tmp_path / "told.txt").read_text()
    assert str(folder) in last_line(tmp_path / "told.txt")
    assert "No such file or directory" in last_line(tmp_path / "told.txt")
    assert not folder.exists()


def test_a_file_is_there_as_a_whole_or_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "file.json"
    with atomic_write(path) as new:
        new.write_text("old")
    with suppress(RuntimeError), atomic_write(path) as new:
        new.write_text("new")
        raise RuntimeError
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_link_in_the_place_of_a_file_is_replaced_and_not_followed(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("precious")
    path = tmp_path / "file.json"
    for planted in (path, path.with_name(".new-file.json")):
        planted.symlink_to(victim)
        with atomic_write(path) as new:
            new.write_text("new")
        assert victim.read_text() == "precious"
        assert path.read_text() == "new"
        assert not path.is_symlink()
        path.unlink()


@pytest.mark.parametrize("label", ["../../elsewhere", "/elsewhere", "a/b", "..", "a\0b", "*"])
def test_a_runs_folder_lies_where_runs_lie(label: str, tmp_path: Path) -> None:
    folder = RunFolder.new(tmp_path / "runs", label)
    assert folder.path.parent == tmp_path / "runs"
    assert folder.path.is_dir()
    # The newest of its label is found whatever its characters mean elsewhere.
    assert RunFolder.new(tmp_path / "runs", label).path != folder.path


class Trap:
    """Writes a file when it is unpickled."""

    def __init__(self, path: str) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Callable[[str], Any], tuple[str]]:
        return os.mkdir, (self.path,)


@pytest.mark.parametrize("how", ["pickle", "torch"])
@pytest.mark.parametrize("subcommand", ["fit", "test"])
def test_no_code_runs_from_a_checkpoint(
    how: str, subcommand: str, fit: Callable[..., Run], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = fit("--trainer.max_steps=50")
    sound = torch.load(run.folder / "checkpoints" / "last.ckpt", weights_only=True)
    trap = tmp_path / "trap.ckpt"
    content = {**sound, "callbacks": {"Trap": Trap(str(tmp_path / "sprung"))}}
    if how == "torch":
        torch.save(content, trap)
    else:
        trap.write_bytes(pickle.dumps(content))
    with pytest.raises(SystemExit) as ended:
        main([subcommand, f"--config={run.folder / 'config.yaml'}", f"--ckpt_path={trap}"])
    assert ended.value.code == 2
    assert "not a checkpoint, or a damaged one" in capsys.readouterr().err
    assert not (tmp_path / "sprung").exists()
    # It would have been sprung.
    pickle.loads(pickle.dumps(Trap(str(tmp_path / "sprung"))))
    assert (tmp_path / "sprung").exists()


# Lightning says so when it chooses.
@pytest.mark.filterwarnings("ignore:.*ckpt_path=None.* was called without a model")
@pytest.mark.parametrize("how", ["exception", "slurm"])
def test_nor_from_one_that_lightning_chooses(
    how: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    runs = tmp_path / "runs"
    runs.mkdir()
    trap = {"state_dict": {}, "callbacks": {"Trap": Trap(str(tmp_path / "sprung"))}}
    options = [ONLINE, "--trainer.accelerator=cpu", "--trainer.max_steps=50", f"--trainer.default_root_dir={runs}"]
    if how == "exception":
        torch.save(trap, tmp_path / "evil.ckpt")
        options += ["--trainer.callbacks+=lightning.pytorch.callbacks.OnExceptionCheckpoint"]
        options += [f"--trainer.callbacks.dirpath={tmp_path}", "--trainer.callbacks.filename=evil"]
    else:
        torch.save(trap, runs / "hpc_ckpt_1.ckpt")
        for name, value in {"NTASKS": "1", "JOB_NAME": "job", "JOB_ID": "1", "NODEID": "0", "PROCID": "0"}.items():
            monkeypatch.setenv(f"SLURM_{name}", value)
        monkeypatch.setenv("SLURM_LOCALID", "0")
        monkeypatch.setenv("SLURM_NTASKS_PER_NODE", "1")
    with pytest.raises(SystemExit) as ended:
        main(["fit", *options, "--weights_only=false"])
    assert ended.value.code == 2
    assert "--weights_only=False: code in the checkpoint would run" in capsys.readouterr().err
    with suppress(SystemExit):
        main(["fit", *options])
    assert "Traceback" not in capsys.readouterr().err
    assert not (tmp_path / "sprung").exists()


WANDB = f"--config={CONFIGS / 'loggers' / 'wandb.yaml'}"


def test_training_goes_on_when_wandb_is_out_of_reach(tmp_path: Path) -> None:
    environment = {"WANDB_MODE": "online", "WANDB_BASE_URL": "http://127.0.0.1:9", "WANDB_API_KEY": "a" * 40}
    environment["WANDB_INIT_TIMEOUT"] = "2"
    told = tmp_path / "told.txt"
    arguments = ["fit", ONLINE, WANDB, "--data.n=20", "--trainer.max_steps=300"]
    process = begin(arguments, told, tmp_path, environment)
    process.join(120)
    assert process.exitcode == 0, told.read_text()
    assert "WandbLogger failed, training goes on without it" in told.read_text()
    folder = folder_of(tmp_path)
    assert json.loads((folder / "summary.json").read_text())["steps"] == 300
    assert steps_of(folder) == list(range(50, 301, 50))


@pytest.mark.skipif(not Path("/proc").exists(), reason="processes are looked up in /proc")
def test_training_goes_on_when_wandb_is_killed(tmp_path: Path) -> None:
    arguments = [*unsolvable(tmp_path / "runs"), WANDB, "--data.batch_size=4", "--trainer.max_steps=6000"]
    process = begin(arguments, tmp_path / "told.txt", tmp_path)
    wait_for_rows(tmp_path / "runs", 3)
    assert process.pid is not None
    (service,) = services_of(process.pid)
    os.kill(service, signal.SIGKILL)
    process.join(120)
    assert process.exitcode == 0
    folder = folder_of(tmp_path)
    assert json.loads((folder / "summary.json").read_text())["steps"] == 6000
    assert steps_of(folder) == list(range(50, 6001, 50))


def steps_of(folder: Path) -> list[int]:
    """The steps in a run's metrics."""
    with (folder / "metrics.csv").open() as file:
        return [int(row["step"]) for row in csv.DictReader(file)]


def services_of(process: int) -> list[int]:
    """The processes that W&B has started for a process."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = path.read_bytes().decode().split("\0")
        except OSError:
            continue
        if "wandb-core" in words[0] and str(process) in words:
            found.append(int(path.parent.name))
    return found


class Failing(Callback):
    """Raises as soon as training begins."""

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        raise ZeroDivisionError


def test_signals_are_as_before_after_an_error(tmp_path: Path) -> None:
    before = {each: signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM)}
    options = ["--trainer.callbacks+=test_faults.Failing", "--allow_code_from=test_faults", "--trainer.accelerator=cpu"]
    with pytest.raises(ZeroDivisionError):
        main(["fit", ONLINE, *options, f"--trainer.default_root_dir={tmp_path}"])
    assert {each: signal.getsignal(each) for each in before} == before
