"""What a report is made of, small and made without training: a run, trials, a sweep and an experiment."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import yaml
from matplotlib.figure import Figure

from parity_lightning.engine.trial import TrialResult
from parity_lightning.experiments.findings import Findings, write_findings
from parity_lightning.experiments.options import BoundedOptions
from parity_lightning.run_dir.stopwatch import Stopwatch
from parity_lightning.studies.cells import Extent, Grid
from parity_lightning.studies.claims import Claim, Estimate, Statement
from parity_lightning.studies.settings import Settings
from parity_lightning.studies.store import Store
from parity_lightning.studies.trials_file import TrialsFile

N = "data.init_args.n"
BASE = {
    "model.class_path": "parity_lightning.MLP",
    "model.init_args.width": 10,
    "data.init_args.k": 3,
    "data.init_args.num_samples": None,
    "data.init_args.batch_size": 32,
    "trainer.max_steps": 1000,
    "trainer.val_check_interval": 10,
    "version": "0.1.0",
    "code": "",
}
COMPUTED = "C++, torch 2.13.0, AVX2, 1 thread"


def results_of(times: np.ndarray) -> list[TrialResult]:
    """Rows of trials that were solved at these times; infinite where one was not."""
    return [
        TrialResult(
            *(number, (1, 2, 3), number, int(time) if (solved := bool(np.isfinite(time))) else None),
            *(None, int(time) if solved else 1000, 1.0 if solved else 0.5, 1.5, "solved" if solved else "max_steps"),
            computed=COMPUTED,
        )
        for number, time in enumerate(times.reshape(-1))
    ]


def _plan(n: list[int]) -> tuple[Grid, list[Settings]]:
    columns = {"architecture": "parity_lightning.modules.mlp.MLP", "regime": "online"}
    return Grid({"data.n": n}), [Settings(BASE, {N: each, "model.init_args.n": each}, columns) for each in n]


def write_trials(path: Path, times: np.ndarray, n: list[int]) -> Path:
    """A file of trials with these convergence times, of shape ``(settings, trials)``."""
    cells, settings = _plan(n)
    file = TrialsFile(path, cells, settings, Extent(times.shape[1]))
    store = file.store()
    store.add(results_of(times))
    file.finish(store)
    return path


def write_sweep(path: Path, times: np.ndarray, n: list[int], done: int | None = None) -> Path:
    """A store of the same, with the first of the trials only if ``done`` is given."""
    cells, settings = _plan(n)
    path.parent.mkdir(exist_ok=True)
    store = Store(path, cells, settings, Extent(times.shape[1]), varied=["n"])
    store.add(results_of(times)[:done])
    store.close()
    return path


def write_run(folder: Path, evaluations: int = 40, **summary: Any) -> Path:
    """The folder of a run of a network called MLP."""
    folder.mkdir(parents=True)
    steps = [50 * (number + 1) for number in range(evaluations)]
    names = ("relevant", "relevant_min", "irrelevant")
    rows = [
        {
            "step": step,
            "train/loss": "" if number == 0 else 1.0 / (1 + number),
            "val/loss": 1.25 / (1 + number),
            "val/accuracy": 0.5 + 0.5 * number / evaluations,
            **{f"hidden_progress/{name}": 0.01 * (place + 1) * (number + 1) for place, name in enumerate(names)},
        }
        for number, step in enumerate(steps)
    ]
    with (folder / "metrics.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    callbacks = [
        {"class_path": "parity_lightning.callbacks.HiddenProgress"},
        {"class_path": "parity_lightning.callbacks.StepCheckpoint", "init_args": {"every_n_train_steps": 5000}},
    ]
    config = {
        "seed_everything": 4,
        "model": {"class_path": "parity_lightning.MLP", "init_args": {"width": 100}},
        "data": {"class_path": "parity_lightning.ParityDataModule", "init_args": {"n": 50, "k": 3, "batch_size": 32}},
        "trainer": {"max_steps": 100_000, "callbacks": callbacks},
    }
    (folder / "config.yaml").write_text(yaml.safe_dump(config))
    known = {"solved": True, "convergence_time": 1800, "onset": 1500, "plateau_share": 0.83, "steps": 2000}
    known |= {"val_accuracy": 1.0, "val_examples": 8192, "hidden_progress": 1.2, "support": [1, 2, 3], "n": 50, "k": 3}
    known |= {"architecture": "parity_lightning.modules.mlp.MLP", "regime": "online", "batch_size": 32, "seed": 4}
    known |= {"stop_reason": "solved", "device": "cpu", "version": "0.1.0", "data_seed": 5, "computed": COMPUTED}
    (folder / "summary.json").write_text(json.dumps({**known, **summary}))
    return folder


class Row(NamedTuple):
    """A row of ``data.csv``."""

    n: int
    gap: float | None


def write_experiment(folder: Path, scale: str | None = None) -> Path:
    """The folder of an experiment with a claim of each verdict but one; with a scale, that of a figure."""
    folder.mkdir(parents=True)
    gap = Statement("gap", "the gap is at least 0.5", "Definition 1", "there is a gap", paper=0.5, digitised=True)
    claims = [
        Claim.at_least(gap, Estimate(0.75, 0.6, 0.9, n=18, censored=2), 0.5),
        Claim.at_least(Statement("low", "the gap <b>is</b> large"), Estimate(0.2), 0.5),
        Claim.at_least(Statement("open", "the gap is clear"), Estimate(0.5, 0.2, 0.9), 0.5),
    ]

    def draw(figure: Figure) -> None:
        figure.subplots().plot([1, 2])

    rows = [Row(15, 0.123456789), Row(1025, None)]
    findings = Findings(rows, claims, draw, ["our step size"])
    watch = Stopwatch()
    watch.seconds = 1.5
    if scale is None:
        write_findings(folder, "fourier", BoundedOptions(), findings, watch)
    else:
        write_findings(folder, "4-left", BoundedOptions(), findings, watch, "parity-lightning figure 4-left", scale)
    return folder
