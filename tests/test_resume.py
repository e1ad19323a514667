"""A run that is killed at any moment goes on as if nothing had been."""

from __future__ import annotations

import csv
import json
import os
import random
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
import yaml
from conftest import CONFIGS
from lightning.pytorch import Callback
from processes import begin, free_port, fresh, quiet_main, refusal, run

from parity_lightning.run_dir.resume import end_of_run, find_run
from parity_lightning.run_dir.run_folder import RunFolder

CALLBACKS = yaml.safe_load((CONFIGS / "online.yaml").read_text())["trainer"]["callbacks"]

ONLINE = ("--data.k=4", "--model.width=30", "--trainer.max_steps=600", "--model.optimizer.lr=0.02")
SOLVED = ("--data.k=2", "--trainer.val_check_interval=10", "--model.optimizer.lr=0.01")
EAGER = "--model.compile_after=null"
# Over too soon to be killed at a random moment of its training.
IN_CPP = "solved, in C++"


class Case(NamedTuple):
    """What is run, and after how many steps it is saved."""

    save_every: int
    options: tuple[str, ...]


CASES = {
    "online, SGD": Case(80, (*ONLINE, EAGER)),
    "online, momentum, saved between evaluations": Case(50, (*ONLINE, EAGER, "--model.optimizer.momentum=0.5")),
    "finite, Adam, compiled": Case(
        120,
        (
            *(*ONLINE, "--data.num_samples=300", "--model.optimizer=Adam", "--model.optimizer.lr=0.001"),
            "--model.compile_after=280",
        ),
    ),
    "float64, label noise, a schedule": Case(
        50,
        (
            *(*ONLINE, EAGER, "--trainer.precision=64", "--data.label_noise=0.05", "--model.lr_scheduler=StepLR"),
            *("--model.lr_scheduler.step_size=120", "--model.lr_scheduler.gamma=0.8"),
        ),
    ),
    "solved": Case(50, (*SOLVED, EAGER)),
    IN_CPP: Case(50, SOLVED),
    "Transformer, ordinary loop": Case(
        60,
        (
            *("--model=Transformer", "--data.k=2", "--model.d_emb=16", "--model.heads=2", "--model.optimizer=Adam"),
            *("--model.optimizer.lr=0.001", "--trainer.max_steps=200", "--trainer.gradient_clip_val=1"),
            "--model.initialization=default",
        ),
    ),
}


# What a process does to files: each is an event that Python tells of before it happens.
WRITES = ("open", "os.mkdir", "os.rename", "os.remove", "os.rmdir", "os.truncate", "os.link", "os.symlink")


def signalled_main(
    arguments: Sequence[str],
    told: Path,
    below: Path,
    number: int,
    sent: signal.Signals,
    environment: Mapping[str, str] | None = None,
) -> None:
    """Runs the command line, and sends its process a signal just before it writes to a folder for the so-manyeth time.

    Between two writes nothing changes on disk, so these are all the moments at which a kill can leave something else.
    How many there were stands in a file beside the folder.
    """
    count, beside, process = 0, os.open(below.with_suffix(".writes"), os.O_WRONLY | os.O_CREAT), os.getpid()

    def look(event: str, details: tuple[Any, ...]) -> None:
        nonlocal count
        if event not in WRITES or os.getpid() != process or not isinstance(details[0], str | os.PathLike):
            return
        if event == "open" and not details[2] & (os.O_WRONLY | os.O_RDWR):
            return
        if str(details[0]).startswith(f"{below}{os.sep}"):
            count += 1
            os.pwrite(beside, b"%9d" % count, 0)
            if count == number:
                os.kill(process, sent)

    sys.addaudithook(look)
    quiet_main(arguments, told, environment=environment)


def run_until(arguments: Sequence[str], told: Path, number: int, sent: signal.Signals = signal.SIGKILL) -> int | None:
    """Runs a command that gets a signal at a write to the folder of runs; returns its exit code."""
    process = fresh(signalled_main, list(arguments), told, told.with_name("runs"), number, sent)
    process.join()
    return process.exitcode


