"""What commands say: live at a terminal, in lines elsewhere, less with --quiet, as JSON with --json."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as parquet
import pytest
from conftest import CONFIGS, Run, complaint
from report_files import write_run, write_sweep

from parity_lightning.cli import main
from parity_lightning.engine.trial import TrialResult
from parity_lightning.studies.cells import Extent
from parity_lightning.studies.coordinator import _Counts
from parity_lightning.terminal import progress as progress_module
from parity_lightning.terminal.progress import Progress, ProgressLines

ONLINE = f"--config={CONFIGS / 'online.yaml'}"
ON_CPU = "--trainer.accelerator=cpu"
TRIALS = [ONLINE, ON_CPU, "--data.k=2", "--model.width=20", "--trainer.val_check_interval=10", "--compile_after=null"]
COLOUR = re.compile(r"\x1b\[(?:[\d;]*;)?(?:3[0-8]|9[0-7])[\d;]*m")
LOOK = re.compile(r"\x1b\[[\d;]*m")

at_a_terminal = pytest.mark.skipif(sys.platform == "win32", reason="has no pseudo-terminals")


def result_of(number: int, is_solved: bool) -> TrialResult:
    """The row of a trial."""
    stop = "solved" if is_solved else "max_steps"
    return TrialResult(number, (1, 2), 0, 10 if is_solved else None, None, 10, 0.5, 1.5, stop, computed="by hand")


def records(out: str) -> list[dict[str, Any]]:
    """The JSON objects on standard output, which has nothing else."""
    return [json.loads(line) for line in out.splitlines()]


# At a terminal.


@at_a_terminal
def test_fit_at_a_terminal_shows_steps_accuracy_and_hidden_progress_live(tmp_path: Path) -> None:
    from terminal import at_terminal

    # Steps in C++ would be over before there is something to see.
    slowly = ["--data.n=30", "--model.compile_after=null"]
    told = at_terminal(["fit", ONLINE, ON_CPU, *slowly, f"--trainer.default_root_dir={tmp_path}"], tmp_path)
    assert told.status == 0
    live = [screen for screen in told.screens if any(line.startswith("training") for line in screen)]
    counts = [
        int(found[1].replace(",", ""))
        for screen in live
        for line in screen
        if (found := re.search(r"([\d,]+)/100,000 steps", line))
    ]
    assert counts == sorted(counts)
    assert counts[0] == 0
    assert len(set(counts)) > 2
    # One bar, one line each, whatever was printed above it meanwhile.
    assert all(sum(line.startswith("training") for line in screen) == 1 for screen in live)
    assert any(re.fullmatch(r"  val/accuracy +0\.\d+", line) for screen in live for line in screen)
    assert any(re.fullmatch(r"  hidden_progress +[\d.]+", line) for screen in live for line in screen)
    assert any(re.search(r" [\d,.]+/s +[\d:]+ left$", line) for screen in live for line in screen)
    summary = json.loads(next(tmp_path.glob("*/summary.json")).read_text())
    time = f"{summary['convergence_time']:,}"
    assert f"  solved               yes, at step t_c = {time}" in told.lines
    assert f"step {time}: solved (onset at step {summary['onset']:,}" in " ".join(told.lines)
    # Whole, for a script or a mouse to take, wider than the terminal as it may be.
    assert f"summary: {next(tmp_path.glob('*/summary.json'))}\r\n" in LOOK.sub("", told.written)
    assert COLOUR.search(told.written)
    assert not told.screen.cursor.hidden


@at_a_terminal
def test_a_sweep_at_a_terminal_has_no_colour_if_none_is_wanted_and_its_output_may_go_elsewhere(tmp_path: Path) -> None:
    from terminal import at_terminal

    sweep = tmp_path / "s.yaml"
    sweep.write_text(
        "method: grid\n"
        f"command: [parity-lightning, trials, {ONLINE}, {', '.join(TRIALS[1:])}, --trials=4, '${{args}}']\n"
        "parameters: {data.n: {values: [8, 10, 12]}}\n"
    )
    file = tmp_path / "out.txt"
    told = at_terminal(
        ["sweep", str(sweep), "--store=s.sqlite", "--workers=1"],
        tmp_path,
        environment={"NO_COLOR": "1"},
        output=file,
    )
    assert told.status == 0, told.written
    last = told.lines
    assert any(re.search(r"^trials +━+ +12/12 trials +[\d.,]+/s +in \d+:\d\d$", line) for line in last), last
    assert "  settings done  3 of 3" in last
    assert "  solved         12 (100.0 %)" in last
    assert any(re.fullmatch(r"  n=(8|10|12) +\d done, \d solved", line) for screen in told.screens for line in screen)
    assert not COLOUR.search(told.written)
    assert "\x1b" not in told.stdout
    assert told.stdout.splitlines()[-1] == "store: s.sqlite"
    assert "12 of 12 trials of 3 settings; 12 solved" in told.stdout


@at_a_terminal
def test_an_interrupted_fit_leaves_the_terminal_and_a_record(tmp_path: Path) -> None:
    from terminal import at_terminal

    never = ["--trainer.callbacks+=StepProgressBar", "--trainer.max_steps=2000000", "--data.n=60", "--data.k=8"]
    told = at_terminal(
        ["fit", "--json", ONLINE, ON_CPU, never[1], *never[2:]], tmp_path, output=tmp_path / "o", interrupt_at="val/acc"
    )
    assert told.status == 130
    assert not told.screen.cursor.hidden
    assert any("interrupted: saving and ending" in line for line in told.lines)
    (record,) = records(told.stdout)
    assert record["summary"]["stop_reason"] == "interrupted"
    assert record["summary"] == json.loads(Path(record["files"]["summary"]).read_text())


@at_a_terminal
@pytest.mark.parametrize(("columns", "environment"), [(80, {}), (60, {}), (80, {"TERM": "dumb"})])
def test_results_fit_the_terminal_and_break_between_words(
    columns: int, environment: dict[str, str], tmp_path: Path
) -> None:
    from terminal import at_terminal

    times = np.array([[100.0, 200.0, np.inf, 300.0], [400.0, np.inf, 500.0, 600.0]])
    store = write_sweep(tmp_path / "s" / "study.sqlite", times, [10, 20])
    told = at_terminal(["results", str(store)], tmp_path, columns=columns, environment=environment)
    assert told.status == 0
    sentences = " ".join(told.lines)
    if "TERM" in environment:
        assert "\x1b" not in told.written
        return
    assert "Intervals are exact, at 95 %: of the binomial share, and of order statistics." in sentences
    # The names of columns are bold.
    assert re.search(r"\x1b\[1mn +solved +share +median t_c", told.written)


# Where there is no terminal.


def test_rich_is_not_imported_where_there_is_no_terminal(tmp_path: Path) -> None:
    store = write_sweep(tmp_path / "s" / "study.sqlite", np.full((1, 3), 50.0), [10])
    code = f"from parity_lightning.cli import main; main(['results', {str(store)!r}]); import sys; "
    code += "sys.exit('rich' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "\x1b" not in done.stdout + done.stderr


def test_progress_is_a_line_every_half_minute(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    now = 1000.0
    monkeypatch.setattr(progress_module.time, "monotonic", lambda: now)
    shown = ProgressLines("trials", "trials", 2_000)
    shown.update(500)
    for done in range(510, 1_110, 10):
        now += 1
        shown.update(done, {"solved": f"{done - 500}"})
    shown.close()
    shown.close()
    # Ten a second; what was there before has no bearing on the rate.
    assert capsys.readouterr().err.splitlines() == [
        "trials: 800/2,000 trials, 40 %, 10/s, 2:00 left, solved 300",
        "trials: 1,100/2,000 trials, 55 %, 10/s, 1:30 left, solved 600",
        "trials: 1,100/2,000 trials, 55 %, 10/s, in 1:00, solved 600",
    ]


def test_the_rate_is_that_of_the_last_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0.0
    monkeypatch.setattr(progress_module.time, "monotonic", lambda: now)

    class EverySecond(Progress):
        seconds_between = 1.0

    whole, last = EverySecond("training", "steps", None), EverySecond("training", "steps", None, window=10.0)
    done = 0
    for second in range(101):
        now = float(second)
        for each in (whole, last):
            each.update(done)
        done += 1_000 if second < 80 else 30_000
    assert whole.speed == f"{(80 * 1_000 + 20 * 30_000) / 100:,.0f}/s"
    assert last.speed == "30,000/s"


@pytest.mark.parametrize("decided_at", [None, 2])
def test_counts_are_those_of_a_recount(decided_at: int | None) -> None:
    random = np.random.default_rng(3)
    extent = Extent(5, 0, decided_at)
    times = np.where(random.random((7, 5)) < 0.3, 50.0, np.nan)
    counts = _Counts(extent, times)
    order: list[int] = []
    for number in random.permutation(np.flatnonzero(np.isnan(times.reshape(-1)))):
        is_solved = bool(random.random() < 0.5)
        place = int(number) // 5
        counts.add([result_of(int(number), is_solved)])
        times[place, number % 5] = 10.0 if is_solved else np.inf
        told = counts.progress()
        done, solved = ~np.isnan(times), np.isfinite(times)
        settled = [extent.is_decided(int(s), int(d)) for s, d in zip(solved.sum(1), done.sum(1), strict=True)]
        assert told[:5] == (done.sum(), solved.sum(), 35, sum(settled), 7)
        order = [place, *(each for each in order if each != place)]
        expected = [each for each in order if not settled[each]]
        assert [(each.place, each.done, each.solved) for each in told.running] == [
            (each, done[each].sum(), solved[each].sum()) for each in expected
        ]


# --quiet and --json.


def test_quiet_leaves_paths_and_what_is_wrong(
    fit: Callable[..., Run], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = fit("--quiet", "--trainer.max_steps=50")
    assert run.out == f"summary: {run.folder / 'summary.json'}\n"
    assert run.err == ""
    file = tmp_path / "t.parquet"
    main(["trials", *TRIALS, "--trials=3", "--data.n=8", "--workers=1", f"--output={file}", "--quiet"])
    told = capsys.readouterr()
    assert told.out == f"picture: {file.with_suffix('.png')}\ntrials: {file}\n"
    assert told.err == ""
    assert "--data.k=0: must be at least 1" in complaint(["fit", "--quiet", ONLINE, "--data.k=0"], capsys)
    # It is for this that it was called.
    main(["configs", "--quiet"])
    assert "online.yaml" in capsys.readouterr().out


def test_how_much_is_said_is_no_setting(fit: Callable[..., Run]) -> None:
    run = fit("--quiet", "--trainer.max_steps=50")
    assert "quiet" not in (run.folder / "config.yaml").read_text()


def test_a_value_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert "--json=yes: takes no value; write --json" in complaint(["fit", ONLINE, "--json=yes"], capsys)


@pytest.mark.parametrize("subcommand", ["fit", "sweep", "figure", "report", "configs"])
def test_help_has_both(subcommand: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main([subcommand, "--help"])
    told = capsys.readouterr().out
    assert "--quiet" in told
    assert "--json" in told


def test_json_of_fit_is_its_summary_and_that_of_an_evaluation_its_metrics(
    fit: Callable[..., Run], capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    run = fit("--json", "--trainer.max_steps=100", picture=True)
    (record,) = records(run.out)
    assert record["command"] == "fit"
    assert record["summary"] == run.summary
    assert {name: Path(file).name for name, file in record["files"].items()} == {
        "picture": "progress.png",
        "summary": "summary.json",
        "config": "config.yaml",
        "metrics": "metrics.csv",
    }
    assert all(Path(file).is_file() for file in record["files"].values())
    # What people read is on standard error.
    assert "validation accuracy" in run.err
    assert f"summary: {run.folder / 'summary.json'}" in run.err
    checkpoint = f"--ckpt_path={run.folder / 'checkpoints' / 'last.ckpt'}"
    main(["validate", checkpoint, ON_CPU, "--json"])
    (record,) = records(capsys.readouterr().out)
    assert record["metrics"]["val/accuracy"] == run.summary["val_accuracy"]
    main(["predict", checkpoint, ON_CPU, "--json", f"--trainer.default_root_dir={tmp_path / 'p'}"])
    (record,) = records(capsys.readouterr().out)
    assert Path(record["files"]["predictions"]).is_file()


def test_json_of_a_run_that_has_ended(
    fit: Callable[..., Run], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = fit("--trainer.max_steps=50")
    with pytest.raises(SystemExit) as ended:
        fit("--json", "--resume=auto", "--trainer.max_steps=50")
    assert ended.value.code == 0
    told = capsys.readouterr()
    assert records(told.out)[0]["summary"] == run.summary
    assert "nothing to do" in told.err


def test_json_of_trials_is_what_their_file_says(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "t.parquet"
    limit = "--trainer.max_steps=100"
    vary = "--vary=data.n=[6,8,10]"
    main(["trials", *TRIALS, limit, vary, "--trials=5", "--workers=1", f"--output={file}", "--json"])
    (record,) = records(capsys.readouterr().out)
    assert record["files"] == {"picture": str(file.with_suffix(".png")), "trials": str(file)}
    rows = parquet.read_table(file).to_pylist()
    for setting in record["settings"]:
        own = [row for row in rows if row["n"] == setting["values"]["n"]]
        solved = sorted(row["convergence_time"] for row in own if row["solved"])
        assert (setting["trials"], setting["solved"]) == (5, len(solved))
        assert setting["share"]["value"] == len(solved) / 5
        # The third of five.
        assert setting["convergence_time"]["0.5"]["value"] == (solved[2] if len(solved) > 2 else None)
    assert [setting["values"]["n"] for setting in record["settings"]] == [6, 8, 10]


def test_json_of_results_and_of_a_report(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    times = np.array([[100.0, 200.0, np.inf, 300.0], [400.0, np.inf, np.inf, np.inf]])
    store = write_sweep(tmp_path / "s" / "study.sqlite", times, [10, 20])
    main(["results", str(store), "--json"])
    (record,) = records(capsys.readouterr().out)
    assert [setting["solved"] for setting in record["settings"]] == [3, 1]
    assert [setting["convergence_time"]["0.5"]["value"] for setting in record["settings"]] == [250.0, None]
    assert record["rule"] == {"solvable": 2, "not_solvable": 0, "open": 0}
    assert record["shared"]["k"] == 3
    run, page = write_run(tmp_path / "run"), tmp_path / "r.html"
    main(["report", str(run), f"--output={page}", "--json"])
    assert records(capsys.readouterr().out) == [
        {"command": "report", "files": {"report": str(page)}, "skipped": {}},
    ]


def test_json_of_theory_is_its_verdict(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["theory", "fourier", "--n=13,21", "--k=2", f"--runs={tmp_path}", "--json"])
    told = capsys.readouterr()
    (record,) = records(told.out)
    verdict = json.loads(Path(record["files"]["verdict.json"]).read_text())
    assert record["claims"] == verdict["claims"]
    assert record["repeat"] == verdict["command"]
    assert "paper:" in told.err


def test_json_of_what_is_listed_and_begun(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    main(["configs", "--json"])
    (record,) = records(capsys.readouterr().out)
    names = {each["name"] for each in record["configs"]}
    assert names == {str(file.relative_to(CONFIGS)) for file in CONFIGS.rglob("*.yaml")}
    main(["configs", "copy", "online", "--json"])
    assert records(capsys.readouterr().out)[0]["files"] == {"config": str(tmp_path / "online.yaml")}
    main(["new", "my_net", "--json"])
    files = records(capsys.readouterr().out)[0]["files"]
    assert set(files) == {"module", "config", "test"}
    assert all(Path(file).is_file() for file in files.values())
