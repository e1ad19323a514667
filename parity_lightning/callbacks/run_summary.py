"""What came out of a run, as a table and as ``summary.json``."""

from __future__ import annotations

import json
import math
import os
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.loggers import WandbLogger

import parity_lightning
from parity_lightning.callbacks.requirements import data_settings, is_evaluation, summaries_of
from parity_lightning.callbacks.run_files import RunFiles
from parity_lightning.display.summary_table import table
from parity_lightning.engine.trial import computed_by
from parity_lightning.run_dir.atomic_write import atomic_write
from parity_lightning.terminal.output import show

Summary = dict[str, Any]

_MEASURED = ("accuracy", "examples", "errors")


class RunSummary(RunFiles):
    """Prints a closing table and writes ``summary.json`` into the run's folder, also when the run is interrupted.

    It collects the ``summary()`` of every callback that has this method, a dict of JSON values, and the ``settings()``
    of the datamodule; what is in none of them is null.

    It works with any module and any datamodule.
    """

    file_name = "summary.json"

    def forget(self) -> None:
        """Forgets an earlier run."""
        super().forget()
        self.summary_of_run: Summary | None = None
        self._measured: dict[str, float] = {}
        self._elapsed_before = 0.0
        self._started: float | None = None

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Starts the clock."""
        self._started = time.perf_counter()

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Keeps what the evaluation found."""
        if is_evaluation(trainer):
            found = trainer.callback_metrics
            self._measured = {name: float(found[f"val/{name}"]) for name in _MEASURED if f"val/{name}" in found}

    @property
    def _elapsed(self) -> float:
        return self._elapsed_before + (time.perf_counter() - self._started if self._started is not None else 0.0)

    def finish(self, trainer: Trainer, pl_module: LightningModule, path: Path | None, interrupted: bool) -> None:
        """Writes the summary and prints it."""
        self.summary_of_run = summary = self._summarize(trainer, pl_module, interrupted)
        if path is not None:
            with atomic_write(path) as new:
                new.write_text(json.dumps(summary, indent=2) + "\n")
        for logger in trainer.loggers:
            if isinstance(logger, WandbLogger):
                # That the service is out of reach was reported before, and the file has everything.
                with suppress(Exception):
                    logger.experiment.summary.update(_for_sweep(summary, logger.experiment.sweep_id))
        show(table(summary))

    def _summarize(self, trainer: Trainer, pl_module: LightningModule, interrupted: bool) -> Summary:
        elapsed, steps, by = self._elapsed, trainer.global_step, getattr(pl_module, "compiled_by", None)
        kind = type(pl_module)
        accuracy, examples, errors = map(self._measured.get, _MEASURED)
        summary: Summary = {
            "solved": None if errors is None else bool(errors == 0),
            "convergence_time": None,
            "onset": None,
            "plateau_share": None,
            "steps": steps,
            "val_accuracy": accuracy,
            "val_examples": None if examples is None else int(examples),
            "hidden_progress": None,
            **dict.fromkeys(("support", "n", "k")),
            "architecture": f"{kind.__module__}.{kind.__qualname__}",
            **dict.fromkeys(("regime", "num_samples", "batch_size", "label_noise")),
            "seed": int(seed) if (seed := os.environ.get("PL_GLOBAL_SEED")) else None,
            "stop_reason": None,
            "elapsed_seconds": round(elapsed, 3),
            "compiled": getattr(pl_module, "compiled", None),
            "device": trainer.strategy.root_device.type,
            "computed": computed_by(f"fit, {by}" if by else "fit", trainer.strategy.root_device),
            "threads": torch.get_num_threads(),
            "precision": trainer.precision,
            "steps_per_second": round(steps / elapsed, 1) if elapsed else None,
            "version": parity_lightning.__version__,
        }
        summary |= data_settings(trainer) | summaries_of(trainer)
        if summary["stop_reason"] is None:
            summary["stop_reason"] = _stop_reason(trainer, summary, interrupted)
        return {name: _as_json(value) for name, value in summary.items()}

    def state_dict(self) -> dict[str, Any]:
        """The time spent so far, and what the last evaluation found."""
        return {"elapsed": self._elapsed, "measured": self._measured}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Adds to the time of the run that goes on."""
        self._elapsed_before = state_dict["elapsed"]
        self._measured = state_dict["measured"]


def _for_sweep(summary: Summary, sweep: str | None) -> Summary:
    """The summary as W&B gets it: in a sweep a run that is not solved counts as solved at its last step.

    W&B has nothing to compare a run by that lacks the sweep's metric. ``solved`` tells the two apart.
    """
    if sweep is None or summary["solved"] or summary["stop_reason"] == "interrupted":
        return summary
    return {**summary, "convergence_time": summary["steps"]}


def _stop_reason(trainer: Trainer, summary: Summary, interrupted: bool) -> str:
    if interrupted:
        return "interrupted"
    solved_at_the_end = summary["solved"] and summary["convergence_time"] in (None, trainer.global_step)
    if trainer.global_step >= trainer.max_steps >= 0 and not solved_at_the_end:
        return "max_steps"
    # Anything else that ended it, a time limit for example, counts as an interruption.
    return "solved" if summary["solved"] else "interrupted"


def _as_json(value: Any) -> Any:
    """JSON has no NaN and no infinity."""
    return None if isinstance(value, float) and not math.isfinite(value) else value
