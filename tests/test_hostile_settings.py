"""Settings at and beyond the edge of the sensible do what the documentation says."""

from __future__ import annotations

import csv
import math
from collections.abc import Callable
from typing import NamedTuple

import pytest
from conftest import CONFIGS, Run

from parity_lightning.cli import main


class Expected(NamedTuple):
    """What a run with hostile settings comes to."""

    stop_reason: str
    steps: int | None
    options: tuple[str, ...]


CASES = {
    "B=1": Expected("max_steps", 120, ("--data.batch_size=1", "--trainer.max_steps=120")),
    "B=65,536": Expected("max_steps", 2, ("--data.batch_size=65536", "--trainer.max_steps=2")),
    "n=1,000": Expected("max_steps", 60, ("--data.n=1000", "--trainer.max_steps=60")),
    "k=n": Expected("max_steps", 60, ("--data.k=20", "--trainer.max_steps=60")),
    "k=1": Expected("solved", None, ("--data.k=1",)),
    "n=1": Expected("solved", 50, ("--data.n=1", "--data.k=1")),
    "m=1": Expected("max_steps", 60, ("--data.num_samples=1", "--trainer.max_steps=60")),
    "m < B": Expected("max_steps", 60, ("--data.num_samples=7", "--trainer.max_steps=60")),
    "width 1": Expected("max_steps", 60, ("--model.width=1", "--trainer.max_steps=60")),
    "width 10^5": Expected("max_steps", 2, ("--model.width=100000", "--trainer.max_steps=2")),
    "label noise 0.49": Expected("max_steps", 300, ("--data.label_noise=0.49", "--trainer.max_steps=300")),
    "float64": Expected("solved", None, ("--trainer.precision=64",)),
    "bfloat16, mixed": Expected("solved", None, ("--trainer.precision=bf16-mixed",)),
    "bfloat16, all of it": Expected("solved", None, ("--trainer.precision=bf16-true",)),
    "no step": Expected("max_steps", 0, ("--trainer.max_steps=0",)),
    "one step": Expected("max_steps", 1, ("--trainer.max_steps=1",)),
    "evaluated at every step": Expected("solved", None, ("--trainer.val_check_interval=1",)),
}


@pytest.mark.parametrize("name", CASES)
def test_hostile_settings(name: str, fit: Callable[..., Run]) -> None:
    expected = CASES[name]
    run = fit(*expected.options)
    assert run.summary["stop_reason"] == expected.stop_reason
    if expected.steps is not None:
        assert run.summary["steps"] == expected.steps
    if expected.stop_reason == "solved":
        assert run.summary["convergence_time"] == run.summary["steps"] > 0
    rows = []
    if (run.folder / "metrics.csv").exists():
        with (run.folder / "metrics.csv").open() as file:
            rows = list(csv.DictReader(file))
    every = 1 if "interval=1" in expected.options[0] else 50
    steps = run.summary["steps"]
    # Every evaluation has its row, the last step's among them.
    assert [int(row["step"]) for row in rows] == sorted({*range(every, steps + 1, every), *([steps] if steps else [])})
    assert all(math.isfinite(float(value)) for row in rows for value in row.values())


def test_an_interval_at_which_validation_would_never_run_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(
            [
                "fit",
                f"--config={CONFIGS / 'online.yaml'}",
                "--trainer.max_steps=600",
                "--trainer.val_check_interval=700",
            ]
        )
    assert ended.value.code == 2
    assert (
        "--trainer.val_check_interval=700: validation would never run; use at most max_steps=600"
        in capsys.readouterr().err
    )
