"""The updates of PyTorch's optimizers as functions of stacked tensors, with options of their own for every trial.

They compute what the optimizers compute, operation by operation, so that a stacked trial rounds as a single run. An
optimizer without an update here cannot be stacked: `find_rule` raises an error.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.optim.optimizer import _global_optimizer_post_hooks, _global_optimizer_pre_hooks

from parity_lightning.engine.trainable import Unstackable
from parity_lightning.optim.optimizers import SGDW, SignSGD

Options = Mapping[str, Tensor]


class UpdateFunction(ABC):
    """The update of one optimizer.

    Args:
        groups: The parameter groups of the optimizers of all trials: what is 0 in all of them is left out.
        scheduled: Whether a schedule may change any option later on; then nothing is left out.
    """

    options: ClassVar[tuple[str, ...]]
    """The numbers of a group that it reads."""
    optional: ClassVar[tuple[str, ...]] = ()
    """Those of them whose part of the update is left out where they are 0."""

    def __init__(self, groups: Sequence[Mapping[str, Any]], scheduled: bool = False) -> None:
        self.ignored = tuple(
            name for name in self.optional if name in groups[0] and not (scheduled or _uses(groups, name))
        )
        """The options whose part of the update is left out, for they are 0."""
        self.state: tuple[str, ...] = ()
        """What the optimizer keeps for each parameter, by its names in ``optimizer.state``; all begin at 0."""
        self.native: Mapping[str, int] | None = None
        """The update as the steps in C++ know it, see engine/native/step.cpp; None if they do not."""

    @abstractmethod
    def __call__(
        self, parameter: Tensor, gradient: Tensor, state: Sequence[Tensor], option: Options, steps: Tensor
    ) -> tuple[Tensor, list[Tensor]]:
        """Updates one parameter of every trial.

        Args:
            parameter: Of shape ``(T, ...)``.
            gradient: Of the same shape.
            state: Its tensors, in the order of the attribute ``state``, each of the same shape.
            option: Each option's values, float64, of a shape that broadcasts with the parameter's.
            steps: How many updates there will have been with this one; float64, of the same shape as options.

        Returns:
            The new parameter and the new state.
        """


def _uses(groups: Sequence[Mapping[str, Any]], option: str) -> bool:
    return any(group[option] != 0 for group in groups)


def _refuse(groups: Sequence[Mapping[str, Any]], *switches: str) -> None:
    for switch in switches:
        if any(group.get(switch) for group in groups):
            raise Unstackable(f"the optimizer's option {switch} is on")


class _SGD(UpdateFunction):
    options = ("lr", "momentum", "weight_decay", "decay")
    optional = ("momentum", "weight_decay", "decay")

    def __init__(self, groups: Sequence[Mapping[str, Any]], scheduled: bool = False) -> None:
        super().__init__(groups, scheduled)
        _refuse(groups, "dampening", "maximize", "differentiable")
        self._decay = "decay" in groups[0] and "decay" not in self.ignored
        self._weight_decay = "weight_decay" not in self.ignored
        self._nesterov = any(group["nesterov"] for group in groups)
        if self._nesterov and not all(group["nesterov"] for group in groups):
            raise Unstackable("nesterov is on in some groups only")
        if "momentum" not in self.ignored:
            self.state = ("momentum_buffer",)
        self.native = {
            "rule": 0,
            "has_decay": self._decay,
            "has_weight_decay": self._weight_decay,
            "has_momentum": bool(self.state),
            "has_nesterov": self._nesterov,
        }

    def __call__(
        self, parameter: Tensor, gradient: Tensor, state: Sequence[Tensor], option: Options, steps: Tensor
    ) -> tuple[Tensor, list[Tensor]]:
        kind = parameter.dtype
        if self._decay:
            parameter = parameter * (1 - option["decay"]).to(kind)
        if self._weight_decay:
            gradient = gradient + parameter * option["weight_decay"].to(kind)
        new_state = []
        if self.state:
            momentum = option["momentum"].to(kind)
            buffer = state[0] * momentum + gradient
            # As in PyTorch, the buffer waits while the momentum is 0.
            new_state = [torch.where(momentum != 0, buffer, state[0])]
            gradient = gradient + buffer * momentum if self._nesterov else buffer
        return parameter - gradient * option["lr"].to(kind), new_state


class _SignSGD(UpdateFunction):
    options = ("lr", "decay")

    def __init__(self, groups: Sequence[Mapping[str, Any]], scheduled: bool = False) -> None:
        super().__init__(groups, scheduled)
        self.native = {"rule": 1}

    def __call__(
        self, parameter: Tensor, gradient: Tensor, state: Sequence[Tensor], option: Options, steps: Tensor
    ) -> tuple[Tensor, list[Tensor]]:
        kind = parameter.dtype
        parameter = parameter * (1 - option["decay"]).to(kind)
        return parameter - gradient.sign() * option["lr"].to(kind), []


class _Adam(UpdateFunction):
    options = ("lr", "beta1", "beta2", "eps", "weight_decay")
    optional = ("weight_decay",)

    def __init__(self, groups: Sequence[Mapping[str, Any]], scheduled: bool = False) -> None:
        super().__init__(groups, scheduled)
        _refuse(groups, "amsgrad", "maximize", "differentiable", "capturable")
        self._weight_decay = "weight_decay" not in self.ignored
        self._decoupled = any(group.get("decoupled_weight_decay") for group in groups)
        self.state = ("exp_avg", "exp_avg_sq")
        self.native = {"rule": 2, "has_weight_decay": self._weight_decay, "is_decoupled": self._decoupled}

    def __call__(
        self, parameter: Tensor, gradient: Tensor, state: Sequence[Tensor], option: Options, steps: Tensor
    ) -> tuple[Tensor, list[Tensor]]:
        kind = parameter.dtype
        beta1, beta2, lr = option["beta1"], option["beta2"], option["lr"]
        if self._weight_decay and self._decoupled:
            parameter = parameter * (1 - lr * option["weight_decay"]).to(kind)
        elif self._weight_decay:
            gradient = gradient + parameter * option["weight_decay"].to(kind)
        mean, square = state
        mean = mean + (gradient - mean) * (1 - beta1).to(kind)
        square = square * beta2.to(kind) + gradient * gradient * (1 - beta2).to(kind)
        length = lr / (1 - beta1**steps)
        scale = (1 - beta2**steps).sqrt()
        denominator = square.sqrt() / scale.to(kind) + option["eps"].to(kind)
        return parameter - mean / denominator * length.to(kind), [mean, square]


# By the exact class: a subclass may do anything.
_RULES: dict[type[torch.optim.Optimizer], type[UpdateFunction]] = {
    torch.optim.SGD: _SGD,
    SGDW: _SGD,
    SignSGD: _SignSGD,
    torch.optim.Adam: _Adam,
    torch.optim.AdamW: _Adam,
}


def find_rule(optimizers: Sequence[torch.optim.Optimizer], scheduled: bool = False) -> UpdateFunction:
    """The update that the optimizers of all trials make.

    Args:
        optimizers: Of the same class.
        scheduled: Whether a schedule may change any option later on.

    Raises:
        Unstackable: If there is none here, or if an optimizer has hooks.

    Example:
        >>> find_rule([torch.optim.SGD([torch.zeros(1)], momentum=0.9)]).state
        ('momentum_buffer',)
    """
    first = optimizers[0]
    if type(first) not in _RULES:
        known = ", ".join(kind.__name__ for kind in _RULES)
        raise Unstackable(f"the optimizer {type(first).__name__} is none of {known}")
    if any(map(has_step_hooks, optimizers)):
        raise Unstackable("the optimizer has hooks")
    groups = [group for optimizer in optimizers for group in optimizer.param_groups]
    return _RULES[type(first)](groups, scheduled)


def has_step_hooks(optimizer: torch.optim.Optimizer) -> bool:
    """Whether PyTorch calls anything before or after a step of an optimizer, or of every one."""
    of_all = (_global_optimizer_pre_hooks, _global_optimizer_post_hooks)
    return any((*of_all, optimizer._optimizer_step_pre_hooks, optimizer._optimizer_step_post_hooks))


def groups_of(optimizer: torch.optim.Optimizer, weights: Sequence[Tensor]) -> list[int]:
    """The number of the parameter group of each weight.

    Raises:
        Unstackable: If the optimizer does not update all of them, or has a group without any.
    """
    groups = enumerate(optimizer.param_groups)
    place_of = {id(weight): place for place, group in groups for weight in group["params"]}
    if not all(id(weight) in place_of for weight in weights):
        raise Unstackable("its optimizer does not update all weights that have a gradient")
    places = [place_of[id(weight)] for weight in weights]
    if set(places) != set(range(len(optimizer.param_groups))):
        raise Unstackable("a parameter group of its optimizer has no weight that is trained")
    return places


def options_of(rule: UpdateFunction, optimizer: torch.optim.Optimizer) -> list[float]:
    """The present options of an optimizer: those of its first group in the rule's order, then of the next group.

    Example:
        >>> optimizer = torch.optim.Adam([torch.zeros(1)], lr=0.5)
        >>> options_of(find_rule([optimizer]), optimizer)
        [0.5, 0.9, 0.999, 1e-08, 0.0]
    """
    values: list[float] = []
    for group in optimizer.param_groups:
        known = dict(group)
        if "betas" in known:
            known["beta1"], known["beta2"] = known["betas"]
        values += [float(known.get(name, 0.0)) for name in rule.options]
    return values
