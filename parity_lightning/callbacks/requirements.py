"""What callbacks need of a run, and the errors when it is missing."""

from __future__ import annotations

from typing import Any, Protocol, runtime_checkable

from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.trainer.states import TrainerFn
from torch import Tensor

from parity_lightning.data.sparse_parity import SparseParity
from parity_lightning.errors import SettingError


def begins_run(trainer: Trainer, stage: str) -> bool:
    """Whether a new run begins, and not another call of ``fit`` of the same trainer; a checkpoint is loaded later."""
    return stage == TrainerFn.FITTING and trainer.global_step == 0


def is_evaluation(trainer: Trainer) -> bool:
    """Whether a validation is part of fitting: not a sanity check, not the ``validate`` command."""
    return trainer.state.fn == TrainerFn.FITTING and not trainer.sanity_checking


@runtime_checkable
class Summarizes(Protocol):
    """A callback that adds to ``summary.json``."""

    def summary(self) -> dict[str, Any]:
        """What it adds, as JSON values by their names."""
        ...


@runtime_checkable
class DescribesData(Protocol):
    """A datamodule that adds its settings to ``summary.json``; `ParityDataModule` is one."""

    def settings(self) -> dict[str, Any]:
        """Its settings, as JSON values by their names."""
        ...


@runtime_checkable
class HasParity(Protocol):
    """A datamodule of one parity; `ParityDataModule` is one."""

    parity: SparseParity


def summaries_of(trainer: Trainer) -> dict[str, Any]:
    """What the callbacks report in their summaries; later ones replace earlier ones."""
    summary: dict[str, Any] = {}
    for callback in trainer.callbacks:  # type: ignore[attr-defined]
        if isinstance(callback, Summarizes):
            summary |= callback.summary()
    return summary


def data_settings(trainer: Trainer) -> dict[str, Any]:
    """The settings of the datamodule; empty if it does not describe them."""
    datamodule = trainer.datamodule  # type: ignore[attr-defined]
    return datamodule.settings() if isinstance(datamodule, DescribesData) else {}


def parity_of(trainer: Trainer, callback: Callback) -> SparseParity:
    """The `SparseParity` of the run's datamodule.

    Raises:
        SettingError: If the datamodule has no attribute ``parity``.
    """
    datamodule = trainer.datamodule  # type: ignore[attr-defined]
    if not isinstance(datamodule, HasParity):
        raise SettingError(
            "callbacks",
            type(callback).__name__,
            "needs a datamodule with an attribute parity; use ParityDataModule or leave the callback out",
        )
    return datamodule.parity


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
