"""Checkpoints by SGD steps."""

from __future__ import annotations

import warnings
from typing import Any

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import ModelCheckpoint


class StepCheckpoint(ModelCheckpoint):
    """Saves ``last.ckpt`` at the end of a run, when it is interrupted, and every so many SGD steps in between.

    Besides ``last.ckpt`` it keeps the newest of those saved in between. (Lightning's ModelCheckpoint leaves a
    ``last.ckpt`` from before the end if it has saved one in between.) It works with any module.

    Args:
        every_n_train_steps: After how many SGD steps to save.
    """

    def __init__(self, every_n_train_steps: int = 5_000) -> None:
        super().__init__(every_n_train_steps=every_n_train_steps, save_last=True, save_on_exception=True)

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Saves if a multiple of the interval is reached."""
        with warnings.catch_warnings():
            # Lightning would have us save the weights from before the step; those after it are the step's.
            warnings.filterwarnings("ignore", message="Using ModelCheckpoint with manual optimization")
            super().on_train_batch_end(trainer, pl_module, outputs, batch, batch_idx)

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Does nothing, at once: Lightning's would copy all metrics to find that nothing is to be saved."""

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Saves the end of the run."""
        if trainer.global_step and self._last_global_step_saved != trainer.global_step:
            self._save_last_checkpoint(trainer, self._monitor_candidates(trainer))
