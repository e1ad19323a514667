"""Evaluations during training without the weight of Lightning's loop.

Lightning takes some milliseconds to evaluate, however small the network: most of them in `LightningModule.log`, which
keeps means over batches and devices. Here there is one batch, on one device. So the same hooks of module and callbacks
are called in the same order, and what they log is taken as it is.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import torch
from lightning.pytorch import Trainer
from lightning.pytorch.profilers import PassThroughProfiler
from lightning.pytorch.strategies import SingleDeviceStrategy
from torch import Tensor
from torchmetrics import Metric

from parity_lightning.data.datamodule import ParityDataModule
from parity_lightning.modules.blocks import has_hook

if TYPE_CHECKING:
    from parity_lightning.modules.base import ParityModule

_HOOKS = (
    "on_validation_start",
    "on_validation_epoch_start",
    "on_validation_batch_start",
    "on_validation_batch_end",
    "on_validation_epoch_end",
    "on_validation_end",
)
_MODULE_HOOKS = ("validation_step", "on_before_batch_transfer", "transfer_batch_to_device", "on_after_batch_transfer")


class LightEvaluation:
    """Takes the place of the loop that evaluates during training, where nobody needs more than this one does.

    Args:
        module: The module that is trained; it has to give what it logs to `note` while `is_open`.
        trainer: Its trainer.
    """

    def __init__(self, module: ParityModule, trainer: Trainer) -> None:
        self._module = module
        self._trainer = trainer
        self._loop = trainer.fit_loop.epoch_loop.val_loop
        self._heavy: Callable[[], Any] = self._loop.run
        self._batch: Any = None
        self._hooks: dict[str, list[Callable[..., Any]]] = {}
        self._logged: dict[str, Tensor] = {}
        self._shown: dict[str, Tensor] = {}
        self.is_open = False
        """Whether an evaluation is under way."""

    def install(self) -> None:
        """Takes the loop's place."""
        self._loop.run = self.run  # type: ignore[method-assign]

    def remove(self) -> None:
        """Gives it back."""
        self._loop.run = self._heavy  # type: ignore[method-assign]

    def _is_enough(self) -> bool:
        """Whether there is one batch, on one device, and nobody has ideas of his own about evaluating."""
        from parity_lightning.modules.base import ParityModule

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
            and all(getattr(kind, name) is getattr(ParityModule, name) for name in (*_MODULE_HOOKS, *_HOOKS))
        )

    def _ready(self) -> None:
        """Draws the validation set, and looks up who has which hook."""
        trainer = self._trainer
        (batch,) = trainer.datamodule.val_dataloader()  # type: ignore[attr-defined]
        batch = trainer.precision_plugin.convert_input(batch)
        self._batch = trainer.strategy.batch_to_device(batch)
        for name in _HOOKS:
            whose = [each for each in trainer.callbacks if has_hook(each, name)]  # type: ignore[attr-defined]
            self._hooks[name] = [getattr(each, name) for each in whose]

    def run(self) -> Any:
        """Evaluates, logs and calls everybody who looks at evaluations."""
        if self._batch is None:
            if not self._is_enough():
                self.remove()
                return self._heavy()
            self._ready()
        trainer, module = self._trainer, self._module
        # ModelCheckpoint asks for it when it misses a metric.
        self._loop._has_run = True
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
            connector = trainer._logger_connector
            connector._callback_metrics.update(self._logged)
            connector._progress_bar_metrics.update({name: float(value) for name, value in self._shown.items()})
            connector.log_metrics(self._logged)
            self._call("on_validation_end")
        for part in modes:
            part.training = True
        trainer._last_val_time = time.monotonic()  # type: ignore[attr-defined]
        return []

    def _call(self, name: str, *arguments: Any) -> None:
        for hook in self._hooks[name]:
            hook(self._trainer, self._module, *arguments)

    def note(self, name: str, value: Any, prog_bar: bool = False, logger: bool | None = None, **_: Any) -> None:
        """Takes what was logged; of `LightningModule.log`, what a single batch on a single device leaves to say."""
        if isinstance(value, Metric):
            value = value.compute()
        tensor = value.detach() if isinstance(value, Tensor) else torch.tensor(value, dtype=torch.get_default_dtype())
        self._logged[name] = tensor
        if prog_bar:
            self._shown[name] = tensor
