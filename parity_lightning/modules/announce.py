"""Saying something while a run goes on."""

from __future__ import annotations

from lightning.pytorch import Trainer

from parity_lightning.terminal.output import show


def announce(trainer: Trainer, news: str | None) -> None:
    """Prints a line once over all devices, above the progress bar if there is one; None prints nothing."""
    if news is None or not trainer.is_global_zero:
        return
    bar = trainer.progress_bar_callback
    if bar is None:
        show(news)
    else:
        bar.print(news)
