"""Saving the configuration of a run."""

from __future__ import annotations

import json
import os
from typing import Any

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.cli import SaveConfigCallback
from lightning.pytorch.loggers import Logger, WandbLogger

from parity_lightning.run_dir.metrics_file import RunMetrics


class SaveConfig(SaveConfigCallback):
    """Saves ``config.yaml`` and tells loggers that keep settings, such as W&B's, the configuration."""

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Saves all but what ``fit`` alone understands, for the other subcommands take the file, too."""
        self.config.pop("resume", None)
        super().setup(trainer, pl_module, stage)

    def save_config(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Passes the configuration on, where somebody takes it: that of ``metrics.csv`` does not."""
        if loggers := [logger for logger in trainer.loggers if not isinstance(logger, RunMetrics)]:
            config = json.loads(self.parser.dump(self.config, skip_none=False, format="json"))
            for logger in loggers:
                logger.log_hyperparams(_untold(logger, config))


def _untold(logger: Logger, config: dict[str, Any]) -> dict[str, Any]:
    """What a sweep has not told W&B already; it locks what it has told, and warns of each repetition."""
    if "WANDB_SWEEP_ID" not in os.environ or not isinstance(logger, WandbLogger):
        return config
    from wandb.sdk import Config

    told = logger.experiment.config
    if not isinstance(told, Config):
        return config
    return {name: value for name, value in config.items() if name not in told or told[name] != value}
