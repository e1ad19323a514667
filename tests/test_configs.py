"""Every shipped YAML file is one that the command line accepts."""

from __future__ import annotations

import csv
import itertools
import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import yaml
from conftest import CONFIGS, ROOT, Parsed, Run
from wandb.sdk.launch.sweeps.utils import create_sweep_command, create_sweep_command_args

RUNS = sorted(CONFIGS.glob("*.yaml")) + sorted(CONFIGS.glob("architectures/*.yaml"))
LOGGERS = sorted(CONFIGS.glob("loggers/*.yaml"))
SWEEPS = sorted(CONFIGS.glob("sweeps/*.yaml"))


def name_of(path: Path) -> str:
    return str(path.relative_to(CONFIGS))


def test_there_are_configs() -> None:
    assert {name_of(path) for path in RUNS} >= {"online.yaml", "grokking.yaml"}
    assert {name_of(path) for path in LOGGERS} >= {"loggers/tensorboard.yaml", "loggers/wandb.yaml"}
    assert {name_of(path) for path in SWEEPS} >= {"sweeps/first.yaml"}


@pytest.mark.parametrize("config", RUNS, ids=name_of)
def test_a_config_starts_and_says_what_it_is(config: Path, fit: Callable[..., Run]) -> None:
    run = fit("--trainer.max_steps=2", config=config)
    assert run.summary["steps"] == 2
    assert config.read_text().startswith("# "), "its header says what it is"


@pytest.mark.parametrize("config", LOGGERS, ids=name_of)
def test_a_logger_is_added_and_stays_in_the_runs_folder(
    config: Path, fit: Callable[..., Run], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    run = fit(f"--config={config}", "--trainer.max_steps=60")
    assert len((run.folder / "metrics.csv").read_text().splitlines()) == 3
    own = {"config.yaml", "metrics.csv", "summary.json", "progress.png", "checkpoints"}
    assert {path.name for path in run.folder.iterdir()} > own
    assert list((tmp_path / "elsewhere").iterdir()) == []


def cells(sweep: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Every combination of a grid's values, as the agent gets them."""
    names = list(sweep["parameters"])
    choices = [setting.get("values", [setting.get("value")]) for setting in sweep["parameters"].values()]
    for combination in itertools.product(*choices):
        yield {name: {"value": value} for name, value in zip(names, combination, strict=True)}


def agent_command(sweep: dict[str, Any], cell: dict[str, Any]) -> list[str]:
    """The command of a cell, built by W&B's own code."""
    arguments = create_sweep_command_args({"args": cell})
    command = create_sweep_command(sweep["command"])
    built: list[str] = []
    for part in command:
        if part == "${args}":
            built += arguments["args"]
        elif part == "${env}":
            built += ["/usr/bin/env"]
        else:
            built.append(part)
    return built


@pytest.mark.parametrize("path", SWEEPS, ids=name_of)
def test_every_cell_of_a_sweep_is_accepted(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    sweep = yaml.safe_load(path.read_text())
    assert sweep["method"] == "grid"
    assert (ROOT / sweep["program"]).is_file()
    seen = set()
    for cell in cells(sweep):
        env, program, *arguments = agent_command(sweep, cell)
        assert (env, program) == ("/usr/bin/env", "parity-lightning")
        config = Parsed.of(arguments)
        for name, setting in cell.items():
            assert config[name] == setting["value"]
        seen.add(tuple(arguments))
    assert len(seen) > 1


def test_wandb_gets_what_metrics_csv_and_the_summary_get(fit: Callable[..., Run]) -> None:
    run = fit(f"--config={CONFIGS / 'loggers' / 'wandb.yaml'}")
    (folder,) = (run.folder / "wandb").glob("offline-run-*")
    wandb = Path(sys.executable).with_name("wandb")
    # W&B's own reader of its own files.
    inspect = partial(subprocess.run, capture_output=True, text=True, check=True)
    records = map(json.loads, inspect([wandb, "leet", "inspect", "--json", folder]).stdout.splitlines())
    whole = json.loads(inspect([wandb, "leet", "inspect", "--summary", "--json", folder]).stdout)

    history = [record["history"]["item"] for record in records if record["type"] == "history"]
    with (run.folder / "metrics.csv").open() as file:
        rows = [{name: float(value) for name, value in row.items()} for row in csv.DictReader(file)]
    logged = [
        {
            name.replace("trainer/global_step", "step"): value
            for name, value in item.items()
            if name[0] != "_" and name != "epoch"
        }
        for item in history
    ]
    assert logged == rows
    assert len(rows) > 3
    assert whole["state"] == "finished"
    written = {name: value for name, value in run.summary.items() if value is not None}
    assert written == {name: whole["summary"][name] for name in written}
    assert whole["config"]["model"]["init_args"]["optimizer"]["init_args"]["lr"] == 0.1
    assert whole["config"]["data"]["init_args"]["n"] == 20


@pytest.mark.parametrize("number", [0, 1])
def test_two_cells_run_as_the_agent_runs_them(number: int, tmp_path: Path) -> None:
    shutil.copytree(CONFIGS, tmp_path / "configs")
    sweep = yaml.safe_load((CONFIGS / "sweeps" / "first.yaml").read_text())
    env, program, *arguments = agent_command(sweep, list(cells(sweep))[-number])
    command = [env, str(Path(sys.executable).with_name(program)), *arguments, "--trainer.max_steps=60"]
    subprocess.run(command, cwd=tmp_path, check=True, capture_output=True, text=True)
    (folder,) = (tmp_path / "runs").iterdir()
    assert list((folder / "wandb").glob("offline-run-*/*.wandb"))
