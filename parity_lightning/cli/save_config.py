"""Saving the configuration of a run."""

from __future__ import annotations

import json

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.cli import SaveConfigCallback


class SaveConfig(SaveConfigCallback):
    """Saves ``config.yaml`` and tells loggers that keep settings, such as W&B's, the configuration."""

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Saves all but what ``fit`` alone understands, for the other subcommands take the file, too."""
        self.config.pop("resume", None)
        super().setup(trainer, pl_module, stage)

    def save_config(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Passes the configuration on."""
        config = json.loads(self.parser.dump(self.config, skip_none=False, format="json"))
        for logger in trainer.loggers:
            logger.log_hyperparams(config)
