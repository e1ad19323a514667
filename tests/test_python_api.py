"""Trials from Python: the rows of the command, no files unless asked, and what is wrong raised as one line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow
import pytest
from conftest import CONFIGS, without_pictures

import parity_lightning
from parity_lightning import Study
from parity_lightning.cli import main
from parity_lightning.errors import SettingError, UsageError

OPTIONS = {"data.k": 2, "model.width": 20, "trainer.val_check_interval": 10, "trainer.accelerator": "cpu"}
QUICK: dict[str, Any] = {"progress": False, "workers": 1, "compiled": False}
CONFIG = CONFIGS / "online.yaml"


def test_the_rows_are_those_of_the_command_and_no_file_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    vary = {"data.n": np.array([8, 10]), "model.optimizer.lr": [0.1]}
    table = parity_lightning.run_trials(CONFIG, trials=2, vary=vary, options=OPTIONS, **QUICK)
    assert not list(tmp_path.iterdir())
    assert capsys.readouterr() == ("", "")
    options = [f"--{name}={value}" for name, value in OPTIONS.items()]
    varied = ["--vary=data.n=[8,10]", "--vary=model.optimizer.lr=[0.1]"]
    command = ["trials", f"--config={CONFIG}", "--trials=2", "--compile_after=null", "--output=t.parquet"]
    with without_pictures():
        main([*command, *options, *varied])
    assert table.arrow.to_pylist() == pyarrow.parquet.read_table("t.parquet").to_pylist()


@pytest.mark.slow
def test_a_study_on_ray_has_the_same_rows() -> None:
    pytest.importorskip("ray")
    study = Study(CONFIG, {"data.n": [8, 10]}, trials=2, options=OPTIONS)
    assert study.run("ray", **QUICK).arrow.to_pylist() == study.run(**QUICK).arrow.to_pylist()


def test_a_study_keeps_its_rows_in_a_store_and_shows_its_settings(tmp_path: Path) -> None:
    store = tmp_path / "s.sqlite"
    study = Study(CONFIG, {"data.n": [8, 10]}, trials=2, options=OPTIONS)
    table = study.run(store=store, **QUICK)
    assert len(study) == len(table) == 4
    more = Study(CONFIG, {"data.n": [8, 10, 12]}, trials=2, options=OPTIONS).run(store=store, **QUICK)
    assert more.arrow.to_pylist()[:4] == table.arrow.to_pylist()
    head, names, *lines = repr(more).splitlines()
    assert head == "6 trials of 3 settings"
    assert names.split()[:2] == ["n", "solved"]
    assert [line.split()[:2] for line in lines] == [["8", "2/2"], ["10", "2/2"], ["12", "2/2"]]
    assert "<pre>" in more._repr_html_()
    assert more.columns[0] == "trial"
    # What polars, DuckDB and pandas take.
    assert pyarrow.table(more).num_rows == 6
    assert more.__dataframe__().num_rows() == 6


def test_pandas_opens_the_table() -> None:
    pytest.importorskip("pandas")
    frame = parity_lightning.run_trials(CONFIG, 2, options={**OPTIONS, "data.n": 8}, **QUICK).to_pandas()
    assert frame.convergence_time.max() > 0


def test_what_is_wrong_is_raised_as_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def told(*args: Any, **options: Any) -> str:
        with pytest.raises((UsageError, SettingError)) as raised:
            parity_lightning.run_trials(CONFIG, *args, **{**QUICK, **options})
        assert capsys.readouterr() == ("", "")
        return str(raised.value)

    assert told(2, {"data.k": [2, 51]}) == "--data.k=51: must be at most n=50"
    assert told(2, {"lr": [2]}) == "--lr: no such option; did you mean --model.optimizer.lr?"
    assert told(0) == "trials=0: must be at least 1"
    with pytest.raises(SettingError, match="decided_at=5: must be at most 3"):
        Study(CONFIGS / "online.yaml", trials=3, decided_at=5)
    assert told(2, {"data.k": "3"}) == "vary={'data.k': '3'}: give a list of values for each option"
    assert told(2, {"seed_everything": [1]}).endswith("vary data.seed")
    with pytest.raises(SettingError, match="executor=rya: did you mean ray\\? Valid: embedded, ray, slurm"):
        Study(CONFIG).run("rya")  # type: ignore[arg-type]
