"""Every shipped YAML file is one that the command line accepts."""

from __future__ import annotations

import csv
import importlib
import inspect
import itertools
import math
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from conftest import CONFIGS, ROOT, Run
from parsed import Parsed
from processes import begin
from wandb_files import records_of, whole_run

from parity_lightning.studies.sweep_file import SweepFile

RUNS = sorted(CONFIGS.glob("*.yaml")) + sorted(CONFIGS.glob("architectures/*.yaml"))
LOGGERS = sorted(CONFIGS.glob("loggers/*.yaml"))
SWEEPS = sorted(CONFIGS.glob("sweeps/*.yaml"))


def name_of(path: Path) -> str:
    return str(path.relative_to(CONFIGS))


NUMERALS = ("i", "ii", "iii", "iv", "v", "vi", "vii", "viii", "ix", "x", "xi", "xii", "xiii", "xiv", "xv")
ARCHITECTURES = {*NUMERALS, "star-i", "star-ii", "star-iii", "disjoint-polynet"}


def test_there_are_configs() -> None:
    assert {name_of(path) for path in RUNS} >= {"online.yaml", "grokking.yaml"}
    assert {path.stem for path in CONFIGS.glob("architectures/*.yaml")} == ARCHITECTURES
    assert {name_of(path) for path in LOGGERS} >= {"loggers/tensorboard.yaml", "loggers/wandb.yaml"}
    assert {name_of(path) for path in SWEEPS} >= {"sweeps/first.yaml"}


@pytest.mark.parametrize("config", RUNS, ids=name_of)
def test_a_config_says_what_it_is(config: Path) -> None:
    assert config.read_text().startswith("# "), "its header says what it is"


@pytest.mark.parametrize("config", sorted(CONFIGS.glob("*.yaml")), ids=name_of)
def test_a_config_trains_what_it_says(config: Path, fit: Callable[..., Run]) -> None:
    told = Parsed.of(["fit", f"--config={config}"])
    run = fit("--trainer.max_steps=2", config=config, picture=True)
    assert run.summary["architecture"].rpartition(".")[2] == told.model.class_path.rpartition(".")[2]
    assert_it_learned(run, told.data.init_args.k)
    samples = told.data.init_args.num_samples
    assert (run.summary["num_samples"], run.summary["regime"]) == (samples, "finite" if samples else "online")


def assert_it_learned(run: Run, k: int) -> None:
    """Two steps changed the first layer, and what they led to was measured."""
    assert run.summary["steps"] == 2
    assert run.summary["k"] == len(run.summary["support"]) == len(run.summary["recovered_support"]) == k
    assert 0 < run.summary["hidden_progress"] < math.inf
    with (run.folder / "metrics.csv").open() as file:
        *_, row = csv.DictReader(file)
    assert row["step"] == "2"
    assert all(math.isfinite(float(value)) for value in row.values())


@pytest.mark.parametrize("name", sorted(ARCHITECTURES))
def test_a_setting_of_the_paper_is_made_as_the_paper_says(name: str) -> None:
    """Number of trained weights, counted by hand for (20,3), or (21,3) in blocks."""
    weights = {
        **{
            name: width * 22
            for names, width in ((("i", "iv"), 10), (("ii", "v"), 100), (("iii", "vi"), 1000))
            for name in names
        },
        **dict.fromkeys(("vii", "viii", "ix", "x"), 20 + 1 + 1),
        **dict.fromkeys(("xi", "xii", "xiii", "xiv"), 20 + 1),
        "xv": 3 * 21,
        "star-i": 3 * 22 + 1,
        "star-ii": 3 * 22,
        # embeddings, W_Q, W_K, W_V and W_O, both feed-forward layers with one bias, the readout
        "star-iii": 22 * 1024 + 4 * 1024 * 1024 + (2 * 1024 + 1) * 1024 + 1024,
        "disjoint-polynet": 21,
    }
    config = Parsed.of(["fit", f"--config={CONFIGS / 'architectures' / name}.yaml"])
    home, name_of_class = config.model.class_path.rsplit(".", 1)
    kind = getattr(importlib.import_module(home), name_of_class)
    settings = config.model.init_args.as_dict()
    settings = {key: value for key, value in settings.items() if key not in ("optimizer", "lr_scheduler")}
    data = config.data.init_args
    problem = {key: data[key] for key in ("n", "k") if key in inspect.signature(kind).parameters}
    module = kind(**{**settings, **problem})
    assert sum(parameter.numel() for parameter in module.parameters()) == weights[name]


OTHERS = {
    "xiv": ["--data.n=12", "--data.k=4", "--model.loss=cross_entropy", "--model.initialization=bernoulli"],
    "xv": ["--data.n=9", "--data.k=1", "--model.loss=correlation", "--model.initialization=uniform"],
    "star-iii": ["--data.n=10", "--data.k=2", "--model.d_emb=16", "--model.heads=2", "--model.loss=square"],
    "disjoint-polynet": ["--data.n=20", "--data.k=4", "--model.loss=hinge", "--model.initialization=sign"],
}


