"""Noticing that a loss depends on more than weights and examples."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NoReturn

from lightning.pytorch import LightningModule

from parity_lightning.engine.trainable import Unstackable
from parity_lightning.modules.lightning_internals import trainer_of


class _RefusingTrainer:
    """Stands in for the trainer and raises `Unstackable` when anything is read from it."""

    def __getattr__(self, name: str) -> NoReturn:
        """Raises, whatever is read: ``LightningModule.global_step``, ``current_epoch`` and ``log`` read it, too."""
        raise Unstackable("its loss or its network reads the step or the trainer")


@contextmanager
def forbid_trainer_access(module: LightningModule) -> Iterator[None]:
    """A context in which reading step, epoch or trainer of a module raises `Unstackable`.

    A stack of trials has many steps and no trainer, so a loss that depends on them cannot be computed there.

    Args:
        module: The module.
    """
    trainer: Any = trainer_of(module)
    refusing: Any = _RefusingTrainer()
    module.trainer = refusing
    try:
        yield
    finally:
        module.trainer = trainer
