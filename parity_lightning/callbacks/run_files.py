"""Writing a file when a run ends, whichever way it ends."""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path
from typing import ClassVar

from lightning.pytorch import Callback, LightningModule, Trainer

from parity_lightning.callbacks.requirements import begins_run
from parity_lightning.run_dir.run_folder import unused


class RunFiles(Callback, ABC):
    """A callback that writes one file into the run's folder when training ends or is interrupted.

    The folder is the logger's (``trainer.log_dir``). A file of an earlier run is never overwritten: the new one gets a
    number. With ``fast_dev_run`` nothing is written.
    """

    file_name: ClassVar[str]

    def __init__(self) -> None:
        self._folder: Path | None = None
        self.forget()

    def forget(self) -> None:
        """Forgets an earlier run."""
        self.path: Path | None = None

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Finds the folder; called on all devices, for finding it needs all of them."""
        if begins_run(trainer, stage):
            self.forget()
        if stage == "fit":
            folder = trainer.log_dir or trainer.default_root_dir
            self._folder = None if trainer.fast_dev_run else Path(folder)  # type: ignore[attr-defined]

    def on_fit_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Writes the file."""
        self._finish(trainer, pl_module, interrupted=False)

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        """Writes the file if the run was interrupted; after an error there is no summary."""
        if trainer.state.fn == "fit" and isinstance(exception, (KeyboardInterrupt, SystemExit)):
            self._finish(trainer, pl_module, interrupted=True)

    def _finish(self, trainer: Trainer, pl_module: LightningModule, interrupted: bool) -> None:
        if trainer.is_global_zero:
            if self._folder is not None and self.path is None:
                self._folder.mkdir(parents=True, exist_ok=True)
                self.path = unused(self._folder / self.file_name)
            self.finish(trainer, pl_module, self.path, interrupted)

    @abstractmethod
    def finish(self, trainer: Trainer, pl_module: LightningModule, path: Path | None, interrupted: bool) -> None:
        """Writes the file to ``path``, or nothing if that is None; called on the first device only."""
