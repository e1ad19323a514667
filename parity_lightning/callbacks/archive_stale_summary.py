"""Putting the folder of a resumed run in order."""

from __future__ import annotations

from pathlib import Path

import torch
from lightning.pytorch import Callback, LightningModule, Trainer

from parity_lightning.run_dir.atomic_write import remove_unfinished
from parity_lightning.run_dir.run_folder import unused
from parity_lightning.terminal.output import complain


class ArchiveStaleSummary(Callback):
    """Puts the folder of a resumed run in order, once training begins.

    Summary and picture of the earlier end are renamed: ``summary.json`` to ``summary-until-step-500.json``. Files that
    a killed process left half written are removed. A changed number of threads is reported, for it changes rounding.

    Args:
        folder: The folder.
        threads: How many threads the run had before.
    """

    def __init__(self, folder: Path, threads: int | None) -> None:
        self._folder = folder
        self._threads = threads

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Renames, removes and reports."""
        if not trainer.is_global_zero:
            return
        if self._threads not in (None, torch.get_num_threads()):
            now = torch.get_num_threads()
            message = f"this run had {self._threads} threads before and has {now} now, so sums may round in another way"
            complain(f"{message}; OMP_NUM_THREADS={self._threads} keeps it as it was")
        remove_unfinished(self._folder)
        for name in ("progress.png", "summary.json"):
            path = self._folder / name
            if path.exists():
                path.replace(unused(path.with_stem(f"{path.stem}-until-step-{trainer.global_step}")))
