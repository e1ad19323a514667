"""Sweep files run by W&B's own ``wandb sweep`` and ``wandb agent``, against a server of the tests."""

from __future__ import annotations

import itertools
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as parquet
import pytest
import yaml
from conftest import CONFIGS, ROOT, Run
from parsed import Parsed
from wandb_files import records_of, whole_run
from wandb_server import ENTITY, SWEEP, wandb_server

from parity_lightning.cli import main
from parity_lightning.studies.sweep_file import SweepFile

PROGRAMS = Path(sys.executable).parent

PARAMETERS = {
    "data.init_args.n": {"value": 8},
    "data.init_args.k": {"value": 2},
    # One unit cannot express a parity.
    "model.init_args.width": {"values": [20, 1]},
    # From the first step on, as in stacked trials: then a run is that trial, bit for bit.
    "model.init_args.compile_after": {"value": 0},
    "trainer.max_steps": {"value": 1_000},
    "seed_everything": {"values": [3, 4]},
}


def grid(content: dict[str, Any]) -> list[dict[str, Any]]:
    """The runs of a grid, which the service chooses."""
    parameters = content["parameters"]
    choices = [given["values"] if "values" in given else [given["value"]] for given in parameters.values()]
    return [dict(zip(parameters, values, strict=True)) for values in itertools.product(*choices)]


def wandb(*words: str, folder: Path, url: str) -> str:
    """Runs W&B's program; returns all that it says."""
    environment = {
        **os.environ,
        "WANDB_BASE_URL": url,
        "WANDB_API_KEY": "0" * 40,
        "WANDB_SILENT": "false",
        "PATH": f"{PROGRAMS}{os.pathsep}{os.environ['PATH']}",
    }
    command = [str(PROGRAMS / "wandb"), *words]
    ended = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr
    return ended.stdout + ended.stderr


def values_at(config: dict[str, Any], paths: list[str]) -> Iterator[Any]:
    """The values at dotted paths."""
    for path in paths:
        value: Any = config
        for name in path.split("."):
            value = value[name]
        yield value


@pytest.mark.slow
def test_the_agent_runs_the_cells_and_seeds_that_sweep_has_and_so_does_ray(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """``wandb sweep`` and ``wandb agent`` as they are installed; their runs are offline.

    It proves that they take the file, which command the agent makes of a run's parameters, and what that command
    leaves. It does not prove that the real service takes the file, chooses the runs of a grid as `grid` does, or shows
    what the runs would send: there is no service here, only answers to the five operations that the two programs need.
    """
    pytest.importorskip("ray")
    monkeypatch.chdir(tmp_path)
    shutil.copytree(CONFIGS, tmp_path / "configs")
    content = {**yaml.safe_load((CONFIGS / "sweeps" / "first.yaml").read_text()), "parameters": PARAMETERS}
    (tmp_path / "tiny.yaml").write_text(yaml.safe_dump(content, sort_keys=False))
    with wandb_server(grid) as (server, url):
        made = wandb("sweep", "tiny.yaml", folder=tmp_path, url=url)
        told = wandb("agent", f"{ENTITY}/{server.project}/{SWEEP}", folder=tmp_path, url=url)
    assert server.unknown == []
    assert set(server.operations) == {"Viewer", "UpsertSweep", "SweepWithRuns", "CreateAgent", "Heartbeat"}
    assert f"wandb agent {ENTITY}/parity-lightning/{SWEEP}" in made
    assert "Tracking run" in told
    assert "WARNING" not in made + told, told

    folders = sorted((tmp_path / "runs").iterdir())
    paths = list(PARAMETERS)
    theirs = [tuple(values_at(yaml.safe_load((folder / "config.yaml").read_text()), paths)) for folder in folders]
    sweep = SweepFile.of("tiny.yaml")
    ours = {(*cell.values(), seed) for cell in sweep.cells() for seed in sweep.seeds}
    assert len(theirs) == len(ours) == 4
    assert set(theirs) == ours

    times = {}
    for executor in ("embedded", "ray"):
        main(["sweep", "tiny.yaml", f"--store={executor}.sqlite", "--workers=1", f"--executor={executor}"])
        main(["results", f"{executor}.sqlite", f"--export={executor}.parquet"])
        capsys.readouterr()
        rows = parquet.read_table(f"{executor}.parquet").to_pylist()
        times[executor] = {
            (row["n"], row["k"], row["width"], 0, row["max_steps"], row["seed"]): row["convergence_time"]
            for row in rows
        }
        assert times[executor].keys() == ours
    assert times["ray"] == times["embedded"]

    for folder, values in zip(folders, theirs, strict=True):
        (kept,) = (folder / "wandb").glob("offline-run-*")
        whole = whole_run(kept)
        (run,) = (record["run"] for record in records_of(kept) if record["type"] == "run")
        assert run["sweep_id"] == SWEEP
        summary = json.loads((folder / "summary.json").read_text())
        is_wide = values[2] == 20
        assert summary["solved"] == whole["summary"]["solved"] == is_wide
        # Of one that is not solved the file has no time; W&B, which has to compare it, the steps it was given.
        assert (summary["convergence_time"] or 1_000) == whole["summary"]["convergence_time"] > 0
        assert (summary["convergence_time"] is not None) == is_wide
        assert tuple(values_at(whole["config"], paths[:5])) == values[:5]
        assert whole["config"]["seed_everything"] == values[5]
        assert summary["convergence_time"] == times["embedded"][values]


def test_a_null_of_a_sweep_is_taken_as_the_agent_spells_it() -> None:
    words = ["fit", f"--config={CONFIGS / 'online.yaml'}"]
    ours, theirs = (Parsed.of([*words, f"--data.init_args.num_samples={null}"]) for null in ("null", "None"))
    assert ours.data.init_args.num_samples is theirs.data.init_args.num_samples is None


def test_the_workspace_of_the_documentation_has_what_a_run_logs(tmp_path: Path, fit: Callable[..., Run]) -> None:
    pytest.importorskip("wandb_workspaces")
    (snippet,) = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "watching.md").read_text(), flags=re.DOTALL)
    (tmp_path / "snippet.py").write_text(snippet.replace("ENTITY", ENTITY))
    environment = {**os.environ, "WANDB_API_KEY": "0" * 40, "WANDB_MODE": "online"}
    with wandb_server(grid) as (server, url):
        environment["WANDB_BASE_URL"] = url
        command = [sys.executable, str(tmp_path / "snippet.py")]
        ended = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
        assert ended.returncode == 0, ended.stderr
    assert server.unknown == []
    (section,) = [
        each
        for each in server.view["spec"]["section"]["panelBankConfig"]["sections"]
        if each["name"] == "Hidden progress"
    ]
    assert section["isOpen"]
    configs = [panel["config"] for panel in section["panels"]]
    assert [config["chartTitle"] for config in configs] == ["loss", "hidden progress", "accuracy"]
    assert {config["xAxis"] for config in configs} == {"trainer/global_step"}
    shown = {name for config in configs for name in config["metrics"]}
    run = fit("--trainer.max_steps=100")
    assert shown <= set((run.folder / "metrics.csv").read_text().splitlines()[0].split(","))
