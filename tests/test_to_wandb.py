"""``parity-lightning results STORE --to_wandb``: what W&B gets of a store, read back from its own files."""

from __future__ import annotations

import shutil
import sqlite3
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import yaml
from conftest import CONFIGS, complaint
from processes import begin
from wandb_files import records_of, whole_run

from parity_lightning.cli import main

COMMAND = ["${env}", "parity-lightning", "fit", "--config", str(CONFIGS / "online.yaml"), "--data.k=2", "${args}"]
PARAMETERS = {
    "data.n": {"values": [8, 12]},
    "model.width": {"value": 20},
    "model.optimizer.lr": {"values": [0.1, 0.0001]},
    "trainer.max_steps": {"value": 300},
    "trainer.val_check_interval": {"value": 10},
    "seed_everything": {"values": [3, 4, 5]},
}


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The store of a sweep of four settings, three trials each."""
    folder = tmp_path_factory.mktemp("sweep")
    file, path = folder / "s.yaml", folder / "small.sqlite"
    file.write_text(yaml.safe_dump({"method": "grid", "command": COMMAND, "parameters": PARAMETERS}, sort_keys=False))
    main(["sweep", str(file), f"--store={path}", "--workers=1"])
    return path


@pytest.fixture
def store(finished: Path, tmp_path: Path) -> str:
    """A copy of it."""
    return str(shutil.copy(finished, tmp_path))


def sent(folder: Path) -> dict[str, dict[str, Any]]:
    """The runs that W&B has files of, by their names."""
    runs = map(whole_run, sorted((folder / "wandb").glob("offline-run-*")))
    return {run["name"]: run for run in runs}


def test_wandb_gets_one_run_for_each_setting(
    store: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    main(["results", store, "--to_wandb", "sweeps"])
    folder = tmp_path / "wandb"
    told = capsys.readouterr()
    later = f"to send: wandb sync {folder}/offline-run-*"
    assert told.out.splitlines()[-1] == f"W&B: 4 runs, one a setting, lie in {folder}; {later}"
    assert told.err == ""
    assert list(Path().iterdir()) == []

    runs = sent(tmp_path)
    assert set(runs) == {f"n={n}, lr={lr}" for n in (8, 12) for lr in ("0.1", "0.0001")}
    solved, unsolved = runs["n=8, lr=0.1"], runs["n=8, lr=0.0001"]
    assert (solved["project"], solved["state"]) == ("sweeps", "finished")
    assert solved["config"]["data"]["init_args"]["n"] == 8
    assert solved["config"]["model"]["init_args"]["optimizer"]["init_args"]["lr"] == 0.1
    assert solved["config"]["first_seed"] == 3
    counts = ("trials", "planned_trials", "solved_trials", "solved_share")
    assert [solved["summary"][name] for name in counts] == [3, 3, 3, 1.0]
    assert [unsolved["summary"][name] for name in counts] == [3, 3, 0, 0.0]
    assert 0 < solved["summary"]["median_convergence_time"] <= 300
    assert unsolved["summary"].get("median_convergence_time") is None
    assert unsolved["summary"]["solved_share_high"] == pytest.approx(1 - 0.025 ** (1 / 3))


def test_a_setting_keeps_its_run_and_those_without_trials_have_none(
    store: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main(["results", store, "--to_wandb", "--where=lr=0.1", "--where=n=8"])
    assert "W&B: 1 run, of one setting, lie in" in capsys.readouterr().out
    (first,) = (tmp_path / "wandb").glob("offline-run-*")
    (run,) = (record["run"] for record in records_of(first) if record["type"] == "run")
    assert run["project"] == "parity-lightning"
    assert run["run_group"] == "small"
    with closing(sqlite3.connect(store)) as database, database:
        database.execute("DELETE FROM trials WHERE cell != (SELECT id FROM cells WHERE place = 0) OR trial = 2")
    main(["results", store, "--to_wandb", "somebody/other"])
    assert f"lie in {tmp_path / 'wandb'}, 3 settings without trials left out; to send" in capsys.readouterr().out
    (second,) = set((tmp_path / "wandb").glob("offline-run-*")) - {first}
    partial = whole_run(second)
    assert (partial["entity"], partial["project"], partial["run_id"]) == ("somebody", "other", run["run_id"])
    assert partial["summary"]["trials"] == 2
    assert partial["summary"]["planned_trials"] == 3


def test_what_cannot_be_sent_is_refused_before_anything_is_printed(
    store: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "--to_wandb=a/b/c: must be PROJECT or ENTITY/PROJECT" in complaint(
        ["results", store, "--to_wandb=a/b/c"], capsys
    )
    with monkeypatch.context() as without:
        without.setitem(sys.modules, "wandb", None)
        assert "wandb is not installed; pip install wandb" in complaint(["results", store, "--to_wandb"], capsys)
    environment = {"WANDB_MODE": "online", "HOME": str(tmp_path), "NETRC": str(tmp_path / "none")}
    for mode, reason in (
        ("online", "W&B: not logged in; run `wandb login`, or set WANDB_MODE=offline"),
        ("disabled", "WANDB_MODE=disabled sends nothing"),
    ):
        told = tmp_path / f"{mode}.txt"
        process = begin(["results", store, "--to_wandb"], told, environment={**environment, "WANDB_MODE": mode})
        process.join()
        assert process.exitcode == 2, told.read_text()
        (line,) = told.read_text().splitlines()
        assert line.startswith(f"parity-lightning results: error: --to_wandb=parity-lightning: {reason}")
