"""What callbacks need of a run, and what they say when it is lacking."""

from __future__ import annotations

from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.trainer.states import TrainerFn
from torch import Tensor

from parity_lightning.errors import SettingError


def begins_run(trainer: Trainer, stage: str) -> bool:
    """Whether a new run begins, as opposed to the same trainer training on; a checkpoint's state is loaded later."""
    return stage == TrainerFn.FITTING and trainer.global_step == 0


def is_evaluation(trainer: Trainer) -> bool:
    """Whether a validation belongs to the training's record: not a sanity check, not the ``validate`` command."""
    return trainer.state.fn == TrainerFn.FITTING and not trainer.sanity_checking


def summaries_of(trainer: Trainer) -> dict[str, Any]:
    """What callbacks tell of the run by a method ``summary()``, later ones over earlier ones."""
    message: dict[str, Any] = {}
    for callback in trainer.callbacks:  # type: ignore[attr-defined]
        if hasattr(callback, "summary"):
            message |= callback.summary()
    return message


def settings_of(trainer: Trainer) -> dict[str, Any]:
    """What the datamodule tells of itself by a method ``settings()``; nothing if it has none."""
    settings: dict[str, Any] = getattr(trainer.datamodule, "settings", dict)()  # type: ignore[attr-defined]
    return settings


def parity_of(trainer: Trainer, callback: Callback) -> Any:
    """The `SparseParity` of the run's datamodule.

    Raises:
        SettingError: If the datamodule has no attribute ``parity``.
    """
    datamodule = trainer.datamodule  # type: ignore[attr-defined]
    parity = getattr(datamodule, "parity", None)
    if parity is None:
        raise SettingError(
            "callbacks",
            type(callback).__name__,
            "needs a datamodule with an attribute parity; use ParityDataModule or leave the callback out",
        )
    return parity


def first_layer_of(module: LightningModule, callback: Callback, n: int) -> Tensor:
    """The module's first layer, whose last dimension is the n inputs.

    Raises:
        SettingError: If the module has no attribute ``first_layer`` of that shape.
    """
    weight = getattr(module, "first_layer", None)
    if not isinstance(weight, Tensor) or weight.shape[-1:] != (n,):
        found = f"one of shape {tuple(weight.shape)}" if isinstance(weight, Tensor) else "none"
        raise SettingError(
            "callbacks",
            type(callback).__name__,
            f"needs a module with a first_layer of shape (..., n={n}) and {type(module).__name__} has {found}; "
            "give it a property first_layer or leave the callback out",
        )
    return weight


def metric_of(trainer: Trainer, callback: Callback, name: str) -> float:
    """The value of a metric that the module logged in this evaluation.

    Raises:
        SettingError: If it logged none of this name.
    """
    value = trainer.callback_metrics.get(name)
    if value is None:
        raise SettingError(
            "callbacks",
            type(callback).__name__,
            f"needs a module that logs {name} in validation; log it or leave the callback out",
        )
    return float(value)
