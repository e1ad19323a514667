"""Progress in SGD steps, with what is measured on the way."""

from __future__ import annotations

from typing import Any

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import ProgressBar
from lightning.pytorch.trainer.states import TrainerFn

from parity_lightning.terminal.output import show
from parity_lightning.terminal.progress import Progress
from parity_lightning.terminal.show_progress import show_progress

# Steps are compiled from some step on; the rate is that of now.
_RATE_WINDOW = 10.0


class StepProgressBar(ProgressBar):
    """Counts SGD steps up to ``max_steps`` and shows validation accuracy and hidden progress.

    It is drawn on standard error. Where that is not a terminal, it is a line every half minute.
    It works with any module; it shows the metrics that the module and callbacks log with ``prog_bar=True``.
    """

    def __init__(self) -> None:
        super().__init__()
        self._is_enabled = True
        self._progress: Progress | None = None

    def disable(self) -> None:
        """Shows nothing from now on."""
        self._is_enabled = False

    def enable(self) -> None:
        """Shows progress again."""
        self._is_enabled = True

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Shows the first state."""
        if self._is_enabled:
            total = trainer.max_steps if trainer.max_steps > 0 else None
            self._progress = show_progress("training", "steps", total, _RATE_WINDOW)
            self._progress.update(trainer.global_step)

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Counts the steps taken."""
        if self._progress is not None:
            self._progress.update(trainer.global_step)

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Shows the new metrics."""
        if self._progress is not None and trainer.state.fn == TrainerFn.FITTING:
            found = self.get_metrics(trainer, pl_module)
            self._progress.update(trainer.global_step, {name: _in_short(value) for name, value in found.items()})

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Leaves the last state standing."""
        self._close()

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        """Leaves the last state standing."""
        self._close()

    def _close(self) -> None:
        if self._progress is not None:
            self._progress.close()
            self._progress = None

    def print(self, *args: Any, **_: Any) -> None:
        """Prints a line above the bar."""
        show(" ".join(map(str, args)))

    def get_metrics(
        self, trainer: Trainer, pl_module: LightningModule
    ) -> dict[str, int | str | float | dict[str, float]]:
        """The logged metrics, without the version number that Lightning shows."""
        metrics = super().get_metrics(trainer, pl_module)
        metrics.pop("v_num", None)
        return metrics


def _in_short(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
