"""Update rules that PyTorch does not have."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.optim.optimizer import ParamsT

from parity_lightning.errors import SettingError

__all__ = ["SGDW", "SignSGD"]


def check_option(setting: str, name: str, value: Any) -> None:
    """Refuses a value that no option of an optimizer can have.

    Args:
        setting: Where it was given, for the error.
        name: The option, ``"lr"``, or ``"LAYER.lr"``.
        value: Its value.

    Raises:
        SettingError: If it is not a finite number of at least 0, or a decay and above 1.
    """
    if type(value) not in (int, float) or not 0 <= value < math.inf:
        raise SettingError(setting, f"{name}: {value}", "must be a finite number, at least 0")
    if name.rpartition(".")[2] == "decay" and value > 1:
        raise SettingError(setting, f"{name}: {value}", "must be from 0 to 1")


def _settle_decay(optimizer: torch.optim.Optimizer, decay: float) -> None:
    """Makes ``decay`` an option of every parameter group."""
    optimizer.defaults["decay"] = decay
    for group in optimizer.param_groups:
        group.setdefault("decay", decay)
        if not 0 <= group["decay"] <= 1:
            raise SettingError("decay", group["decay"], "must be from 0 to 1")


def _shrink(group: dict[str, Any]) -> list[Tensor]:
    """Multiplies the parameters of a group that have gradients by ``1 - decay``, and returns them."""
    trainable = [parameter for parameter in group["params"] if parameter.grad is not None]
    if group["decay"] and trainable:
        torch._foreach_mul_(trainable, 1 - group["decay"])
    return trainable


def _evaluate(closure: Callable[[], Any] | None) -> Any:
    if closure is None:
        return None
    with torch.enable_grad():
        return closure()


class SGDW(torch.optim.SGD):
    """SGD with the paper's weight decay (Section 2): ``theta <- (1 - decay) * theta - lr * gradient``.

    The decay is *not* multiplied by the learning rate. The ``weight_decay`` of `torch.optim.SGD` is: with it theta
    shrinks by ``lr * weight_decay`` a step, so ``decay = lr * weight_decay`` is the same rule. With momentum, the
    gradient above is the momentum buffer; the decay does not enter it.

    ``decay`` is an option of each parameter group, so layers can have their own, and schedules can change it.

    Args:
        params: Parameters or parameter groups.
        lr: Learning rate eta.
        decay: Weight decay lambda, at least 0 and at most 1.
        momentum: Momentum factor.
        nesterov: Whether momentum is Nesterov's.

    Raises:
        SettingError: If the decay is out of range.

    Example:
        >>> weight = torch.nn.Parameter(torch.tensor([1.0]))
        >>> weight.grad = torch.tensor([2.0])
        >>> SGDW([weight], lr=0.1, decay=0.5).step()
        >>> weight.data
        tensor([0.3000])
    """

    def __init__(
        self, params: ParamsT, lr: float = 0.1, decay: float = 0.0, momentum: float = 0.0, nesterov: bool = False
    ) -> None:
        super().__init__(params, lr=lr, momentum=momentum, nesterov=nesterov)
        _settle_decay(self, decay)

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Takes one step; a closure, if given, recomputes the loss first and its value is returned."""
        loss = _evaluate(closure)
        for group in self.param_groups:
            _shrink(group)
        super().step()
        return loss


class SignSGD(torch.optim.Optimizer):
    """Sign-SGD, every weight moving by the same length: ``theta <- (1 - decay) * theta - lr * sign(gradient)``.

    Kou et al. (2024) learn sparse parities with it. The sign of 0 is 0.

    Args:
        params: Parameters or parameter groups.
        lr: Learning rate eta.
        decay: Weight decay lambda, as of `SGDW`.

    Raises:
        SettingError: If the learning rate or the decay is out of range.

    Example:
        >>> weight = torch.nn.Parameter(torch.tensor([1.0, 1.0]))
        >>> weight.grad = torch.tensor([20.0, -0.1])
        >>> SignSGD([weight], lr=0.5).step()
        >>> weight.data
        tensor([0.5000, 1.5000])
    """

    def __init__(self, params: ParamsT, lr: float = 0.01, decay: float = 0.0) -> None:
        super().__init__(params, {"lr": lr})
        _settle_decay(self, decay)
        for group in self.param_groups:
            if not 0 <= group["lr"] < math.inf:
                raise SettingError("lr", group["lr"], "must be a finite number, at least 0")

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Takes one step; a closure, if given, recomputes the loss first and its value is returned."""
        loss = _evaluate(closure)
        for group in self.param_groups:
            trainable = _shrink(group)
            if trainable:
                directions = torch._foreach_sign(
                    [parameter.grad for parameter in trainable if parameter.grad is not None]
                )
                torch._foreach_add_(trainable, directions, alpha=-group["lr"])
        return loss
