"""``parity-lightning sweep`` and ``results``: what is run, printed, drawn and exported, and how a sweep grows."""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as parquet
import pytest
import yaml
from conftest import CONFIGS, complaint

from parity_lightning.cli import main

COMMAND = ["${env}", "parity-lightning", "fit", "--config", str(CONFIGS / "online.yaml"), "--data.k=2", "${args}"]
QUICK = {"model.width": {"value": 20}, "trainer.val_check_interval": {"value": 10}}


@pytest.fixture
def sweep(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[list[dict[str, Any]], str]]:
    """Runs a sweep into one store; returns its rows and what was printed."""

    def run(parameters: dict[str, Any], *options: str, **content: Any) -> tuple[list[dict[str, Any]], str]:
        file, store, rows = tmp_path / "s.yaml", tmp_path / "s.sqlite", tmp_path / "rows.parquet"
        whole = {"method": "grid", "command": COMMAND, "parameters": {**parameters, **QUICK}, **content}
        file.write_text(yaml.safe_dump(whole, sort_keys=False))
        main(["sweep", str(file), f"--store={store}", "--workers=1", *options])
        out = capsys.readouterr().out
        rows.unlink(missing_ok=True)
        main(["results", str(store), f"--export={rows}"])
        capsys.readouterr()
        return parquet.read_table(rows).to_pylist(), out

    return run


def test_a_sweep_is_run_and_grows_by_values_and_trials(sweep: Callable[..., Any], tmp_path: Path) -> None:
    rows, out = sweep({"data.n": {"values": [8, 12]}, "seed_everything": {"values": [3, 4, 5]}})
    assert [(row["n"], row["seed"], row["width"]) for row in rows] == [(n, s, 20) for n in (8, 12) for s in (3, 4, 5)]
    assert "2 settings x 3 trials = 6, parsed in" in out
    assert "6 to run in 2 packs that share a stack" in out
    assert "3/3" in out
    assert "t_c ~ n^" in out
    assert "The paper's rule (20 % of the trials, at the learning rate given): 2 of 2 configurations solvable." in out
    assert out.splitlines()[-1] == f"store: {tmp_path / 's.sqlite'}"
    assert all(len(line) <= 120 for line in out.splitlines())
    more, out = sweep({"data.n": {"values": [8, 10, 12]}, "seed_everything": {"values": [3, 4, 5, 6]}})
    # A third setting of 4 trials, and one more of the two others.
    assert "6 to run" in out
    assert [row for row in more if row["n"] != 10 and row["seed"] != 6] == rows
    assert len(more) == 12
    _, out = sweep({"data.n": {"values": [8, 10, 12]}, "seed_everything": {"values": [3, 4, 5, 6]}})
    assert "to run" not in out


def test_overlays_are_one_value_and_come_first(sweep: Callable[..., Any], tmp_path: Path) -> None:
    for name, model in (("narrow", "MLP"), ("product", "PolyNet")):
        (tmp_path / f"{name}.yaml").write_text(f"model: {{class_path: {model}, init_args: {{loss: square}}}}")
    overlays = [str(tmp_path / "narrow.yaml"), str(tmp_path / "product.yaml")]
    command = [word for word in COMMAND if "online" not in word and word != "--config"]
    base = {
        "data.n": {"value": 8},
        "model.optimizer": {"value": "torch.optim.SGD"},
        "model.optimizer.lr": {"value": 0.05},
        "trainer.max_steps": {"value": 200},
        "trainer.val_check_interval": {"value": 10},
    }
    file = tmp_path / "o.yaml"
    parameters = {"config": {"values": overlays}, **base}
    file.write_text(yaml.safe_dump({"method": "grid", "command": command, "parameters": parameters}, sort_keys=False))
    main(["sweep", str(file), f"--store={tmp_path / 'o.sqlite'}", "--workers=1", "--trials=1"])
    main(["results", str(tmp_path / "o.sqlite"), f"--export={tmp_path / 'o.csv'}"])
    with (tmp_path / "o.csv").open() as rows:
        found = [(row["config"], row["architecture"].rpartition(".")[2], row["lr"]) for row in csv.DictReader(rows)]
    assert found == [(overlays[0], "MLP", "0.05"), (overlays[1], "PolyNet", "0.05")]


