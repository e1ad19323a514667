"""Checkpoints by SGD steps."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Any

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import ModelCheckpoint

from parity_lightning.callbacks.requirements import is_evaluation
from parity_lightning.run_dir.checkpoint_file import DamagedCheckpoint, UnsafeCheckpoint, read_checkpoint


class StepCheckpoint(ModelCheckpoint):
    """Saves ``last.ckpt`` at the end of a run, when it is interrupted, and every so many SGD steps in between.

    A step that is evaluated is saved after its evaluation, with all that came of it, so that a run goes on from there
    as if nothing had been. Besides ``last.ckpt`` it keeps the newest of those saved in between. (Lightning's
    ModelCheckpoint leaves a ``last.ckpt`` from before the end if it has saved one in between.) It works with any
    module.

    Args:
        every_n_train_steps: After how many SGD steps to save.
    """

    def __init__(self, every_n_train_steps: int = 5_000) -> None:
        super().__init__(every_n_train_steps=every_n_train_steps, save_last=True, save_on_exception=True)
        self._saves_now = False
        self._leftovers_possible = False

    def _save_checkpoint(self, trainer: Trainer, filepath: str) -> None:
        self._saves_now = True
        super()._save_checkpoint(trainer, filepath)
        self._saves_now = False

    def state_dict(self) -> dict[str, Any]:
        """What ModelCheckpoint keeps, and whether it is this callback that saves: a run goes on from these only."""
        return super().state_dict() | {"saves_now": self._saves_now}

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Saves if a multiple of the interval is reached and no evaluation follows."""
        epoch_loop = trainer.fit_loop.epoch_loop
        fetcher = trainer.fit_loop._data_fetcher
        if self._is_due(trainer) and not (fetcher and epoch_loop._should_check_val_fx(fetcher)):
            self._save(trainer)

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Saves if a multiple of the interval is reached."""
        if self._is_due(trainer) and is_evaluation(trainer):
            self._save(trainer)

    def _is_due(self, trainer: Trainer) -> bool:
        every = self._every_n_train_steps
        return every > 0 and trainer.global_step % every == 0 and not self._should_skip_saving_checkpoint(trainer)

    def _save(self, trainer: Trainer) -> None:
        candidates = self._monitor_candidates(trainer)
        # In this order: should it be killed in between, and this be the end of the run, last.ckpt is that of the end.
        self._save_last_checkpoint(trainer, candidates)
        self._save_topk_checkpoint(trainer, candidates)
        if self._leftovers_possible:
            self._remove_leftovers(trainer)
            self._leftovers_possible = False

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Removes what an earlier process of the run, which was killed, had no time to remove."""
        super().on_train_start(trainer, pl_module)
        if self._leftovers_possible:
            self._remove_leftovers(trainer)

    def _remove_leftovers(self, trainer: Trainer) -> None:
        if not trainer.is_global_zero or self.dirpath is None:
            return
        own = {}
        for path in Path(self.dirpath).glob("epoch=*-step=*.ckpt"):
            # Other callbacks may save here, too; theirs stay, and so does what is damaged.
            with suppress(DamagedCheckpoint, UnsafeCheckpoint, KeyError, TypeError, ValueError, AttributeError):
                content = read_checkpoint(path)
                if content["callbacks"][self.state_key]["saves_now"]:
                    own[path] = int(content["global_step"])
        for path, step in own.items():
            if step < max(own.values()):
                path.unlink()

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Saves the end of the run."""
        if trainer.global_step and self._last_global_step_saved != trainer.global_step:
            self._save_last_checkpoint(trainer, self._monitor_candidates(trainer))

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        """Saves if somebody interrupted the run; after an error, what was saved before is more to be trusted."""
        if isinstance(exception, (KeyboardInterrupt, SystemExit)) and self._should_save_on_exception(trainer):
            self._save_last_checkpoint(trainer, self._monitor_candidates(trainer))

    def overwrite(self) -> None:
        """Goes on with the files of its folder, which are the run's own, instead of numbering new ones."""
        self._enable_version_counter = False
        self._leftovers_possible = True
