"""Schedules of an optimizer's options, in SGD steps."""

from __future__ import annotations

import math
from bisect import bisect_right
from typing import Any

from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from parity_lightning.errors import SettingError, check_int, nearest
from parity_lightning.optim.optimizers import check_option

__all__ = ["PiecewiseSchedule"]


class PiecewiseSchedule(LRScheduler):
    """Sets options of the optimizer from given steps on: the schedules eta_t and lambda_t of Section 2.

    Layers that have a parameter group of their own (``param_groups`` of `ParityModule`) can have schedules of their
    own. For example, the first step of Theorem 4 puts a multiple of the gradient in the place of the first layer's
    weights, and the steps that follow train the second layer only; with groups ``hidden.weight`` and ``hidden.bias``:

        {0: {"hidden.weight.lr": 1.0, "hidden.weight.decay": 1.0, "hidden.bias.lr": 0.0, "lr": 0.0},
         1: {"hidden.weight.lr": 0.0, "hidden.weight.decay": 0.0, "hidden.bias.lr": 0.0, "lr": 0.1}}

    Args:
        optimizer: Whose options to set.
        table: For each step, counted from 0, the options that change with the update of that step: ``"lr"``,
            ``"decay"``, ``"weight_decay"``, ``"momentum"``, any number that the optimizer's groups have; or
            ``"LAYER.OPTION"``, of one layer, which goes before what is said of all in the same step.
        interpolate: Whether values change linearly from one step of the table to the next.

    Raises:
        SettingError: If a step, a layer or an option does not exist, or a value is out of range.

    Example:
        >>> import torch
        >>> optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.5)
        >>> schedule = PiecewiseSchedule(optimizer, {2: {"lr": 0.1}, 4: {"lr": 0.0}}, interpolate=True)
        >>> rates = []
        >>> for step in range(5):
        ...     rates.append(optimizer.param_groups[0]["lr"])
        ...     optimizer.step()
        ...     schedule.step()
        >>> rates
        [0.5, 0.5, 0.1, 0.05, 0.0]
    """

    def __init__(self, optimizer: Optimizer, table: dict[int, dict[str, float]], interpolate: bool = False) -> None:
        self.interpolate = interpolate
        # For each option of each group, its steps and values.
        self.breakpoints: list[dict[str, list[tuple[int, float]]]] = [{} for _ in optimizer.param_groups]
        if not table:
            raise SettingError("table", table, "is empty; give steps and the options that change with them")
        for step in sorted(table):
            check_int("table", step, at_least=0)
            values: dict[tuple[int, str], float] = {}
            # Entries of all layers, whose names have fewer dots, come first and give way to those of one.
            for name, value in sorted(table[step].items(), key=lambda entry: entry[0].count(".")):
                check_option("table", name, value)
                layer, _, option = name.rpartition(".")
                for number in _groups_of(optimizer, layer, option, name):
                    values[number, option] = float(value)
            for (number, option), value in values.items():
                self.breakpoints[number].setdefault(option, []).append((step, value))
        super().__init__(optimizer)

    def state_dict(self) -> dict[str, Any]:
        """The step it has reached; the table is the configuration's, a resumed run may have another."""
        state: dict[str, Any] = super().state_dict()
        return {name: value for name, value in state.items() if name not in ("breakpoints", "interpolate")}

    def get_lr(self) -> list[Any]:
        """Sets the other options of this step and returns the learning rates, as PyTorch's own OneCycleLR does."""
        rates = []
        for group, breakpoints in zip(self.optimizer.param_groups, self.breakpoints, strict=True):
            for option, points in breakpoints.items():
                value = self._value(points)
                if value is not None:
                    group[option] = value
            rates.append(group["lr"])
        return rates

    def _value(self, points: list[tuple[int, float]]) -> float | None:
        """The value at this step; None before the first."""
        after = bisect_right(points, (self.last_epoch, math.inf))
        if after == 0:
            return None
        step, value = points[after - 1]
        if not self.interpolate or after == len(points):
            return value
        next_step, next_value = points[after]
        return value + (next_value - value) * (self.last_epoch - step) / (next_step - step)


def _groups_of(optimizer: Optimizer, layer: str, option: str, name: str) -> list[int]:
    """The numbers of the groups that an entry is about."""
    groups = optimizer.param_groups
    numbers = [number for number, group in enumerate(groups) if name == option or layer == group.get("name")]
    if not numbers:
        named = [group["name"] for group in groups if group.get("name")]
        message = (
            nearest(layer, named) if named else "no layer has a group of its own; list it in the model's param_groups"
        )
        raise SettingError("table", name, message)
    options = [key for key, value in groups[numbers[0]].items() if type(value) in (int, float)]
    if option not in options:
        raise SettingError("table", name, nearest(option, options))
    return numbers
