"""``parity-lightning trials``: what it prints and writes, how it goes on, and what it refuses."""

from __future__ import annotations

import json
import os
import re
import signal
import sqlite3
import time
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pyarrow.parquet as parquet
import pytest
from conftest import CONFIGS, ROOT, Run, without_pictures
from filelock import FileLock
from processes import begin, fresh, quiet_main, run

from parity_lightning.cli import main
from parity_lightning.engine.trial import TrialResult
from parity_lightning.studies import coordinator
from parity_lightning.studies.store import Store

QUICK = [
    f"--config={CONFIGS / 'online.yaml'}",
    *("--data.n=10", "--data.k=2", "--model.width=20", "--trainer.val_check_interval=10", "--trainer.accelerator=cpu"),
    "--compile_after=null",
]
# What fit understands of it.
OF_FIT = QUICK[1:-1]


@pytest.fixture
def trials(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[list[dict[str, Any]], str]]:
    """Runs the command into one file; returns its rows and what was printed. It draws only if it is told to."""

    def run(*options: str, picture: bool = False) -> tuple[list[dict[str, Any]], str]:
        with nullcontext() if picture else without_pictures():
            main(["trials", *QUICK, f"--output={tmp_path / 't.parquet'}", *options])
        rows: list[dict[str, Any]] = parquet.read_table(tmp_path / "t.parquet").to_pylist()
        return rows, capsys.readouterr().out

    return run


def test_rows_a_table_and_a_picture(trials: Callable[..., Any], tmp_path: Path, fit: Callable[..., Run]) -> None:
    rows, out = trials("--trials=6", "--seed_everything=3", picture=True)
    assert [(row["trial"], row["seed"], row["data_seed"]) for row in rows] == [(j, 3 + j, 3 + j) for j in range(6)]
    alone = fit(*OF_FIT, "--seed_everything=5", "--data.seed=null").summary
    for name in ("support", "solved", "convergence_time", "onset", "steps", "stop_reason", "n", "k", "batch_size"):
        assert rows[2][name] == alone[name]
    assert rows[2]["hidden_progress"] == pytest.approx(alone["hidden_progress"], rel=1e-3)
    assert rows[0]["architecture"] == alone["architecture"]
    assert "6 trials" in out
    assert "median" in out
    assert all(len(line) <= 100 for line in out.splitlines())
    assert out.splitlines()[-1].endswith("t.parquet")
    assert out.splitlines()[-1].startswith("trials: ")
    assert (tmp_path / "t.png").read_bytes().startswith(b"\x89PNG")
    assert {path.name for path in tmp_path.glob("t.*")} == {"t.parquet", "t.png"}


def test_the_same_command_again_reads_what_is_there(trials: Callable[..., Any], tmp_path: Path) -> None:
    rows, out = trials("--trials=3")
    written = (tmp_path / "t.parquet").stat().st_mtime_ns
    again, told = trials("--trials=3")
    assert again == rows
    assert (tmp_path / "t.parquet").stat().st_mtime_ns == written
    assert "holds these trials already" in told
    assert out.splitlines()[1] in told


def test_more_trials_extend_a_file_and_other_settings_are_named(
    trials: Callable[..., Any], capsys: pytest.CaptureFixture[str]
) -> None:
    rows, _ = trials("--trials=2", "--vary=data.n=[8,10]")
    more, out = trials("--trials=3", "--vary=data.n=[8,10,12]")
    assert [(row["n"], row["trial"]) for row in more] == [(n, trial) for n in (8, 10, 12) for trial in range(3)]
    assert [row for row in more if row["trial"] < 2 and row["n"] < 12] == rows
    assert "MLP on (n, 2)-parities, n from 8 to 12, online, B=32" in out
    assert re.search(r"^t_c ~ n\^[\d.]+ \(95 % interval [\d.-]+ to [\d.]+\), fitted to 3 medians$", out, re.MULTILINE)
    with pytest.raises(SystemExit):
        trials("--trials=3", "--vary=data.n=[8]", "--model.optimizer.lr=0.2", "--model.loss=square")
    told = capsys.readouterr().err
    assert "holds other trials: model.loss is hinge there and square here; model.optimizer.lr is 0.1 there" in told


def test_rows_have_every_setting_that_decides_a_trial(trials: Callable[..., Any]) -> None:
    (row,), _ = trials("--trials=1", "--model.optimizer=SGDW", "--model.optimizer.decay=0.001")
    settings = {"width": 20, "activation": "relu", "loss": "hinge", "initialization": "uniform", "lr": 0.1}
    settings |= {"optimizer": "parity_lightning.SGDW", "decay": 0.001, "momentum": 0.0, "max_steps": 100_000}
    assert settings.items() <= row.items()


def test_unsolved_trials_are_rows_without_a_date(trials: Callable[..., Any]) -> None:
    rows, out = trials("--trials=4", "--data.k=5", "--trainer.max_steps=25")
    assert [row["convergence_time"] for row in rows] == [None] * 4
    assert {row["stop_reason"] for row in rows} == {"max_steps"}
    assert {row["steps"] for row in rows} == {25}
    assert "0.0 %" in out
    assert "unsolved" in out


