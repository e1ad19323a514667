"""Ctrl-C and SIGTERM: a run ends in good order; a second Ctrl-C ends it at once."""

from __future__ import annotations

import signal
import sys
import threading
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.utilities.exceptions import SIGTERMException

from parity_lightning.callbacks.stopping import any_device

_TOLD = {
    signal.SIGINT: "interrupted: saving and ending; press Ctrl-C again to end at once",
    signal.SIGTERM: "terminated: saving and ending",
}


class GracefulShutdown(Callback):
    """Ends training between two blocks of steps, on all devices at the same, on Ctrl-C or SIGTERM.

    Python would interrupt whatever is being done, in the middle of an SGD step perhaps, and what were saved then would
    be no state of a run that was never interrupted. A second Ctrl-C kills the process: all files are whole at any time.

    Lightning's own way with SIGTERM has devices talk to each other from within the signal handler, whatever they were
    talking about at that moment; here any device may hear the signal, and all decide together.
    """

    understands_blocks = True

    def __init__(self) -> None:
        self._heard: signal.Signals | None = None
        self._before: dict[signal.Signals, Any] = {}
        self._tells = True

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Begins to listen to Ctrl-C."""
        self._heard = None
        self._tells = trainer.is_global_zero
        if threading.current_thread() is threading.main_thread():
            self._before = {each: signal.getsignal(each) for each in _TOLD}
            signal.signal(signal.SIGINT, self._note)

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Begins to listen to SIGTERM, which Lightning has claimed in the meantime."""
        if self._before:
            signal.signal(signal.SIGTERM, self._note)

    def _note(self, number: int, _: Any) -> None:
        heard = signal.Signals(number)
        if heard == signal.SIGINT:
            signal.signal(signal.SIGINT, signal.SIG_DFL)
        if self._tells and self._heard is None:
            print(f"\n{_TOLD[heard]}", file=sys.stderr, flush=True)
        self._heard = heard

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        """Ends training, if somebody asked for it."""
        # Noted once: the signal may come between two questions.
        heard = self._heard
        if any_device(trainer, heard is not None):
            raise SIGTERMException if any_device(trainer, heard == signal.SIGTERM) else KeyboardInterrupt

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        """Has a second Ctrl-C end the process; Lightning would ignore it."""
        if isinstance(exception, KeyboardInterrupt) and threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGINT, signal.SIG_DFL)

    def stop_listening(self) -> None:
        """Puts back who listened before; Lightning calls no hook for it after an error."""
        for each, before in self._before.items():
            # Whoever was not set from Python cannot be put back.
            signal.signal(each, signal.SIG_DFL if before is None else before)
        self._before = {}
