"""What a run records by itself: ``metrics.csv`` and ``config.yaml``."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.cli import SaveConfigCallback
from lightning.pytorch.loggers import CSVLogger
from lightning.pytorch.utilities import rank_zero_only


class RunMetrics(CSVLogger):
    """Writes ``metrics.csv`` into the run's folder; hyperparameters stand in ``config.yaml`` there already.

    Args:
        folder: The run's folder.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__(save_dir=folder.parent, name="", version=folder.name)
        # Now, while the folder is empty: it warns if other loggers were there first.
        _ = self.experiment

    @rank_zero_only
    def log_metrics(self, metrics: Mapping[str, Any], step: int | None = None) -> None:
        """Writes a row, without Lightning's ``epoch``: an endless stream has but one."""
        super().log_metrics({name: value for name, value in metrics.items() if name != "epoch"}, step)

    def log_hyperparams(self, params: Any = None) -> None:
        """Writes nothing."""


class SaveConfig(SaveConfigCallback):
    """Saves ``config.yaml`` and tells loggers that keep settings, such as W&B's, the configuration."""

    def save_config(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Passes the configuration on."""
        config = json.loads(self.parser.dump(self.config, skip_none=False, format="json"))
        for logger in trainer.loggers:
            logger.log_hyperparams(config)
