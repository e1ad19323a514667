"""Evaluations while fitting without the cost of Lightning's loop.

Lightning takes some milliseconds to evaluate, however small the network: most of them in `LightningModule.log`, which
keeps means over batches and devices. With one batch on one device there is nothing to average: the same hooks of module
and callbacks are called in the same order, and what they log is taken as it is.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.profilers import PassThroughProfiler
from lightning.pytorch.strategies import SingleDeviceStrategy
from torch import Tensor
from torchmetrics import Metric

from parity_lightning.data.datamodule import ParityDataModule
from parity_lightning.modules.blocks import TRANSFER_HOOKS, has_hook
from parity_lightning.modules.lightning_internals import ValidationDuringFit

_HOOKS = (
    "on_validation_start",
    "on_validation_epoch_start",
    "on_validation_batch_start",
    "on_validation_batch_end",
    "on_validation_epoch_end",
    "on_validation_end",
)
_MODULE_HOOKS = ("validation_step", *TRANSFER_HOOKS)


class FastValidation:
    """Evaluates in the place of Lightning's loop, where there is one batch, on one device, and no hook is overridden.

    Args:
        module: The module that is trained; while `is_open`, it passes what it logs to `log`.
        base: The class whose hooks of validation it must not override.
        trainer: Its trainer.
    """

    def __init__(self, module: LightningModule, base: type[LightningModule], trainer: Trainer) -> None:
        self._module = module
        self._base = base
        self._trainer = trainer
        self._loop = ValidationDuringFit(trainer)
        self._batch: Any = None
        self._hooks: dict[str, list[Callable[..., Any]]] = {}
        self._logged: dict[str, Tensor] = {}
        self._shown: dict[str, Tensor] = {}
        self.is_open = False
        """Whether an evaluation is under way."""

    def install(self) -> None:
        """Takes the place of Lightning's loop."""
        self._loop.replace(self.run)

    def remove(self) -> None:
        """Has Lightning evaluate by itself again."""
        self._loop.restore()

    def _is_possible(self) -> bool:
        trainer, kind = self._trainer, type(self._module)
        data = trainer.datamodule  # type: ignore[attr-defined]
        return (
            not trainer.sanity_checking
            and type(trainer.strategy) is SingleDeviceStrategy
            and isinstance(data, ParityDataModule)
            and type(data).val_dataloader is ParityDataModule.val_dataloader
            and trainer.limit_val_batches == 1.0
            and not trainer.fast_dev_run  # type: ignore[attr-defined]
            and isinstance(trainer.profiler, PassThroughProfiler)  # type: ignore[attr-defined]
            and all(getattr(kind, name) is getattr(self._base, name) for name in (*_MODULE_HOOKS, *_HOOKS))
        )

    def _prepare(self) -> None:
        """Draws the validation set, and finds the hooks to call."""
        trainer = self._trainer
        (batch,) = trainer.datamodule.val_dataloader()  # type: ignore[attr-defined]
        batch = trainer.precision_plugin.convert_input(batch)
        self._batch = trainer.strategy.batch_to_device(batch)
        for name in _HOOKS:
            owners = [callback for callback in trainer.callbacks if has_hook(callback, name)]  # type: ignore[attr-defined]
            self._hooks[name] = [getattr(callback, name) for callback in owners]

    def run(self) -> Any:
        """Evaluates, logs and calls the hooks of all callbacks."""
        if self._batch is None:
            if not self._is_possible():
                self.remove()
                return self._loop.original()
            self._prepare()
        module = self._module
        self._loop.begin()
        modes = [part for part in module.modules() if part.training]
        module.eval()
        with torch.no_grad():
            self._logged, self._shown, self.is_open = {}, {}, True
            try:
                self._call("on_validation_start")
                self._call("on_validation_epoch_start")
                self._call("on_validation_batch_start", self._batch, 0)
                module.validation_step(self._batch)
                self._call("on_validation_batch_end", None, self._batch, 0)
                self._call("on_validation_epoch_end")
                module.on_validation_epoch_end()
            finally:
                self.is_open = False
            self._loop.publish(self._logged, self._shown)
            self._call("on_validation_end")
        for part in modes:
            part.training = True
        self._loop.end()
        return []

    def _call(self, name: str, *arguments: Any) -> None:
        for hook in self._hooks[name]:
            hook(self._trainer, self._module, *arguments)

    def log(self, name: str, value: Any, prog_bar: bool = False, logger: bool | None = None, **_: Any) -> None:
        """Takes a metric, as `LightningModule.log` does; most of its options have no meaning for one batch."""
        if isinstance(value, Metric):
            value = value.compute()
        tensor = value.detach() if isinstance(value, Tensor) else torch.tensor(value, dtype=torch.get_default_dtype())
        self._logged[name] = tensor
        if prog_bar:
            self._shown[name] = tensor