@pytest.mark.parametrize("name", sorted(ARCHITECTURES))
def test_every_setting_takes_another_problem_loss_and_initialization(name: str, fit: Callable[..., Run]) -> None:
    usual = ["--data.n=12", "--data.k=2", "--model.loss=square", "--model.initialization=gaussian"]
    options = OTHERS.get(name, usual)
    run = fit("--trainer.max_steps=2", *options, config=CONFIGS / "architectures" / f"{name}.yaml")
    assert f"--data.n={run.summary['n']}" in options
    assert_it_learned(run, next(int(option[-1]) for option in options if option.startswith("--data.k=")))
    settings = yaml.safe_load((run.folder / "config.yaml").read_text())["model"]["init_args"]
    assert f"--model.loss={settings['loss']}" in options
    if name != "star-iii":
        assert f"--model.initialization={settings['initialization']}" in options


@pytest.mark.parametrize("name", ["v", "xi", "xii", "xv", "disjoint-polynet"])
def test_a_quick_setting_solves_its_parity(name: str, fit: Callable[..., Run]) -> None:
    """And the support can be read off the first layer."""
    run = fit(config=CONFIGS / "architectures" / f"{name}.yaml")
    assert run.summary["solved"]
    assert run.summary["recovered_support"] == run.summary["support"]


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(ARCHITECTURES))
def test_every_setting_solves_its_parity(name: str, fit: Callable[..., Run]) -> None:
    run = fit(config=CONFIGS / "architectures" / f"{name}.yaml")
    assert run.summary["solved"]


@pytest.mark.parametrize("config", LOGGERS, ids=name_of)
def test_a_logger_is_added_and_stays_in_the_runs_folder(
    config: Path, fit: Callable[..., Run], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    run = fit(f"--config={config}", "--trainer.max_steps=60", picture=True)
    assert len((run.folder / "metrics.csv").read_text().splitlines()) == 3
    own = {"config.yaml", "metrics.csv", "summary.json", "progress.png", "checkpoints"}
    assert {path.name for path in run.folder.iterdir()} > own
    assert list((tmp_path / "elsewhere").iterdir()) == []


def cells(sweep: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Every combination of a grid's values, as the agent gets them."""
    names = list(sweep["parameters"])
    choices = [
        setting.get("values")
        or ([setting["value"]] if "value" in setting else range(setting["min"], setting["max"] + 1))
        for setting in sweep["parameters"].values()
    ]
    for combination in itertools.product(*choices):
        yield {name: {"value": value} for name, value in zip(names, combination, strict=True)}


def agent_command(sweep: dict[str, Any], cell: dict[str, Any]) -> list[str]:
    """The command of a cell, built by W&B's own code."""
    # It takes a second to import, in each process that collects tests.
    from wandb.sdk.launch.sweeps.utils import create_sweep_command, create_sweep_command_args

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
def test_cells_of_a_sweep_are_accepted_and_are_those_of_the_agent(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    content = yaml.safe_load(path.read_text())
    assert content["metric"] == {"name": "convergence_time", "goal": "minimize"}
    assert "entity" not in content
    assert (ROOT / content["program"]).is_file()
    sweep = SweepFile.of(path)
    ours = sweep.cells()
    theirs = (
        {name: setting["value"] for name, setting in cell.items() if name != "seed_everything"}
        for cell in cells(content)
    )
    sizes = [len(axis.values) for axis in sweep.axes.values()]
    if content["method"] == "grid":
        # Each cell once for each of its seeds, which are the last parameter.
        first = enumerate(itertools.islice(theirs, 3000))
        assert all(ours[number // len(sweep.seeds)] == cell for number, cell in first)
        assert math.prod(sizes) == len(ours) > 1
    else:
        # Which of them the service draws is its own affair.
        assert (content["method"], len(ours)) == ("random", content["run_cap"])
        assert all(value in sweep.axes[name].values for cell in ours for name, value in cell.items())
    for cell in (next(cells(content)), {**ours[-1], "seed_everything": sweep.seeds[-1]}):
        given = {name: value["value"] if isinstance(value, dict) else value for name, value in cell.items()}
        arguments = agent_command(content, {name: {"value": value} for name, value in given.items()})
        assert arguments[:2] == ["/usr/bin/env", "parity-lightning"]
        config = Parsed.of(arguments[2:])
        for name, value in given.items():
            assert name == "config" or config[name] == value


def test_wandb_gets_what_metrics_csv_and_the_summary_get(fit: Callable[..., Run]) -> None:
    run = fit(f"--config={CONFIGS / 'loggers' / 'wandb.yaml'}")
    (folder,) = (run.folder / "wandb").glob("offline-run-*")
    whole = whole_run(folder)

    history = [record["history"]["item"] for record in records_of(folder) if record["type"] == "history"]
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


def test_a_cell_runs_as_the_agent_runs_it(tmp_path: Path) -> None:
    shutil.copytree(CONFIGS, tmp_path / "configs")
    sweep = yaml.safe_load((CONFIGS / "sweeps" / "first.yaml").read_text())
    # What follows the program's name, which test_cli.py starts as it is installed.
    _, _, *arguments = agent_command(sweep, list(cells(sweep))[-1])
    process = begin([*arguments, "--trainer.max_steps=60"], tmp_path / "told.txt", tmp_path)
    process.join()
    assert process.exitcode == 0, (tmp_path / "told.txt").read_text()
    (folder,) = (tmp_path / "runs").iterdir()
    assert list((folder / "wandb").glob("offline-run-*/*.wandb"))
