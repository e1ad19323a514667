"""A progress bar that counts SGD steps."""

from __future__ import annotations

import sys
from typing import Any, TextIO

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import TQDMProgressBar
from lightning.pytorch.callbacks.progress.tqdm_progress import Tqdm
from lightning.pytorch.trainer.states import TrainerFn

_NO_BAR = Tqdm(disable=True)


class LineStream:
    r"""A stream for a progress bar where there is no terminal: every state of the bar is a line of its own.

    A bar rewrites its line by carriage returns; in a file, whatever else is printed would be glued to it.

    Args:
        stream: Where the lines go.

    Example:
        >>> stream = LineStream(sys.stdout)
        >>> for text in ("\r  0%", "\r 50%   ", "\r      \r", "\n"):
        ...     _ = stream.write(text)
          0%
         50%
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self.encoding = stream.encoding

    def write(self, text: str) -> int:
        """Writes a state of the bar as a line."""
        shown = text.rpartition("\r")[2].rstrip()
        return self._stream.write(f"{shown}\n") if shown else 0

    def flush(self) -> None:
        """Flushes the stream."""
        self._stream.flush()

    def isatty(self) -> bool:
        """It is no terminal."""
        return False


def bar_stream() -> TextIO | LineStream:
    """Where bars are drawn: standard error."""
    return sys.stderr if sys.stderr.isatty() else LineStream(sys.stderr)


class StepProgressBar(TQDMProgressBar):
    """Counts SGD steps up to ``max_steps`` and shows validation accuracy and hidden progress.

    The bar goes to standard error. Where that is not a terminal, it is a line every half minute.
    It works with any module; it shows the metrics that the module and callbacks log with ``prog_bar=True``.
    """

    def init_train_tqdm(self) -> Tqdm:
        """The bar of the training: one tick is one SGD step."""
        return Tqdm(
            desc="training",
            total=self.trainer.max_steps if self.trainer.max_steps > 0 else None,
            initial=self.trainer.global_step,
            unit=" steps",
            disable=self.is_disabled,
            leave=True,
            dynamic_ncols=True,
            file=bar_stream(),
            smoothing=0.1,
            mininterval=0.1 if sys.stderr.isatty() else 30,
        )

    def init_validation_tqdm(self) -> Tqdm:
        """No bar for evaluations: they come often and are short."""
        return _NO_BAR

    def on_train_epoch_start(self, trainer: Trainer, *_: Any) -> None:
        """Lets the bar run on: an epoch has no meaning here."""

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Moves the bar to the steps taken."""
        bar = self.train_progress_bar
        bar.update(trainer.global_step - bar.n)

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Shows the new metrics when the bar is next drawn."""
        if trainer.state.fn == TrainerFn.FITTING:
            self.train_progress_bar.set_postfix(self.get_metrics(trainer, pl_module), refresh=False)

    def get_metrics(
        self, trainer: Trainer, pl_module: LightningModule
    ) -> dict[str, int | str | float | dict[str, float]]:
        """The logged metrics, without the version number that Lightning shows."""
        metrics = super().get_metrics(trainer, pl_module)
        metrics.pop("v_num", None)
        return metrics
