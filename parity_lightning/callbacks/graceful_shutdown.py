"""Ctrl-C and SIGTERM: a run saves and ends; a second Ctrl-C ends it at once."""

from __future__ import annotations

import signal
import threading
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.utilities.exceptions import SIGTERMException

from parity_lightning.callbacks.stopping import any_device
from parity_lightning.terminal.output import complain

_MESSAGES = {
    signal.SIGINT: "interrupted: saving and ending; press Ctrl-C again to end at once",
    signal.SIGTERM: "terminated: saving and ending",
}


class GracefulShutdown(Callback):
    """Ends training between two blocks of steps, on all devices at the same, on Ctrl-C or SIGTERM.

    Python would raise KeyboardInterrupt anywhere, perhaps in the middle of an SGD step, and the checkpoint would hold a
    state that an uninterrupted run never has. A second Ctrl-C kills the process; all files are complete at any time.

    Lightning's handler of SIGTERM communicates between devices at whatever point the signal arrives. Here any device
    may receive the signal, and all decide together at the next block.
    """

    understands_blocks = True

    def __init__(self) -> None:
        self._received: signal.Signals | None = None
        self._before: dict[signal.Signals, Any] = {}
        self._prints = True

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Installs the handler of Ctrl-C."""
        self._received = None
        self._prints = trainer.is_global_zero
        if threading.current_thread() is threading.main_thread():
            self._before = {each: signal.getsignal(each) for each in _MESSAGES}
            signal.signal(signal.SIGINT, self._note)

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Installs the handler of SIGTERM, after Lightning has installed its own."""
        if self._before:
            signal.signal(signal.SIGTERM, self._note)

    def _note(self, number: int, _: Any) -> None:
        received = signal.Signals(number)
        if received == signal.SIGINT:
            signal.signal(signal.SIGINT, signal.SIG_DFL)
        if self._prints and self._received is None:
            complain(f"\n{_MESSAGES[received]}")
        self._received = received

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        """Ends training, if any device received a signal."""
        # Read once: the signal may arrive between two reads.
        received = self._received
        if any_device(trainer, received is not None):
            raise SIGTERMException if any_device(trainer, received == signal.SIGTERM) else KeyboardInterrupt

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        """Lets a second Ctrl-C end the process; Lightning would ignore it."""
        if isinstance(exception, KeyboardInterrupt) and threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGINT, signal.SIG_DFL)

    def restore_handlers(self) -> None:
        """Restores the handlers from before; Lightning calls no hook for this after an error."""
        for each, before in self._before.items():
            # A handler that was not set from Python cannot be restored.
            signal.signal(each, signal.SIG_DFL if before is None else before)
        self._before = {}
