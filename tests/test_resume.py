"""A run that is killed at any moment goes on as if nothing had been."""

from __future__ import annotations

import json
import multiprocessing
import os
import random
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch
import yaml
from conftest import CONFIGS

from parity_lightning.cli import main

# Processes that have everything imported already, so that a hundred of them start in no time.
FRESH = multiprocessing.get_context("forkserver")
FRESH.set_forkserver_preload(["parity_lightning.cli.training"])

CALLBACKS = yaml.safe_load((CONFIGS / "online.yaml").read_text())["trainer"]["callbacks"]

ONLINE = ("--data.k=4", "--model.width=30", "--trainer.max_steps=3000", "--model.optimizer.lr=0.02")
EAGER = "--model.compile_after=null"


class Case(NamedTuple):
    """What is run, and after how many steps it is saved."""

    save_every: int
    options: tuple[str, ...]


CASES = {
    "online, SGD": Case(200, (*ONLINE, EAGER)),
    "online, momentum, saved between evaluations": Case(130, (*ONLINE, EAGER, "--model.optimizer.momentum=0.5")),
    "finite, Adam, compiled": Case(
        300,
        (
            *(*ONLINE, "--data.num_samples=300", "--model.optimizer=Adam", "--model.optimizer.lr=0.001"),
            "--model.compile_after=700",
        ),
    ),
    "solved": Case(50, ("--data.k=2", "--trainer.val_check_interval=10", "--model.optimizer.lr=0.01")),
    "Transformer, ordinary loop": Case(
        60,
        (
            *("--model=Transformer", "--data.k=2", "--model.d_emb=16", "--model.heads=2", "--model.optimizer=Adam"),
            *("--model.optimizer.lr=0.001", "--trainer.max_steps=300", "--trainer.gradient_clip_val=1"),
            "--model.initialization=default",
        ),
    ),
}


def quiet_main(arguments: Sequence[str], told: Path) -> None:
    """Runs the command line and has what it says go into a file."""
    file = os.open(told, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.dup2(file, 1)
    os.dup2(file, 2)
    main(arguments)


def run(arguments: Sequence[str], told: Path, seconds: float | None = None) -> bool:
    """Runs a command and, after so many seconds, kills it; returns whether it had come to its end."""
    process = FRESH.Process(target=quiet_main, args=(list(arguments), told))
    process.start()
    process.join(seconds)
    if process.exitcode is None:
        process.kill()
        process.join()
        return False
    assert process.exitcode == 0, told.read_text()
    return True


def folder_of(runs: Path) -> Path:
    (folder,) = (runs / "runs").iterdir()
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


def arguments_of(case: str, where: Path) -> list[str]:
    callbacks = [
        {"class_path": "StepCheckpoint", "init_args": {"every_n_train_steps": CASES[case].save_every}}
        if each["class_path"] == "StepCheckpoint"
        else each
        for each in CALLBACKS
    ]
    where.mkdir(exist_ok=True)
    saving = where / "saving.yaml"
    saving.write_text(yaml.safe_dump({"trainer": {"callbacks": callbacks}}))
    return [
        *("fit", f"--config={CONFIGS / 'online.yaml'}", f"--config={saving}", "--trainer.accelerator=cpu"),
        *("--data.n=16", "--trainer.val_check_interval=20", *CASES[case].options),
        f"--trainer.default_root_dir={where / 'runs'}",
    ]


class Killed(NamedTuple):
    """What became of a run that was killed again and again."""

    kills: int
    went_on_from: list[int]


def killed_and_resumed(case: str, where: Path, kills: int, longest: float) -> Killed:
    """Runs a case to its end, killing it at random moments until then."""
    arguments = [*arguments_of(case, where), "--resume=auto"]
    chance = random.Random(f"{case} {kills}")
    landed = 0
    while landed < kills and not run(arguments, where / "told.txt", chance.uniform(0, longest)):
        landed += 1
    run(arguments, where / "told.txt")
    steps = re.findall(r"going on with .* from step ([\d,]+)", (where / "told.txt").read_text())
    return Killed(landed, [int(step.replace(",", "")) for step in steps])


@pytest.mark.parametrize("case", CASES)
def test_a_run_killed_at_any_moment_goes_on_as_if_nothing_had_been(case: str, tmp_path: Path) -> None:
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    assert run(arguments_of(case, whole), whole / "told.txt")
    became = killed_and_resumed(case, killed, kills=4, longest=3)
    print(became)
    assert_same_run(folder_of(whole), folder_of(killed))