def test_diverged_trials_stop_and_do_not_disturb_others(trials: Callable[..., Any]) -> None:
    options = [
        "--model.activation=power",
        "--data.k=3",
        "--trainer.max_steps=60",
        "--vary=model.optimizer.lr=[1e20,0.1]",
    ]
    rows, _ = trials("--trials=2", *options)
    assert [row["stop_reason"] == "diverged" for row in rows] == [True, True, False, False]
    assert all(row["convergence_time"] is None for row in rows[:2])


def test_axes_are_combined_and_each_trial_is_that_of_its_setting(trials: Callable[..., Any]) -> None:
    rates, widths = "--vary=model.optimizer.lr=[0.05,0.3]", "--vary=model.width=[5,30]"
    rows, out = trials("--trials=2", rates, widths, "--trainer.max_steps=400")
    told = [(row["lr"], row["width"], row["trial"]) for row in rows]
    assert told == [(rate, width, trial) for rate in (0.05, 0.3) for width in (5, 30) for trial in (0, 1)]
    assert out.count("100.0 %") + out.count("50.0 %") + out.count("0.0 %") >= 4


@pytest.mark.parametrize(
    "axes",
    [
        {
            "model.optimizer.lr": [0.05, 0.2],
            "model.initialization": ["gaussian", "uniform"],
            "data.label_noise": [0.0, 0.2],
        },
        {"data.support": [[0, 1], [3, 7]], "data.seed": [8, 9]},
        # Each value is a stack of its own.
        {"data.batch_size": [32, 16]},
    ],
    ids=lambda axes: ", ".join(axes),
)
def test_each_varied_setting_gives_what_it_gives_alone(axes: dict[str, list[Any]], tmp_path: Path) -> None:
    def rows_of(name: str, *options: str) -> list[dict[str, Any]]:
        path = tmp_path / f"{name}.parquet"
        with without_pictures():
            main(["trials", *QUICK, "--trials=2", "--trainer.max_steps=150", f"--output={path}", *options])
        rows: list[dict[str, Any]] = parquet.read_table(path).to_pylist()
        names = ("support", "data_seed", "seed", "convergence_time", "steps", "val_accuracy")
        return [{name: row[name] for name in names} for row in rows]

    together = rows_of("together", *(f"--vary={option}={json.dumps(values)}" for option, values in axes.items()))
    assert len(together) == 2 * 2 ** len(axes)
    last = {option: values[-1] for option, values in axes.items()}
    options = (f"--{option}={value if isinstance(value, str) else json.dumps(value)}" for option, value in last.items())
    alone = rows_of("alone", *options)
    assert together[-2:] == alone
    assert together[:2] != alone


def test_seeds_of_the_data_alone_keep_the_first_weights(trials: Callable[..., Any]) -> None:
    rows, _ = trials("--trials=1", "--vary=data.seed=10..13")
    assert [row["data_seed"] for row in rows] == [10, 11, 12, 13]
    assert {row["seed"] for row in rows} == {0}


def test_trials_that_cannot_be_stacked_run_one_by_one(trials: Callable[..., Any], fit: Callable[..., Run]) -> None:
    options = ["--model.optimizer=RMSprop", "--model.optimizer.lr=0.003", "--trainer.max_steps=300"]
    rows, _ = trials("--trials=2", *options)
    alone = fit(*OF_FIT, *options, "--seed_everything=1", "--data.seed=null").summary
    for name in ("support", "convergence_time", "onset", "steps", "hidden_progress", "stop_reason"):
        assert rows[1][name] == alone[name]