def folder_of(where: Path) -> Path:
    # Whoever is killed before the first step may leave a folder with a configuration, or none, and nothing else.
    (folder,) = (folder for folder in (where / "runs").iterdir() if (folder / "metrics.csv").exists())
    return folder


def content_of(folder: Path) -> tuple[str, dict[str, Any], dict[str, Any]]:
    """What a run says: its metrics, its summary but for the time it took, and its last checkpoint."""
    summary = json.loads((folder / "summary.json").read_text())
    checkpoint = torch.load(folder / "checkpoints" / "last.ckpt", weights_only=True)
    timeless = {name: value for name, value in summary.items() if name not in ("elapsed_seconds", "steps_per_second")}
    return (folder / "metrics.csv").read_text(), timeless, checkpoint


def assert_same_run(one: Path, other: Path) -> None:
    (metrics, summary, checkpoint), (metrics_2, summary_2, checkpoint_2) = content_of(one), content_of(other)
    assert metrics == metrics_2
    assert summary == summary_2
    for part in ("state_dict", "optimizer_states", "lr_schedulers", "global_step"):
        torch.testing.assert_close(checkpoint[part], checkpoint_2[part], rtol=0, atol=0)
    for name in ("HiddenProgress", "PhaseTransition", "StopWhenSolved"):
        torch.testing.assert_close(checkpoint["callbacks"][name], checkpoint_2["callbacks"][name], rtol=0, atol=0)


def assert_tidy(folder: Path) -> None:
    """Nothing half written is left, and of checkpoints the last and the newest of those saved in between."""
    # A process that is killed while it draws has ended the run already.
    assert {path.name for path in folder.rglob(".new-*")} <= {".new-progress.png"}
    names = {path.name for path in (folder / "checkpoints").iterdir()}
    assert "last.ckpt" in names
    assert len(names) <= 2, names


# A picture takes as long as all the rest of a short run: one case draws.
DRAWS = "online, momentum, saved between evaluations"


def arguments_of(case: str, where: Path, draws: bool = True) -> list[str]:
    callbacks = [
        {"class_path": "StepCheckpoint", "init_args": {"every_n_train_steps": CASES[case].save_every}}
        if each["class_path"] == "StepCheckpoint"
        else each
        for each in CALLBACKS
        if each["class_path"] != "ProgressPicture" or (draws and case == DRAWS)
    ]
    where.mkdir(exist_ok=True)
    saving = where / "saving.yaml"
    saving.write_text(yaml.safe_dump({"trainer": {"callbacks": callbacks}}))
    return [
        *("fit", f"--config={CONFIGS / 'online.yaml'}", f"--config={saving}", "--trainer.accelerator=cpu"),
        *("--data.n=16", "--trainer.val_check_interval=20", *CASES[case].options),
        f"--trainer.default_root_dir={where / 'runs'}",
    ]


def killed_and_resumed(case: str, where: Path, kills: int, longest: float, seed: int = 0) -> tuple[int, list[int]]:
    """Runs a case to its end, killing it at random moments; returns how often, and from which steps it went on."""
    arguments = [*arguments_of(case, where), "--resume=auto"]
    chance = random.Random(f"{case} {seed}")
    landed = 0
    while landed < kills and not run(arguments, where / "told.txt", chance.uniform(0, longest)):
        landed += 1
    run(arguments, where / "told.txt")
    return landed, steps_gone_on_from(where / "told.txt")


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """The folder of a case that ran through; beside the folder of runs it says how often it wrote there."""

    @cache
    def run_through(case: str) -> Path:
        where = tmp_path_factory.mktemp("whole")
        assert run_until(arguments_of(case, where), where / "told.txt", number=0) == 0
        return folder_of(where)

    return run_through


