"""Ctrl-C: once to end a run in good order, twice to end it at once."""

from __future__ import annotations

import signal
import sys
import threading
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer

from parity_lightning.callbacks.stopping import any_device


class HeedCtrlC(Callback):
    """Ends training between two blocks of steps, on all devices at the same, when somebody presses Ctrl-C.

    Python would interrupt whatever is being done, in the middle of an SGD step perhaps, and what were saved then would
    be no state of a run that was never interrupted. A second Ctrl-C kills the process: all files are whole at any time.
    """

    understands_blocks = True

    def __init__(self) -> None:
        self._asked = False
        self._before: Any = None

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Begins to listen."""
        if threading.current_thread() is threading.main_thread():
            self._asked = False
            self._before = signal.signal(signal.SIGINT, self._note)

    def _note(self, *_: Any) -> None:
        self._asked = True
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        print("\ninterrupted: saving and ending; press Ctrl-C again to end at once", file=sys.stderr, flush=True)

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        """Ends training, if somebody asked for it."""
        if any_device(trainer, self._asked):
            raise KeyboardInterrupt

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        """Has a second Ctrl-C end the process; Lightning would ignore it."""
        if isinstance(exception, KeyboardInterrupt) and threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGINT, signal.SIG_DFL)

    def teardown(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Stops listening."""
        if self._before is not None:
            signal.signal(signal.SIGINT, self._before)
            self._before = None