def test_results_are_chosen_grouped_and_drawn(
    sweep: Callable[..., Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lr = {"model.optimizer.lr": {"values": [0.0001, 0.1]}, "trainer.max_steps": {"value": 300}}
    sweep({"data.n": {"values": [8, 12]}, **lr}, "--trials=5")
    store, picture = str(tmp_path / "s.sqlite"), tmp_path / "p.png"
    main(["results", store, "--where=lr>=0.1", f"--picture={picture}"])
    out = capsys.readouterr().out
    assert "10 of 10 trials of 2 settings; 10 solved" in out
    assert picture.read_bytes().startswith(b"\x89PNG")
    main(["results", store, "--group_by=lr"])
    lines = capsys.readouterr().out.splitlines()
    (slow,) = [line for line in lines if line.startswith("0.0001")]
    assert slow.split()[:3] == ["0.0001", "2", "0/10"]
    assert "unsolved" in slow
    # Unsolvable at one learning rate, solvable at the other.
    assert "at one learning rate or more): 2 of 2 configurations solvable." in "\n".join(lines)
    for options, told in [
        (["--where=lr"], "--where=lr: give COLUMN=VALUE"),
        (["--where=widht=1"], "--where=widht: no such column; did you mean width?"),
        (["--where=n=9"], "holds for no setting of this study"),
        (["--where=loss>1"], "loss has no order"),
        (["--group_by=lr,m"], "--group_by=m: no such column"),
        (["--against=width"], "--against=width: is the same everywhere"),
        (["--picture=p.gif"], "--picture=p.gif: must end with .png"),
        (["--export=t.txt"], "must end with .parquet or .csv"),
        ([f"--export={tmp_path / 'rows.parquet'}"], "is there already"),
    ]:
        assert told in complaint(["results", store, *options], capsys)
    assert "no such file" in complaint(["results", str(tmp_path / "none")], capsys)
    (tmp_path / "notes").write_text("somebody's notes" * 99)
    assert "is no store of a study" in complaint(["results", str(tmp_path / "notes")], capsys)


def test_a_wrong_setting_is_refused_before_anything_runs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    file = tmp_path / "s.yaml"

    def told(parameters: dict[str, Any], *options: str) -> str:
        file.write_text(yaml.safe_dump({"method": "grid", "command": COMMAND, "parameters": parameters}))
        line = complaint(["sweep", str(file), *options], capsys)
        assert [path.name for path in tmp_path.iterdir()] == ["s.yaml"]
        return line

    assert "--data.k=9: must be at most n=8" in told({"data.n": {"value": 8}, "data.k": {"values": [2, 9]}})
    assert "--data.m: no such option" in told({"data.m": {"values": [2, 9]}})
    assert "--decided_at=5: must be at most the number of trials, 2" in told({}, "--trials=2", "--decided_at=5")
    assert "no such file" in complaint(["sweep", "none.yaml"], capsys)
    for options, line in [
        (["--address=auto"], "--address=auto: is an option of --executor ray"),
        (["--executor=ray", "--address=head"], "--address=head: must be HOST:PORT"),
        (["--executor=ray", "--gpus_per_pack=2"], "--gpus_per_pack=2.0: a pack trains on one GPU; at most 1"),
        (["--executor=dask"], "--executor=dask: must be embedded, ray or slurm"),
    ]:
        assert line in told({}, *options)
    monkeypatch.setitem(sys.modules, "ray", None)
    line = told({}, "--executor=ray")
    assert line.endswith("--executor=ray: needs Ray: pip install 'parity-lightning[ray]'")
    assert "did you mean --workers" in complaint(["sweep", str(file), "--worker=2"], capsys)
    assert "--trials=0: must be a whole number above 0" in complaint(["sweep", str(file), "--trials=0"], capsys)


def test_a_setting_that_fails_is_named_and_tried_again_when_asked(
    sweep: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.chdir(tmp_path)
    switch = tmp_path / "works"
    (tmp_path / "moody.py").write_text(
        "from pathlib import Path\n"
        "from torch import nn\n"
        "from parity_lightning import ParityModule\n"
        "class Moody(ParityModule):\n"
        "    def __init__(self, n: int, mood: int = 0, **kwargs):\n"
        "        super().__init__(nn.Sequential(nn.Linear(n, 20), nn.ReLU(), nn.Linear(20, 1)), **kwargs)\n"
        "        self.mood = mood\n"
        "    def on_train_start(self):\n"
        f"        if self.mood and not Path({str(switch)!r}).exists():\n"
        "            raise RuntimeError('in no mood to train')\n"
    )
    command = [*COMMAND[:-1], "--model=moody.Moody", "--trainer.max_steps=40", "${args}"]
    file, store = tmp_path / "s.yaml", tmp_path / "s.sqlite"
    parameters = {"model.mood": {"values": [0, 1]}, "data.n": {"value": 8}, "trainer.val_check_interval": {"value": 20}}
    file.write_text(yaml.safe_dump({"method": "grid", "command": command, "parameters": parameters}))
    arguments = ["sweep", str(file), f"--store={store}", "--workers=1", "--trials=1"]
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 1
    told = capsys.readouterr().err.splitlines()[-1]
    assert "1 settings failed 3 times (RuntimeError: in no mood to train); run them again with --retry failed" in told
    switch.touch()
    with pytest.raises(SystemExit):
        main(arguments)
    assert "1 of 2 trials" in capsys.readouterr().out
    main([*arguments, "--retry=failed"])
    assert "2 of 2 trials of 2 settings" in capsys.readouterr().out


def test_a_store_of_another_sweep_is_refused_and_named(sweep: Callable[..., Any], tmp_path: Path) -> None:
    sweep({"data.n": {"values": [8]}})
    with pytest.raises(SystemExit):
        sweep({"data.n": {"values": [9]}})
    assert json.loads(json.dumps(sweep({"data.n": {"values": [8]}})[0]))[0]["n"] == 8


def test_a_bayes_search_is_gone_on_with_and_its_best_is_run_again_on_fresh_seeds(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("optuna")
    file, store = tmp_path / "b.yaml", tmp_path / "b.sqlite"
    lr = {"distribution": "log_uniform_values", "min": 0.0001, "max": 1.0}
    parameters = {"model.optimizer.lr": lr, "data.n": {"value": 8}, "trainer.max_steps": {"value": 200}, **QUICK}

    def run(cap: int, **changed: Any) -> str:
        metric = {"name": "convergence_time", "goal": "minimize"}
        content = {"method": "bayes", "metric": metric, "run_cap": cap, "command": COMMAND, "parameters": parameters}
        file.write_text(yaml.safe_dump({**content, **changed}, sort_keys=False))
        main(["sweep", str(file), f"--store={store}", "--workers=1", "--trials=4"])
        return capsys.readouterr().out

    assert "12 of 12 trials of 3 settings" in run(3)
    out = run(5)
    assert "20 of 20 trials of 5 settings" in out
    rates = [float(line.split()[0]) for line in out.splitlines() if line[:1].isdigit() and "/4" in line]
    assert len(set(rates)) == 5
    best, chosen, fresh = out.splitlines()[-4:-1]
    assert best.startswith("best of 5: model.optimizer.lr=")
    assert "on the 4 seeds that it was chosen by" in chosen
    assert "on 4 fresh ones: the number to quote" in fresh
    main(["results", str(tmp_path / "b-best.sqlite"), f"--export={tmp_path / 'best.csv'}"])
    capsys.readouterr()
    with (tmp_path / "best.csv").open() as rows:
        assert [row["seed"] for row in csv.DictReader(rows)] == ["4", "5", "6", "7"]
    with pytest.raises(SystemExit):
        run(5, metric={"name": "val/accuracy", "goal": "maximize"})
    assert "a bayes search minimizes the median convergence_time" in capsys.readouterr().err