# The first is saved at evaluations, as others are; it runs through for what compares with it, below.
@pytest.mark.parametrize(
    "case", [pytest.param(case, marks=pytest.mark.slow if case == "online, SGD" else ()) for case in CASES]
)
def test_a_run_killed_at_any_write_goes_on_as_if_nothing_had_been(
    case: str, whole: Callable[[str], Path], tmp_path: Path
) -> None:
    writes = writes_of(whole(case))
    arguments, told = [*arguments_of(case, tmp_path), "--resume=auto"], tmp_path / "told.txt"
    chance = random.Random(case)
    # Once early on, and once where it has saved already.
    for first, last in ((1, writes // 4), (writes // 3, 2 * writes // 3)):
        assert run_until(arguments, told, chance.randint(first, last)) == -signal.SIGKILL
    assert run(arguments, told)
    assert max(steps_gone_on_from(told)) > 0
    assert_same_run(whole(case), folder_of(tmp_path))
    assert_tidy(folder_of(tmp_path))


def writes_of(folder: Path) -> int:
    """How often a run that went through wrote to its folder."""
    return int((folder.parents[1] / "runs.writes").read_text())


def steps_gone_on_from(told: Path) -> list[int]:
    steps = re.findall(r"going on with .* from step ([\d,]+)", told.read_text())
    return [int(step.replace(",", "")) for step in steps]


@pytest.mark.slow
@pytest.mark.parametrize("case", [case for case in CASES if case != IN_CPP])
def test_a_hundred_kills(case: str, whole: Callable[[str], Path], tmp_path: Path) -> None:
    kills, went_on = 0, []
    for number in range(1000):
        where = tmp_path / str(number)
        landed, steps = killed_and_resumed(case, where, kills=100 - kills, longest=2, seed=number)
        assert_same_run(whole(case), folder_of(where))
        assert_tidy(folder_of(where))
        kills, went_on = kills + landed, went_on + steps
        if kills == 100:
            break
    assert kills == 100
    # Kills in the middle of training, not only before its first checkpoint.
    assert sum(step > 0 for step in went_on) > 20
    print(f"{case}: {kills} kills, {sum(step > 0 for step in went_on)} after a checkpoint")


@pytest.mark.parametrize(("sent", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interrupted_run_goes_on_as_if_nothing_had_been(
    sent: signal.Signals, status: int, whole: Callable[[str], Path], tmp_path: Path
) -> None:
    case = "online, momentum, saved between evaluations"
    arguments = arguments_of(case, tmp_path)
    assert run_until(arguments, tmp_path / "told.txt", writes_of(whole(case)) // 3, sent) == status
    folder = folder_of(tmp_path)
    stopped = json.loads((folder / "summary.json").read_text())
    assert stopped["stop_reason"] == "interrupted"
    checkpoint = torch.load(folder / "checkpoints" / "last.ckpt", weights_only=True)
    assert checkpoint["global_step"] == stopped["steps"] > 0
    told = (tmp_path / "told.txt").read_text()
    assert "Traceback" not in told
    assert told.splitlines()[-1] == f"summary: {folder / 'summary.json'}"
    command = told.partition("to go on: parity-lightning ")[2].splitlines()[0]
    assert shlex.split(command) == [*arguments, "--ckpt_path", "last"]
    assert run(shlex.split(command), tmp_path / "told.txt")
    assert_same_run(whole(case), folder)
    # What told of the interruption is still there.
    assert json.loads((folder / f"summary-until-step-{stopped['steps']}.json").read_text()) == stopped
    assert (folder / f"progress-until-step-{stopped['steps']}.png").exists()
    assert (
        f"going on with {os.path.relpath(folder)} from step {stopped['steps']:,}" in (tmp_path / "told.txt").read_text()
    )


def wait_for_rows(runs: Path, rows: int) -> Path:
    """Waits until a run has written so many rows of metrics; returns its folder."""
    deadline = time.monotonic() + 60
    while True:
        for path in runs.glob("*/metrics.csv"):
            if len(path.read_text().splitlines()) > rows:
                return path.parent
        assert time.monotonic() < deadline
        time.sleep(0.02)


def with_threads(number: int, arguments: Sequence[str], told: Path) -> None:
    """Runs the command line as with the variable OMP_NUM_THREADS, which PyTorch reads when it is loaded."""
    torch.set_num_threads(number)
    quiet_main(arguments, told, environment={"OMP_NUM_THREADS": f"{number}"})


def test_a_second_interrupt_ends_a_run_at_once(tmp_path: Path) -> None:
    # A block of steps takes seconds on one thread, so the second finds it under way.
    slow = ["--model.width=2000", "--data.batch_size=3000", "--trainer.val_check_interval=20", "--data.k=8", EAGER]
    arguments = ["fit", f"--config={CONFIGS / 'online.yaml'}", *slow, f"--trainer.default_root_dir={tmp_path / 'runs'}"]
    process = fresh(with_threads, 1, arguments, tmp_path / "told.txt")
    wait_for_rows(tmp_path / "runs", 1)
    assert process.pid is not None
    os.kill(process.pid, signal.SIGINT)
    deadline = time.monotonic() + 30
    while "press Ctrl-C again" not in (tmp_path / "told.txt").read_text():
        assert time.monotonic() < deadline
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGINT)
    process.join(5)
    assert process.exitcode == -signal.SIGINT


def test_a_finished_run_is_left_alone_and_a_longer_one_goes_on(tmp_path: Path) -> None:
    case = "online, SGD"
    shorter = [*arguments_of(case, tmp_path), "--trainer.max_steps=250"]
    assert run(shorter, tmp_path / "told.txt")
    before = content_of(folder_of(tmp_path))
    assert run([*shorter, "--resume=auto"], tmp_path / "told.txt")
    assert "ended, max_steps at step 250" in (tmp_path / "told.txt").read_text()
    assert str(content_of(folder_of(tmp_path))) == str(before)
    assert run([*arguments_of(case, tmp_path), "--trainer.max_steps=360", "--ckpt_path=last"], tmp_path / "told.txt")
    folder = folder_of(tmp_path)
    assert json.loads((folder / "summary.json").read_text())["steps"] == 360
    assert [int(row["step"]) for row in rows_of(folder)][-3:] == [320, 340, 360]
    assert (folder / "summary-until-step-250.json").exists()


def rows_of(folder: Path) -> list[dict[str, str]]:
    with (folder / "metrics.csv").open() as file:
        return list(csv.DictReader(file))


def test_other_settings_are_another_run(tmp_path: Path) -> None:
    arguments = [*arguments_of("online, SGD", tmp_path), "--trainer.max_steps=40"]
    assert run(arguments, tmp_path / "told.txt")
    assert run([*arguments, "--model.optimizer.lr=0.5", "--resume=auto"], tmp_path / "told.txt")
    assert run([*arguments, "--resume=auto", "--data.k=3"], tmp_path / "told.txt")
    assert len(list((tmp_path / "runs").iterdir())) == 3


def test_nobody_goes_on_with_a_run_that_is_under_way(tmp_path: Path) -> None:
    arguments = [*arguments_of("online, SGD", tmp_path), "--trainer.max_steps=1000000"]
    process = begin(arguments, tmp_path / "first.txt")
    wait_for_rows(tmp_path / "runs", 3)
    assert "is being trained by another process" in refusal([*arguments, "--resume=auto"], tmp_path / "told.txt")
    process.kill()
    process.join()


def test_a_damaged_checkpoint_is_passed_over(whole: Callable[[str], Path], tmp_path: Path) -> None:
    case = "online, SGD"
    arguments = arguments_of(case, tmp_path)
    assert run([*arguments, "--trainer.max_steps=440"], tmp_path / "told.txt")
    folder = folder_of(tmp_path)
    last = folder / "checkpoints" / "last.ckpt"
    last.write_bytes(last.read_bytes()[:-1000])
    (folder / "summary.json").unlink()
    assert run([*arguments, "--ckpt_path=last"], tmp_path / "told.txt")
    told = (tmp_path / "told.txt").read_text()
    assert f"{os.path.relpath(last)} is damaged; an earlier checkpoint is used" in told
    assert "from step 400" in told
    assert_same_run(whole(case), folder)


def half_a_run(tmp_path: Path, *options: str) -> tuple[list[str], Path]:
    """A run that was killed, as it looks: no summary, and a checkpoint from its middle."""
    arguments = [*arguments_of("online, SGD", tmp_path), *options]
    assert run([*arguments, "--trainer.max_steps=440"], tmp_path / "told.txt")
    folder = folder_of(tmp_path)
    (folder / "summary.json").unlink()
    return arguments, folder


def test_what_kills_have_left_is_removed(whole: Callable[[str], Path], tmp_path: Path) -> None:
    arguments, folder = half_a_run(tmp_path)
    (newest,) = folder.glob("checkpoints/*step=400.ckpt")
    for step in (160, 240, 320):
        content = torch.load(newest, weights_only=True) | {"global_step": step}
        torch.save(content, newest.with_name(f"epoch=0-step={step}.ckpt"))
    # Not what somebody else has saved.
    others = newest.with_name("epoch=0-step=80.ckpt")
    torch.save({"global_step": 80, "callbacks": {}}, others)
    (folder / ".new-metrics.csv").write_text("half")
    assert run([*arguments, "--ckpt_path=last"], tmp_path / "told.txt")
    others.unlink()
    assert_tidy(folder)
    assert_same_run(whole("online, SGD"), folder)


def test_a_checkpoint_with_one_bit_changed_is_passed_over(whole: Callable[[str], Path], tmp_path: Path) -> None:
    arguments, folder = half_a_run(tmp_path)
    last = folder / "checkpoints" / "last.ckpt"
    weight = next(iter(torch.load(last, weights_only=True)["state_dict"].values())).numpy().tobytes()
    content = bytearray(last.read_bytes())
    content[content.index(weight)] ^= 1
    last.write_bytes(content)
    # PyTorch would take it.
    torch.load(last, weights_only=True)
    assert run([*arguments, "--ckpt_path=last"], tmp_path / "told.txt")
    assert f"{os.path.relpath(last)} is damaged" in (tmp_path / "told.txt").read_text()
    assert_same_run(whole("online, SGD"), folder)


def test_a_clock_that_was_set_back_hides_nothing(
    whole: Callable[[str], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    arguments, folder = half_a_run(tmp_path)
    (older,) = folder.glob("checkpoints/*step=400.ckpt")
    os.utime(older, (2**32, 2**32))
    os.utime(folder / "checkpoints" / "last.ckpt", (0, 0))
    assert run([*arguments, "--ckpt_path=last"], tmp_path / "told.txt")
    assert "from step 440" in (tmp_path / "told.txt").read_text()
    assert_same_run(whole("online, SGD"), folder)
    # A run begun after it, before it by the clock, is the newest all the same.
    label = folder.name[len("20260101-120000-") :]
    monkeypatch.setattr(time, "strftime", lambda _: "20010101-000000")
    newer = RunFolder.new(folder.parent, label)
    newer.release()
    newer.path.mkdir()
    shutil.copy(folder / "config.yaml", newer.path)
    settings = yaml.safe_load((folder / "config.yaml").read_text())
    assert find_run(folder.parent, label, settings, from_seed=True) == newer.path


def test_a_run_does_not_write_through_links(tmp_path: Path) -> None:
    arguments = [*arguments_of("online, SGD", tmp_path), "--trainer.max_steps=40"]
    assert run(arguments, tmp_path / "told.txt")
    folder = folder_of(tmp_path)
    for number, name in enumerate(("checkpoints", "metrics.csv", "config.yaml", "checkpoints/last.ckpt", ".lock")):
        victim = tmp_path / f"victim-{number}"
        if there := (folder / name).exists():
            (folder / name).rename(victim)
        else:
            victim.write_text("precious")
        (folder / name).symlink_to(victim)
        before = {path: path.read_bytes() for path in (victim, *victim.rglob("*")) if path.is_file()}
        line = refusal([*arguments, "--trainer.max_steps=60", "--resume=auto"], tmp_path / "refused.txt")
        assert f"{name} is a link, and the run would write to where it leads" in line
        assert {path: path.read_bytes() for path in (victim, *victim.rglob("*")) if path.is_file()} == before
        (folder / name).unlink()
        if there:
            victim.rename(folder / name)


def test_another_number_of_threads_is_told(tmp_path: Path) -> None:
    arguments, _ = half_a_run(tmp_path, "--trainer.max_steps=440")
    more = [*arguments, "--trainer.max_steps=460", "--ckpt_path=last"]
    process = fresh(with_threads, 2, more, tmp_path / "more.txt")
    process.join()
    told = (tmp_path / "more.txt").read_text()
    assert process.exitcode == 0, told
    (line,) = [line for line in told.splitlines() if "threads before" in line]
    assert "this run had 1 threads before and has 2 now" in line
    assert "OMP_NUM_THREADS=1 keeps it as it was" in line


def test_a_run_that_was_moved_goes_on(whole: Callable[[str], Path], tmp_path: Path) -> None:
    arguments, folder = half_a_run(tmp_path)
    (tmp_path / "elsewhere").mkdir()
    folder = folder.rename(tmp_path / "elsewhere" / folder.name)
    arguments[-1 - arguments[::-1].index(f"--trainer.default_root_dir={tmp_path / 'runs'}")] = (
        f"--trainer.default_root_dir={folder.parent}"
    )
    assert run([*arguments, "--ckpt_path=last"], tmp_path / "told.txt")
    assert_same_run(whole("online, SGD"), folder)


class Counting(Callback):
    """Keeps what no checkpoint can be loaded with."""

    def state_dict(self) -> dict[str, object]:
        return {"count": np.float64(1)}


def test_a_state_that_cannot_be_loaded_is_refused_not_passed_over(tmp_path: Path) -> None:
    arguments, folder = half_a_run(
        tmp_path, "--trainer.callbacks+=test_resume.Counting", "--allow_code_from=test_resume"
    )
    rows = rows_of(folder)
    line = refusal([*arguments, "--resume=auto"], tmp_path / "refused.txt")
    assert "holds more than tensors, numbers and strings" in line
    assert rows_of(folder) == rows


def test_other_checkpoints_are_not_gone_on_from(whole: Callable[[str], Path], tmp_path: Path) -> None:
    other = "--trainer.callbacks+=lightning.pytorch.callbacks.ModelCheckpoint"
    often = ("--trainer.callbacks.every_n_train_steps=20", "--trainer.callbacks.save_weights_only=true")
    arguments, folder = half_a_run(tmp_path, other, *often)
    # The newest, of weights alone.
    os.utime(next((folder / "checkpoints").glob("*step=440*")))
    assert run([*arguments, "--ckpt_path=last"], tmp_path / "told.txt")
    assert_same_run(whole("online, SGD"), folder)


def test_a_run_begun_from_a_checkpoint_goes_on_from_there(tmp_path: Path) -> None:
    case = "online, SGD"
    first = [*arguments_of(case, tmp_path / "first"), "--trainer.max_steps=200"]
    assert run(first, tmp_path / "first" / "told.txt")
    path = folder_of(tmp_path / "first") / "checkpoints" / "last.ckpt"
    options = ["--trainer.max_steps=380", "--model.optimizer.lr=0.01"]
    branch = [*arguments_of(case, tmp_path / "branch"), *options]
    assert run([*branch, f"--ckpt_path={path}"], tmp_path / "branch" / "told.txt")
    folder = folder_of(tmp_path / "branch")
    before = content_of(folder)
    # As if killed before its first checkpoint.
    shutil.rmtree(folder / "checkpoints")
    (folder / "summary.json").unlink()
    assert run([*branch, "--ckpt_path=last"], tmp_path / "branch" / "told.txt")
    assert (content_of(folder)[0], content_of(folder)[1]) == before[:2]
    # Nobody who wants a run from the seed gets this one.
    assert run([*branch, "--resume=auto"], tmp_path / "branch" / "told.txt")
    assert len(list((tmp_path / "branch" / "runs").iterdir())) == 2


def test_a_refused_command_leaves_a_finished_run_as_it_is(tmp_path: Path) -> None:
    arguments = [*arguments_of("online, SGD", tmp_path), "--trainer.max_steps=60"]
    assert run(arguments, tmp_path / "told.txt")
    folder = folder_of(tmp_path)
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    both = [*arguments, "--resume=auto", f"--ckpt_path={folder / 'checkpoints' / 'last.ckpt'}"]
    assert "leave --ckpt_path out" in refusal(both, tmp_path / "both.txt")
    longer = [*arguments, "--trainer.max_steps=90", "--resume=auto", "--trainer.accumulate_grad_batches=4"]
    assert "accumulate_grad_batches=4" in refusal(longer, tmp_path / "longer.txt")
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before


@pytest.mark.parametrize("odd", ["{}", "[]", '{"stop_reason": "solved", "steps": "x"}', "{"])
def test_an_odd_summary_is_none(odd: str, tmp_path: Path) -> None:
    (tmp_path / "summary.json").write_text(odd)
    assert end_of_run(tmp_path, 100) is None


def test_the_newest_of_many_runs_in_a_second(tmp_path: Path) -> None:
    for number in ("", *(f"-{number}" for number in range(2, 13))):
        (tmp_path / f"20260101-000000-MLP{number}").mkdir()
        (tmp_path / f"20260101-000000-MLP{number}" / "config.yaml").write_text("model: {}\n")
    found = find_run(tmp_path, "MLP", {"model": {}}, from_seed=True)
    assert found is not None
    assert found.name == "20260101-000000-MLP-12"


# Saved between evaluations, when each device has seen a share of its own of the batches since the last one.
ON_TWO_DEVICES = "online, momentum, saved between evaluations"
# Each step is an exchange between two processes.
FEW_STEPS = "--trainer.max_steps=90"


def arguments_on_two_devices(where: Path, *options: str) -> list[str]:
    where.mkdir(exist_ok=True)
    shared = ("--trainer.strategy=ddp", "--trainer.devices=2")
    return [*arguments_of(ON_TWO_DEVICES, where, draws=False), FEW_STEPS, *shared, *options]


def launched_on_two_devices(where: Path, *options: str) -> subprocess.Popen[str]:
    """Starts a run on two devices as a user does, in a process group of its own: Lightning starts the second."""
    command = [sys.executable, "-m", "parity_lightning", *arguments_on_two_devices(where, *options)]
    with (where / "told.txt").open("a") as told:
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        return subprocess.Popen(
            command, stdout=told, stderr=subprocess.STDOUT, text=True, start_new_session=True, env=environment
        )


def run_on_two_devices(
    where: Path, *options: str, number: int = 0, sent: signal.Signals = signal.SIGKILL
) -> list[int | None]:
    """Runs in two processes as Lightning starts them, of which the first may get a signal; returns their exit codes."""
    arguments, told = arguments_on_two_devices(where, *options), where / "told.txt"
    shared = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": free_port(), "NODE_RANK": "0", "WORLD_SIZE": "2"}
    ranks = [{**shared, "LOCAL_RANK": f"{rank}", "OMP_NUM_THREADS": "1"} for rank in range(2)]
    processes = [
        fresh(signalled_main, arguments, told, where / "runs", number, sent, ranks[0]),
        begin(arguments, told, environment=ranks[1]),
    ]
    for process in processes:
        process.join(600)
        # One of two that waits for the other.
        process.kill()
        process.join()
    return [process.exitcode for process in processes]


@pytest.fixture(scope="module")
def whole_on_two_devices(tmp_path_factory: pytest.TempPathFactory) -> Path:
    where = tmp_path_factory.mktemp("two")
    assert run_on_two_devices(where) == [0, 0]
    return folder_of(where)


def assert_it_was_interrupted(folder: Path) -> None:
    assert json.loads((folder / "summary.json").read_text())["stop_reason"] == "interrupted"
    told = (folder.parents[1] / "told.txt").read_text()
    assert told.count("saving and ending") == told.count("to go on: ") == 1
    assert "Traceback" not in told


def test_two_devices_interrupted_go_on_as_if_nothing_had_been(whole_on_two_devices: Path, tmp_path: Path) -> None:
    # To the first process only, as kill does. The second ends as if nothing were wrong: a launcher kills the first,
    # which has most to write, once the other has failed.
    number = writes_of(whole_on_two_devices) // 2
    assert run_on_two_devices(tmp_path, number=number, sent=signal.SIGTERM) == [143, 0]
    folder = folder_of(tmp_path)
    assert_it_was_interrupted(folder)
    assert run_on_two_devices(tmp_path, "--ckpt_path=last") == [0, 0]
    assert_same_run(whole_on_two_devices, folder)


@pytest.mark.slow
@pytest.mark.parametrize(("sent", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_so_do_two_that_lightning_has_launched(
    sent: signal.Signals, status: int, whole_on_two_devices: Path, tmp_path: Path
) -> None:
    process = launched_on_two_devices(tmp_path)
    folder = wait_for_rows(tmp_path / "runs", 2)
    # At a terminal, Ctrl-C goes to both.
    (os.killpg if sent == signal.SIGINT else os.kill)(process.pid, sent)
    assert process.wait(60) == status
    assert_it_was_interrupted(folder)
    assert launched_on_two_devices(tmp_path, "--ckpt_path=last").wait(120) == 0
    assert_same_run(whole_on_two_devices, folder)


def test_one_device_goes_on_where_two_were(whole_on_two_devices: Path, tmp_path: Path) -> None:
    (between,) = whole_on_two_devices.glob("checkpoints/*step=50.ckpt")
    options = [f"--ckpt_path={between}", "--trainer.max_steps=60"]
    assert run([*arguments_of(ON_TWO_DEVICES, tmp_path, draws=False), *options], tmp_path / "told.txt")
    # Steps 41 to 50 were taken by two devices, 51 to 60 by one.
    (row,) = rows_of(folder_of(tmp_path))
    (wanted,) = [each for each in rows_of(whole_on_two_devices) if each["step"] == row["step"]]
    assert row.keys() == wanted.keys()
    for name, value in row.items():
        assert float(value) == pytest.approx(float(wanted[name]), rel=1e-4), name


@pytest.mark.slow
def test_two_devices_killed_a_hundred_times(whole_on_two_devices: Path, tmp_path: Path) -> None:
    chance = random.Random(0)
    kills = 0
    for number in range(1000):
        where = tmp_path / str(number)
        status, rows = -signal.SIGKILL, 0
        while status:
            process = launched_on_two_devices(where, "--resume=auto")
            patience = time.monotonic() + 120
            enough = rows + chance.randrange(2, 10) if kills < 100 else 1_000_000
            while process.poll() is None and rows < enough:
                assert time.monotonic() < patience
                time.sleep(0.01)
                rows = sum(len(path.read_text().splitlines()) for path in (where / "runs").glob("*/metrics.csv"))
            time.sleep(chance.uniform(0, 0.2))
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                kills += 1
            status = process.wait()
            assert status in (0, -signal.SIGKILL), (where / "told.txt").read_text()
        assert_same_run(whole_on_two_devices, folder_of(where))
        if kills == 100:
            break
    assert kills == 100
