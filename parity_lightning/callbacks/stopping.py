"""When a run ends before its last step."""

from __future__ import annotations

from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer
from torch import Tensor

from parity_lightning.callbacks.requirements import begins_run, is_evaluation, metric_of
from parity_lightning.measures.divergence import first_divergence
from parity_lightning.modules.announce import announce


def any_device(trainer: Trainer, value: bool) -> bool:
    """Whether this is true on any device; must be called on all devices in the same hook."""
    return trainer.strategy.reduce_boolean_decision(value, all=False)


def stop_together(trainer: Trainer, stop: bool) -> bool:
    """Ends training on all devices if this is true on any; must be called on all devices in the same hook."""
    stop = any_device(trainer, stop)
    trainer.should_stop = trainer.should_stop or stop
    return stop


class StopWhenSolved(Callback):
    """Stops at the first evaluation without a single error.

    (Lightning's ``EarlyStopping(stopping_threshold=1.0)`` never does: its comparison is strict.)

    It needs a module that logs ``val/errors``, the exact number of validation errors over all devices, as every
    `ParityModule` does.
    """

    def __init__(self) -> None:
        self._solved = False

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Forgets an earlier run."""
        if begins_run(trainer, stage):
            self._solved = False

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Stops a run that is resumed from where it was solved."""
        trainer.should_stop = trainer.should_stop or self._solved

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Stops if there was no error."""
        if is_evaluation(trainer):
            self._solved = stop_together(trainer, metric_of(trainer, self, "val/errors") == 0)

    def state_dict(self) -> dict[str, Any]:
        """Whether it was solved."""
        return {"solved": self._solved}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Takes over whether it was solved."""
        self._solved = state_dict["solved"]


class StopWhenDiverged(Callback):
    """Stops when the training loss is no longer a finite number, prints the step and keeps it.

    It works with any module whose ``training_step`` returns a loss, of one step or of several.
    """

    understands_blocks = True

    def __init__(self) -> None:
        self.diverged_at: int | None = None

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Forgets an earlier run."""
        if begins_run(trainer, stage):
            self.diverged_at = None

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Stops a run that is resumed from where it had diverged."""
        trainer.should_stop = trainer.should_stop or self.diverged_at is not None

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Checks the losses of the steps just taken."""
        losses = outputs.get("loss") if isinstance(outputs, dict) else outputs
        if not isinstance(losses, Tensor):
            return
        losses = losses.detach().reshape(-1)
        first = int(first_divergence(losses))
        if stop_together(trainer, first < len(losses)) and self.diverged_at is None:
            # A device whose own losses are finite stops with the one that diverged.
            self.diverged_at = trainer.global_step - len(losses) + 1 + (first if first < len(losses) else 0)
            announce(trainer, f"step {self.diverged_at:,}: diverged, the training loss is not finite; try a smaller lr")

    def summary(self) -> dict[str, Any]:
        """The reason to have stopped, for ``summary.json``."""
        return {} if self.diverged_at is None else {"stop_reason": "diverged", "diverged_at": self.diverged_at}

    def state_dict(self) -> dict[str, Any]:
        """The step, if it has diverged."""
        return {"diverged_at": self.diverged_at}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Takes over the step."""
        self.diverged_at = state_dict["diverged_at"]