def test_trials_that_run_one_by_one_can_be_interrupted_and_gone_on_with(tmp_path: Path) -> None:
    # One unit does not express a parity.
    options = ["--model.optimizer=RMSprop", "--model.width=1", "--trainer.max_steps=100000000"]
    where = f"--output={tmp_path / 't.parquet'}"
    process = begin(["trials", *QUICK, *options, "--trials=2", "--workers=1", where], tmp_path / "told.txt")
    deadline = time.monotonic() + 120
    # The store is there, so trials have begun.
    while not (tmp_path / "t.parquet.journal").exists():
        assert time.monotonic() < deadline
        assert process.is_alive(), (tmp_path / "told.txt").read_text()
        time.sleep(0.05)
    time.sleep(1)
    os.kill(process.pid, signal.SIGINT)
    process.join(60)
    told = (tmp_path / "told.txt").read_text()
    assert process.exitcode == 130, told
    assert "interrupted; the same command goes on from here" in told
    assert "failed" not in told
    assert "ckpt_path" not in told


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ([], "--trials: missing"),
        (["--trials=0"], "--trials=0: must be a whole number above 0"),
        (["--trials=many"], "--trials=many: must be a whole number above 0"),
        (["--trials=2", "--output=t.csv"], "--output=t.csv: must end with .parquet"),
        (["--trials=2", "--vary=data.n"], "--vary=data.n: give OPTION="),
        (["--trials=2", "--vary=data.m=[1]"], "--data.m: no such option"),
        (["--trials=2", "--data.k=0"], "--data.k=0: must be at least 1"),
        (["--trials=2", "--vary=data.k=[2,11]"], "--data.k=11: must be at most n=10"),
        (["--trials=2", "--ckpt_path=a.ckpt"], "--ckpt_path"),
        (["--trials=2", "--vary=seed_everything=[0,100]"], "seed_everything: is every trial's own"),
        (["--trials=2", "--vary=data.seed=[1,abc]"], "data.seed=abc: must be a whole number"),
        (["--trials=2", "--vary=data.seed=[1,-1]"], "data.seed=-1: must be at least 0"),
        (["--trials=2", "--vary=data.seed=0..2000000000"], "2,000,000,001 values are more than 1,000,000"),
        (["--trials=2", "--vary=data.k=[2,2]"], "has a value twice"),
        (["--trials=2", "--vary=data.k=[2020-01-01]"], "--data.k"),
        (["--trials=2", "--vary=model.optimizer.lr=[1,abc]"], "lr"),
        (["--trials=2", "--vary=data.n=[10,8]", "--vary=data.support=[[0,1],[0,9]]"], "--data.support"),
        (["--trials=4", "--seed_everything=4294967294"], "--trials=4: their seeds, from 4294967294 on"),
        (["--trials=2", "--workers=0"], "--workers=0: must be a whole number above 0"),
    ],
)
def test_a_mistake_is_told_in_one_line_and_leaves_nothing(
    options: list[str], told: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as ended:
        main(["trials", *QUICK, *options])
    assert ended.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("parity-lightning trials: error: ")
    assert told in line
    assert not list(tmp_path.iterdir())


def test_values_of_several_kinds_are_kept_as_texts(trials: Callable[..., Any]) -> None:
    rows, _ = trials("--trials=2", "--vary=trainer.precision=[32,64-true]")
    assert [row["precision"] for row in rows] == ["32", "32", "64-true", "64-true"]


def test_a_record_under_way_is_nobody_elses(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    output = f"--output={tmp_path / 't.parquet'}"
    with FileLock(tmp_path / "t.parquet.journal.lock"), pytest.raises(SystemExit) as ended:
        main(["trials", *QUICK, "--trials=2", output])
    assert ended.value.code == 2
    assert "is being written by another process" in capsys.readouterr().err


def test_another_network_of_the_same_name_is_another_record(
    trials: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    source = (ROOT / "examples" / "my_network.py").read_text()
    (tmp_path / "changing.py").write_text(source)
    trials("--trials=2", "--model=changing.MyNetwork", "--allow_code_from=changing")
    (tmp_path / "changing.py").write_text(source.replace("nn.GELU()", "nn.Identity()"))
    with pytest.raises(SystemExit):
        trials("--trials=2", "--model=changing.MyNetwork", "--allow_code_from=changing")
    assert re.search(r"holds other trials: code is \w{64} there and \w{64} here", capsys.readouterr().err)


def killed_at_once(arguments: Sequence[str], told: Path) -> None:
    """Runs the command line, whose process is killed as soon as it has written rows."""
    add = Store.add

    def add_and_end(self: Store, results: Sequence[TrialResult]) -> None:
        add(self, results)
        if results:
            os.kill(os.getpid(), signal.SIGKILL)

    Store.add = add_and_end  # type: ignore[method-assign]
    # Rows are written as soon as they are there, not once a second.
    coordinator.COMMIT_EVERY = 0.0
    quiet_main(arguments, told)


def test_killed_it_goes_on_with_the_same_command(tmp_path: Path) -> None:
    output, told = tmp_path / "t.parquet", tmp_path / "told.txt"
    options = [*QUICK, "--data.k=3", "--trainer.max_steps=300", "--trials=8", "--stack_size=2", "--workers=1"]
    command = ["trials", *options, f"--output={output}"]
    kept: set[int] = set()
    for _ in range(2):
        process = fresh(killed_at_once, command, told)
        process.join()
        assert process.exitcode == -signal.SIGKILL, told.read_text()
        assert kept < numbers(Path(f"{output}.journal"))
        kept = numbers(Path(f"{output}.journal"))
    assert len(kept) < 8
    assert run(command, told)
    whole = tmp_path / "whole.parquet"
    assert run(["trials", *options, f"--output={whole}"], told)
    assert parquet.read_table(output).equals(parquet.read_table(whole))


def numbers(journal: Path) -> set[int]:
    """The trials that have a row in a journal."""
    try:
        with sqlite3.connect(f"file:{journal}?mode=ro", uri=True) as database:
            return {number for (number,) in database.execute("SELECT trial FROM trials")}
    except sqlite3.OperationalError:
        return set()
