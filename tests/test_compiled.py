"""Compiled steps, and those in C++, do what eager ones do, in a stack of any size and in fit."""

from __future__ import annotations

import csv
import sqlite3
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pyarrow.parquet as parquet
import pytest
import torch
from compiled_stacks import DOUBLE, compare_compiled_with_eager
from conftest import Run
from test_trials_stack import CASES, Case

from parity_lightning.cli import main
from parity_lightning.cli.trial_config import TrialConfigCLI
from parity_lightning.engine.compiled import (
    NotCompiled,
    _distinct_trial_count,
    _exported,
    compile_stacked,
)
from parity_lightning.engine.library_cache import cache_folder
from parity_lightning.engine.native.library import load_library
from parity_lightning.engine.runner import StackRunner
from parity_lightning.engine.trial import TrialSpec
from parity_lightning.modules import MLP
from parity_lightning.studies.trials_file import TrialsFile

_ROOT = Path(__file__).parents[1] / "configs"
CONFIGS = sorted([*_ROOT.glob("*.yaml"), *_ROOT.glob("architectures/*.yaml")])


@pytest.fixture
def libraries(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of compiled functions that is empty, and this test's own."""
    folder = tmp_path / "libraries"
    folder.mkdir(mode=0o700)
    monkeypatch.setenv("PARITY_LIGHTNING_CACHE", str(folder))
    return folder


# One network for all tests of compiled steps in float32, those of test_resume.py among them: it is compiled once.
ADAM = ("--data.n=16", "--data.k=4", "--model.width=30", "--model.optimizer=Adam", "--model.optimizer.lr=0.001")


@pytest.mark.compiles
@pytest.mark.parametrize(
    "name",
    [
        # One without a closed form that is smaller is compiled in test_library_cache.py.
        *(pytest.param(name, marks=pytest.mark.slow) for name in ("disjoint PolyNet", "Transformer")),
        # The steps of these are taken in C++.
        *("decay and momentum", "Adam"),
    ],
)
def test_a_compiled_stack_of_any_size_does_what_an_eager_one_does(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    case = CASES[name]
    case = case._replace(options=(*case.options, *DOUBLE))
    for trials in (1, 2, 5):
        compare_compiled_with_eager(case, trials)
        # A step and an evaluation are compiled at most once, whatever the number of trials.
        assert capsys.readouterr().err.count("compiling for this network") <= (2 if trials == 1 else 0)


@pytest.mark.slow
@pytest.mark.parametrize("config", CONFIGS, ids=lambda path: path.stem)
def test_every_shipped_step_can_be_compiled_for_any_number_of_trials(config: Path) -> None:
    smaller = ["--model.d_emb=64"] if config.stem == "star-iii" else []
    setting = TrialConfigCLI([f"--config={config}", "--trainer.accelerator=cpu", *smaller]).setting()
    runner = StackRunner([setting], 2, compiled=False)
    with torch.no_grad():
        for seed in range(2):
            runner.add(TrialSpec(seed, 0, seed))
        stack = runner.stack
        x, y = setting.parity.draw(torch.arange(2 * setting.batch_size).reshape(2, -1))
        example = [x, y, *stack.tensors[4:]]
        number = _distinct_trial_count(example)
        _exported(stack._traced.update, [torch.cat([tensor[:1]] * number) for tensor in example], shared=0)


@pytest.mark.compiles
def test_fit_goes_on_compiled_and_resumes_bit_for_bit(fit: Callable[..., Run], tmp_path: Path) -> None:
    options = [*ADAM, "--trainer.val_check_interval=20"]
    options += ["--model.lr_scheduler=StepLR", "--model.lr_scheduler.step_size=50", "--model.lr_scheduler.gamma=0.9"]
    options += ["--data.num_samples=500"]
    eager = fit(*options, "--model.compile_after=null", "--trainer.max_steps=200")
    whole = fit(*options, "--model.compile_after=50", "--trainer.max_steps=200")
    assert "without compiled steps" not in whole.out + whole.err
    for row, other in zip(rows(eager), rows(whole), strict=True):
        for name in other:
            assert float(other[name]) == pytest.approx(float(row[name]), rel=1e-3, abs=1e-4)
    # Nothing but rounding may differ, and it does: these steps are compiled.
    assert rows(whole)[:2] == [{name: row[name] for name in rows(whole)[0]} for row in rows(eager)[:2]]
    half = fit(*options, "--model.compile_after=50", "--trainer.max_steps=120")
    saved = f"--ckpt_path={half.folder / 'checkpoints' / 'last.ckpt'}"
    resumed = fit(*options, "--model.compile_after=50", "--trainer.max_steps=200", saved)
    assert rows(half) + rows(resumed) == rows(whole)
    ends = [torch.load(run.folder / "checkpoints" / "last.ckpt", weights_only=True) for run in (whole, resumed)]
    for name, weight in ends[0]["state_dict"].items():
        assert torch.equal(weight, ends[1]["state_dict"][name])


def rows(run: Run) -> list[dict[str, str]]:
    with (run.folder / "metrics.csv").open() as file:
        return list(csv.DictReader(file))


@pytest.mark.compiles
def test_a_compiled_trial_is_a_compiled_fit_bit_for_bit(fit: Callable[..., Run]) -> None:
    case = Case("online", (*ADAM, "--trainer.val_check_interval=50"))
    settings = [TrialConfigCLI(case.arguments).setting()]
    specs = [TrialSpec(seed, 0, seed) for seed in range(3)]
    runner = StackRunner(settings, 2, compiled=True)
    results = sorted(result for some in runner.run(specs) for result in some)
    assert runner.note is None
    for result in results:
        options = [*case.arguments[1:], f"--seed_everything={result.number}", "--data.seed=null"]
        alone = fit(*options).summary
        assert alone["computed"] == f"fit, {result.computed}"
        for name in ("convergence_time", "onset", "steps", "stop_reason", "val_accuracy", "hidden_progress"):
            assert getattr(result, name) == alone[name]


@pytest.mark.slow
@pytest.mark.compiles
@pytest.mark.parametrize("begun", ["C++", "eager"])
def test_a_record_goes_on_in_the_way_it_was_begun_or_not_at_all(
    begun: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    case = Case("online", ("--model.width=20", "--data.k=3", "--trainer.val_check_interval=50"))
    path = tmp_path / "t.parquet"
    arguments = ["trials", *case.arguments, "--trials=4", "--workers=1", f"--output={path}"]

    def run(has_compiler: bool) -> list[dict[str, Any]]:
        load_library.cache_clear()
        with monkeypatch.context() as changed:
            if not has_compiler:
                changed.setenv("CXX", "no-such-compiler")
                changed.setenv("PATH", "")
                changed.setenv("PARITY_LIGHTNING_CACHE", str(tmp_path / "empty"))
            main(arguments)
        return parquet.read_table(path).to_pylist() if path.exists() else []

    # As if it had been killed when two of four trials were done.
    with monkeypatch.context() as changed:
        changed.setattr(TrialsFile, "finish", lambda self, store: None)
        changed.setattr("parity_lightning.cli.trials.report", lambda *_: None)
        run(has_compiler=begun == "C++")
    with sqlite3.connect(f"{path}.journal") as database:
        whole = database.execute("SELECT * FROM trials ORDER BY trial").fetchall()
        database.execute("DELETE FROM trials WHERE trial IN (1, 2)")
    database.close()
    assert all(f"'{begun}" in str(row) for row in whole)
    capsys.readouterr()
    if begun == "C++":
        with pytest.raises(SystemExit) as ended:
            run(has_compiler=False)
        assert ended.value.code == 1
        (line,) = [line for line in capsys.readouterr().err.splitlines() if "round differently" in line]
        assert "(C++ " in line
        assert "here (eager, torch" in line
        assert not Path(f"{path}.journal.lock").exists()
    rows = run(has_compiler=True)
    assert [row["hidden_progress"] for row in rows] == [row[8] for row in whole]
    assert all(row["computed"].startswith(begun) for row in rows)
    said = "going on without compiled steps, as the record was begun" in capsys.readouterr().err
    assert said == (begun == "eager")


@pytest.mark.parametrize(
    ("after", "said"),
    [
        ((), "training without compiled steps: "),
        (("--model.compile_after=60",), "step 60: going on without compiled steps: "),
    ],
)
def test_a_run_goes_on_without_a_compiler_and_says_so(
    after: Sequence[str], said: str, fit: Callable[..., Run], libraries: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    load_library.cache_clear()
    monkeypatch.setenv("PATH", "")
    monkeypatch.setenv("CXX", "no-such-compiler")
    # The optimizer makes its own state at its first step.
    options = [*ADAM, "--trainer.max_steps=200", "--trainer.val_check_interval=50"]
    run = fit(*options, *after)
    (line,) = [line for line in run.out.splitlines() if "without compiled steps" in line]
    assert line.startswith(said)
    assert run.summary["compiled"] is False
    assert run.summary["computed"].startswith("fit, torch")
    without = fit(*options, "--model.compile_after=null")
    assert rows(run) == rows(without)


def test_what_has_no_steps_in_cpp_is_compiled_later(
    fit: Callable[..., Run], set_pytorch_compiles_from: Callable[[int], None]
) -> None:
    set_pytorch_compiles_from(60)
    options = ["--model.optimizer=RMSprop", "--model.optimizer.lr=0.001", "--trainer.val_check_interval=35"]
    short, long = (fit(*options, f"--trainer.max_steps={steps}") for steps in (60, 100))
    assert "without compiled steps" not in short.out
    assert short.summary["compiled"] is None
    (line,) = [line for line in long.out.splitlines() if "without compiled steps" in line]
    assert line.startswith("step 60: going on without compiled steps: ")
    assert rows(long) == rows(fit(*options, "--trainer.max_steps=100", "--model.compile_after=null"))
    # What is known when training begins is told then, if the run is long enough.
    short, long = (fit("--trainer.gradient_clip_val=1", f"--trainer.max_steps={steps}") for steps in (60, 100))
    assert "without compiled steps" not in short.out
    assert "training without compiled steps: a hook of the module" in long.out


@pytest.mark.parametrize(
    ("options", "why"),
    [
        (["--model.optimizer=RMSprop", "--model.optimizer.lr=0.001"], "none of SGD"),
        (["--model=test_trials_stack.Dropping", "--allow_code_from=test_trials_stack"], "random numbers"),
        (["--model=test_trials_stack.Stepping", "--allow_code_from=test_trials_stack"], "runs between optimizer steps"),
        (["--trainer.gradient_clip_val=1"], "runs between optimizer steps"),
    ],
)
def test_what_cannot_be_compiled_is_told_in_one_line(fit: Callable[..., Run], options: list[str], why: str) -> None:
    run = fit(*options, "--model.compile_after=50", "--trainer.max_steps=100", "--trainer.val_check_interval=50")
    (line,) = [line for line in run.out.splitlines() if "without compiled steps" in line]
    assert why in line
    assert run.summary["steps"] == 100


def test_a_short_run_of_a_network_without_closed_form_is_not_compiled_and_says_nothing(
    fit: Callable[..., Run], libraries: Path
) -> None:
    before = set(libraries.iterdir())
    run = fit("--trainer.max_steps=100", "--data.n=51", "--data.one_per_block=true", "--model=DisjointPolyNet")
    assert "compiled" not in run.out + run.err
    assert set(libraries.iterdir()) == before


def test_what_cannot_be_traced_is_not_compiled() -> None:
    def function(x: torch.Tensor) -> tuple[torch.Tensor]:
        return (x if x.sum() > 0 else -x,)

    with pytest.raises(NotCompiled):
        compile_stacked(function, [torch.ones(2, 2)])


def test_the_folder_of_compiled_functions_can_be_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PARITY_LIGHTNING_CACHE", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", "/somewhere")
    assert cache_folder() == Path("/somewhere/parity-lightning")


class Attentive(MLP):
    """Has a hook of evaluations of its own, so Lightning's loop evaluates."""

    def on_validation_start(self) -> None:
        """Does nothing."""


def test_evaluations_log_the_same_in_and_past_lightnings_loop(fit: Callable[..., Run]) -> None:
    light = fit("--trainer.max_steps=300")
    heavy = fit("--trainer.max_steps=300", "--model=test_compiled.Attentive", "--allow_code_from=test_compiled")
    assert rows(light) == rows(heavy)
    told: Any = ("elapsed_seconds", "steps_per_second", "architecture")
    assert {name: value for name, value in light.summary.items() if name not in told} == {
        name: value for name, value in heavy.summary.items() if name not in told
    }
