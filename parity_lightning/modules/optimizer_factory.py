"""How weights are updated: an optimizer, options of single layers, and a schedule."""

from __future__ import annotations

import math
import re
import warnings
from collections.abc import Callable, Mapping
from typing import Any

import torch
from lightning.pytorch.cli import LRSchedulerCallable, OptimizerCallable
from lightning.pytorch.utilities.types import OptimizerLRScheduler
from torch import nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from parity_lightning.errors import SettingError, nearest
from parity_lightning.optim.optimizers import check_option


class OptimizerFactory:
    """Makes the optimizer and the schedule of a module, and checks before training that they work.

    Args:
        optimizer: Makes the optimizer from parameters or groups of parameters.
        lr_scheduler: Makes a schedule from the optimizer, if there is to be one.
        param_groups: Options of the optimizer that single layers have for themselves.
    """

    def __init__(
        self,
        optimizer: OptimizerCallable,
        lr_scheduler: LRSchedulerCallable | None,
        param_groups: Mapping[str, Mapping[str, float]],
    ) -> None:
        self._make_optimizer = optimizer
        self._make_schedule = lr_scheduler
        self._param_groups = param_groups
        self.needs_closure = False
        """Whether the optimizer evaluates the loss itself, several times a step."""

    def make(self, module: nn.Module) -> tuple[Optimizer, LRScheduler | None]:
        """Makes the optimizer of a module's parameters, and its schedule if there is one."""
        optimizer = self._make_optimizer(self._groups(module))
        schedule = None if self._make_schedule is None else self._make_schedule(optimizer)
        return optimizer, schedule

    def configure(self, module: nn.Module) -> OptimizerLRScheduler:
        """Makes what `LightningModule.configure_optimizers` returns; the schedule steps with every SGD step."""
        optimizer, schedule = self.make(module)
        if schedule is None:
            return optimizer
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def _groups(self, module: nn.Module) -> Any:
        """The parameters, in groups if layers have options of their own: first what is left, then each layer's."""
        if not self._param_groups:
            return module.parameters()
        left = dict(module.named_parameters())
        groups: list[dict[str, Any]] = []
        for layer, options in self._param_groups.items():
            names = [name for name in left if f"{name}.".startswith((f"network.{layer}.", f"{layer}."))]
            if not names:
                known = {part for name in left for part in _prefixes(name.removeprefix("network."))}
                raise SettingError("param_groups", layer, f"no such layer, or listed before; {nearest(layer, known)}")
            groups.append({"params": [left.pop(name) for name in names], "name": layer, **options})
        return [{"params": list(left.values())}, *groups] if left else groups

    def check(self, module: nn.Module) -> None:
        """Makes optimizer and schedule and forgets them.

        Raises:
            SettingError: If PyTorch refuses them, or if they do not go with training by steps.
        """
        for layer, options in self._param_groups.items():
            self._check_layer(layer, options)
        optimizer = _attempt("optimizer", lambda: self._make_optimizer(self._groups(module)))
        for group in optimizer.param_groups:
            lr = float(group.get("lr", 0))
            if not (math.isfinite(lr) and lr >= 0):
                raise SettingError("lr", lr, "must be a finite number, at least 0")
        if isinstance(optimizer, torch.optim.SparseAdam):
            raise SettingError("optimizer", "SparseAdam", "needs sparse gradients, which no network here has; use Adam")
        self.needs_closure = isinstance(optimizer, torch.optim.LBFGS)
        self._check_schedule(optimizer)

    def _check_schedule(self, optimizer: torch.optim.Optimizer) -> None:
        make = self._make_schedule
        if make is None:
            return
        schedule = _attempt("lr_scheduler", lambda: make(optimizer))
        if isinstance(schedule, torch.optim.lr_scheduler.ReduceLROnPlateau):
            message = "waits for a metric; use a schedule of steps, StepLR for example"
            raise SettingError("lr_scheduler", type(schedule).__name__, message)
        with warnings.catch_warnings():
            # That the optimizer has not stepped.
            warnings.simplefilter("ignore")
            _attempt("lr_scheduler", schedule.step)

    def _check_layer(self, layer: str, options: Mapping[str, float]) -> None:
        """Refuses options of a layer that the optimizer does not have; PyTorch checks only those of all layers."""
        optimizer = _attempt("optimizer", lambda: self._make_optimizer([nn.Parameter(torch.zeros(1))]))
        numbers = [name for name, default in optimizer.defaults.items() if type(default) in (int, float)]
        for option, value in options.items():
            if option not in numbers:
                message = f"{type(optimizer).__name__} has no such number; {nearest(option, numbers)}"
                raise SettingError("param_groups", f"{layer}.{option}", message)
            check_option("param_groups", f"{layer}.{option}", value)


def _attempt(option: str, make: Callable[[], Any]) -> Any:
    """Calls ``make``; an error of PyTorch's becomes a `SettingError`."""
    try:
        return make()
    except SettingError:
        raise
    except (ValueError, TypeError, ZeroDivisionError) as error:
        # PyTorch's texts are "Invalid learning rate: -1.0", "Invalid momentum value: -1.0" and the like.
        message = re.match(r"Invalid (.+?)(?: value)?: (.+)", str(error))
        name, value = message.groups() if message else (option, "as given")
        name = "lr" if name == "learning rate" else name
        who = option.replace("lr_scheduler", "schedule")
        raise SettingError(name, value, f"{who} refuses it ({error}); give a value in its range") from error


def _prefixes(name: str) -> list[str]:
    parts = name.split(".")
    return [".".join(parts[:depth]) for depth in range(1, len(parts) + 1)]
