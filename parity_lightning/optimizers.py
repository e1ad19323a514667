"""Update rules that PyTorch does not have."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch.optim.optimizer import ParamsT

from parity_lightning.errors import SettingError

__all__ = ["DecayedSGD"]


class DecayedSGD(torch.optim.SGD):
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
        >>> DecayedSGD([weight], lr=0.1, decay=0.5).step()
        >>> weight.data
        tensor([0.3000])
    """

    def __init__(
        self, params: ParamsT, lr: float = 0.1, decay: float = 0.0, momentum: float = 0.0, nesterov: bool = False
    ) -> None:
        super().__init__(params, lr=lr, momentum=momentum, nesterov=nesterov)
        self.defaults["decay"] = decay
        for group in self.param_groups:
            group.setdefault("decay", decay)
            if not 0 <= group["decay"] <= 1:
                raise SettingError("decay", group["decay"], "must be from 0 to 1")

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Takes one step; a closure, if given, recomputes the loss first and its value is returned."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            if group["decay"]:
                moving = [parameter for parameter in group["params"] if parameter.grad is not None]
                torch._foreach_mul_(moving, 1 - group["decay"])
        super().step()
        return loss
