"""Where TensorBoard shows the hidden measure: beside the loss."""

from __future__ import annotations

import re
from contextlib import suppress

from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.loggers import TensorBoardLogger

CHARTS = {
    "loss": ("train/loss", "val/loss"),
    "hidden progress": ("hidden_progress", "hidden_progress/relevant", "hidden_progress/irrelevant"),
    "accuracy": ("train/accuracy", "val/accuracy"),
}
"""What stands side by side in TensorBoard's custom scalars, each with what is drawn in it."""


class TensorBoardLayout(Callback):
    """Gives TensorBoard a page that has loss, hidden progress and accuracy side by side, its custom scalars.

    ``fit`` adds it where a run has a ``TensorBoardLogger``. It works with any module: of a chart whose metrics are not
    logged there are axes only.
    """

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Writes the layout into the logger's files."""
        # TensorBoard takes names for regular expressions that match a beginning.
        charts = {title: ["Multiline", [f"^{re.escape(name)}$" for name in names]] for title, names in CHARTS.items()}
        for logger in trainer.loggers if trainer.is_global_zero else ():
            if isinstance(logger, TensorBoardLogger):
                # A logger that has failed has said so; training goes on.
                with suppress(OSError):
                    logger.experiment.add_custom_scalars({"Hidden progress": charts})
