"""The picture of a run: losses and errors above, hidden progress below (after Figure 3)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import LightningModule, Trainer

from parity_lightning.callbacks.requirements import data_settings, is_evaluation, summaries_of
from parity_lightning.callbacks.run_files import RunFiles
from parity_lightning.run_dir.atomic_write import atomic_write
from parity_lightning.run_dir.thinning import is_recorded

_DRAWN = (
    "train/loss",
    "val/loss",
    "train/accuracy",
    "val/accuracy",
    "hidden_progress/relevant",
    "hidden_progress/relevant_min",
    "hidden_progress/irrelevant",
    "fourier_gap",
)


class ProgressPicture(RunFiles):
    """Draws ``progress.png`` when a run ends: losses, errors and hidden progress over SGD steps.

    It draws what it finds of the metrics that `ParityModule` and `HiddenProgress` log, whichever the module, and marks
    onset and convergence time if a callback such as `PhaseTransition` tells them.
    """

    file_name = "progress.png"

    def forget(self) -> None:
        """Begins with no curves."""
        super().forget()
        self.steps: list[int] = []
        self.curves: dict[str, list[float]] = {name: [] for name in _DRAWN}

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Keeps the measurements of an evaluation."""
        if is_evaluation(trainer):
            metrics = trainer.callback_metrics
            if self.steps and not _is_kept(trainer, self.steps[-1]):
                # It was kept in case it was the last one.
                self.steps.pop()
                for curve in self.curves.values():
                    curve.pop()
            self.steps.append(trainer.global_step)
            for name, curve in self.curves.items():
                curve.append(float(metrics.get(name, torch.nan)))

    def finish(self, trainer: Trainer, pl_module: LightningModule, path: Path | None, interrupted: bool) -> None:
        """Draws the picture."""
        if path is None or not self.steps:
            return
        # Matplotlib takes half a second to import.
        from parity_lightning.display.run_picture import draw_run

        summary, settings = summaries_of(trainer), data_settings(trainer)
        title = " ".join(
            [type(pl_module).__name__, *(["on a", f"({settings['n']}, {settings['k']})-parity"] if settings else [])]
        )
        if settings.get("num_samples"):
            title += f", {settings['num_samples']:,} training examples"
        # Memorizing takes a small part of the time to generalizing: a finite sample needs a logarithmic axis.
        log_steps = settings.get("num_samples") is not None
        with atomic_write(path) as new:
            draw_run(
                new, self.steps, self.curves, title, summary.get("onset"), summary.get("convergence_time"), log_steps
            )

    def state_dict(self) -> dict[str, Any]:
        """The curves so far."""
        curves = {name: torch.tensor(curve, dtype=torch.float64) for name, curve in self.curves.items()}
        return {"steps": torch.tensor(self.steps), "curves": curves}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Takes over the curves of the run that is resumed."""
        self.steps = state_dict["steps"].tolist()
        self.curves = {name: curve.tolist() for name, curve in state_dict["curves"].items()}


def _is_kept(trainer: Trainer, step: int) -> bool:
    every = trainer.val_check_interval
    return not isinstance(every, int) or is_recorded(step, every)
