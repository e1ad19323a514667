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
from parity_lightning.display.table import format_table
from parity_lightning.run_dir.atomic_write import atomic_write

Summary = dict[str, Any]

# Of Lightning's names, the one for single precision, which is the default.
_PRECISION = "32-true"

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
                    logger.experiment.summary.update(summary)
        print(table(summary), flush=True)

    def _summarize(self, trainer: Trainer, pl_module: LightningModule, interrupted: bool) -> Summary:
        elapsed, steps = self._elapsed, trainer.global_step
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


def table(summary: Summary) -> str:
    """Renders a summary for a terminal of 80 columns.

    Example:
        >>> print(table({"solved": False, "stop_reason": "max_steps", "steps": 100, "val_accuracy": 0.5,
        ...              "n": 50, "k": 3, "regime": "online", "batch_size": 32, "seed": 0, "data_seed": 1}))
        (50, 3)-parity, online, B=32, seed 0, data seed 1
          solved               no (max_steps after 100 steps)
          validation accuracy  50.0 %
    """
    known = {name: value for name, value in summary.items() if value is not None}
    rows: list[tuple[str, str]] = []
    why = f"({known.get('stop_reason')} after {known.get('steps', 0):,} steps)"
    if known.get("solved"):
        when = f", at step t_c = {known['convergence_time']:,}" if "convergence_time" in known else ""
        rows.append(("solved", f"yes{when}"))
        if known.get("stop_reason") != "solved":
            rows.append(("stopped", why))
    else:
        rows.append(("solved", f"no {why}"))
    if "val_accuracy" in known:
        of = f" of {known['val_examples']:,} examples" if "val_examples" in known else ""
        rows.append(("validation accuracy", f"{100 * known['val_accuracy']:.1f} %{of}"))
    if "onset" in known:
        rows.append(("onset", f"step {known['onset']:,}"))
    if "plateau_share" in known:
        rows.append(("plateau share", f"{known['plateau_share']:.2f} of the way to t_c"))
    if "hidden_progress" in known:
        parts = (f"{name} {known[key]:.3g}" for name, key in _PARTS if key in known)
        rows.append(("hidden progress", f"{known['hidden_progress']:.3g} ({', '.join(parts)})"))
    if "support" in known:
        rows.append(("support", _listed(known["support"])))
    if "recovered_support" in known:
        found = len(set(known["recovered_support"]) & set(known.get("support", [])))
        short = found < known["k"] and known.get("solved")
        note = "; solved all the same: these weights moved most, others may decide" if short else ""
        right = f"({found} of {known['k']} right{note})"
        rows.append(("recovered support", f"{_listed(known['recovered_support'])} {right}"))
    if "steps_per_second" in known:
        rows.append(("speed", f"{known['steps_per_second']:,.0f} steps/s, {known['elapsed_seconds']:.1f} s in all"))
    return f"{_title(known)}\n{format_table(rows, indent=2)}"


_PARTS = (("relevant", "hidden_progress_relevant"), ("irrelevant", "hidden_progress_irrelevant"))


def _title(known: Summary) -> str:
    parts = []
    if "n" in known and "k" in known:
        parts.append(f"({known['n']}, {known['k']})-parity")
    if "regime" in known:
        parts.append(f"{known['regime']}, m={known['num_samples']:,}" if "num_samples" in known else known["regime"])
    if "batch_size" in known:
        parts.append(f"B={known['batch_size']:,}")
    if known.get("label_noise"):
        parts.append(f"label noise {known['label_noise']}")
    if "seed" in known:
        parts.append(f"seed {known['seed']}")
    if known.get("data_seed", known.get("seed")) != known.get("seed"):
        parts.append(f"data seed {known['data_seed']}")
    if known.get("precision", _PRECISION) != _PRECISION:
        parts.append(f"precision {known['precision']}")
    return ", ".join(parts)


def _listed(indices: list[int], most: int = 10) -> str:
    shown = " ".join(map(str, indices[:most]))
    return shown if len(indices) <= most else f"{shown} and {len(indices) - most} more"
