"""Checkpoints by SGD steps."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Any

from lightning.pytorch import LightningModule, Trainer

from parity_lightning.callbacks.requirements import is_evaluation
from parity_lightning.modules.lightning_internals import SteppedModelCheckpoint, evaluation_follows
from parity_lightning.run_dir.checkpoint_file import DamagedCheckpoint, UnsafeCheckpoint, read_checkpoint


class StepCheckpoint(SteppedModelCheckpoint):
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
        self._resumes = False

    def before_saving(self) -> None:
        """Notes in the checkpoint's state that it is this callback that saves it."""
        self._saves_now = True

    def after_saving(self) -> None:
        """Forgets it again."""
        self._saves_now = False

    def state_dict(self) -> dict[str, Any]:
        """What ModelCheckpoint keeps, and whether it is this callback that saves: a run resumes from these only."""
        return super().state_dict() | {"saves_now": self._saves_now}

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Saves if a multiple of the interval is reached and no evaluation follows."""
        if self.is_due(trainer) and not evaluation_follows(trainer):
            self._save(trainer)

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Saves if a multiple of the interval is reached."""
        if self.is_due(trainer) and is_evaluation(trainer):
            self._save(trainer)

    def _save(self, trainer: Trainer) -> None:
        # In this order: if the process is killed in between at the end of the run, last.ckpt is that of the end.
        self.write_last(trainer)
        self.write_newest(trainer)
        if self._resumes:
            self._remove_leftovers(trainer)
            self._resumes = False

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Removes old checkpoints that an earlier process of the run was killed before it could remove."""
        super().on_train_start(trainer, pl_module)
        if self._resumes:
            self._remove_leftovers(trainer)

    def _remove_leftovers(self, trainer: Trainer) -> None:
        if not trainer.is_global_zero or self.dirpath is None:
            return
        own = {}
        for path in Path(self.dirpath).glob("epoch=*-step=*.ckpt"):
            # Checkpoints of other callbacks stay, and so do damaged ones.
            with suppress(DamagedCheckpoint, UnsafeCheckpoint, KeyError, TypeError, ValueError, AttributeError):
                content = read_checkpoint(path)
                if content["callbacks"][self.state_key]["saves_now"]:
                    own[path] = int(content["global_step"])
        for path, step in own.items():
            if step < max(own.values()):
                path.unlink()

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Saves the end of the run."""
        if trainer.global_step and self.last_saved_step != trainer.global_step:
            self.write_last(trainer)

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        """Saves if the run was interrupted; after an error, the checkpoints from before it are more trustworthy."""
        if isinstance(exception, (KeyboardInterrupt, SystemExit)) and self.saves_on_exception(trainer):
            self.write_last(trainer)

    def overwrite(self) -> None:
        """Overwrites the files of its folder, which are those of the run that is resumed."""
        super().overwrite()
        self._resumes = True
