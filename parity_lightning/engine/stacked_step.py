"""One SGD step, and one evaluation, of a stack of trials."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import torch
from torch import Tensor

from parity_lightning.engine.objective import Objective
from parity_lightning.engine.update_rules import UpdateFunction
from parity_lightning.measures.accuracy import is_error


class StackedStep:
    """One SGD step of every trial of a stack, which changes weights and optimizer state in place.

    It is a function of tensors and of nothing else, so that it can be traced and compiled as a whole.

    Args:
        objective: What is trained.
        rule: How weights are updated.
        groups: For each trainable tensor, the number of its parameter group.
    """

    def __init__(self, objective: Objective, rule: UpdateFunction, groups: Sequence[int]) -> None:
        self._objective = objective
        self._rule = rule
        self._groups = groups

    def __call__(
        self,
        x: Tensor,
        y: Tensor,
        options: Tensor,
        steps: Tensor,
        trainable: Sequence[Tensor],
        state: Sequence[Tensor],
        frozen: Sequence[Tensor],
    ) -> tuple[Tensor, Tensor]:
        """Takes the step.

        Args:
            x: Inputs of shape ``(T, B, n)``.
            y: Labels of shape ``(T, B)``.
            options: Of the optimizers, float64 of shape ``(T, options)``, in the order of `options_of`.
            steps: How many updates each optimizer has made, float64 of shape ``(T,)``; counted here.
            trainable: The weights, each of shape ``(T, ...)``.
            state: The optimizers' state of the first weight, of the next, and so on; shaped as the weights.
            frozen: Other tensors of the network.

        Returns:
            The mean losses before the update, and how many examples were predicted wrongly, both of shape ``(T,)``.
        """
        gradients, loss, prediction = self._objective.gradients(trainable, frozen, x, y)
        steps += 1
        names, kept = self._rule.options, len(self._rule.state)
        for number, (weight, gradient, group) in enumerate(zip(trainable, gradients, self._groups, strict=True)):
            shape = (-1, *(1 for _ in weight.shape[1:]))
            first = group * len(names)
            option = {name: options[:, first + place].view(shape) for place, name in enumerate(names)}
            own = state[number * kept : (number + 1) * kept]
            new, new_own = self._rule(weight, gradient, own, option, steps.view(shape))
            weight.copy_(new)
            for old, value in zip(own, new_own, strict=True):
                old.copy_(value)
        return loss, _count(is_error(prediction, y))


def _count(errors: Tensor) -> Tensor:
    # The compiler makes vector instructions of a sum of floats, and none of one of truth values. Exact up to 2^24.
    return errors.to(torch.float32).sum(-1).to(torch.int64)


class StackedEvaluation:
    """Counts how many of some held-out examples each trial of a stack predicts wrongly.

    Args:
        objective: What is trained.
    """

    def __init__(self, objective: Objective) -> None:
        self._objective = objective

    def __call__(
        self,
        counted: Tensor,
        x: Tensor,
        y: Tensor,
        trainable: Sequence[Tensor],
        frozen: Sequence[Tensor],
    ) -> Tensor:
        """Counts.

        Args:
            counted: Which of the examples to count, bool of shape ``(v,)``.
            x: Inputs of shape ``(T, v, n)``.
            y: Labels of shape ``(T, v)``.
            trainable: The weights, each of shape ``(T, ...)``.
            frozen: Other tensors of the network.

        Returns:
            The numbers of errors, int64 of shape ``(T,)``.
        """
        _, prediction = self._objective.losses(trainable, frozen, x, y)
        return _count(is_error(prediction, y) & counted)


@cache
def places_of(first: int, end: int, count: int) -> tuple[Tensor, Tensor]:
    """The places ``first .. end - 1``, at most ``count`` of them and filled up to that, and which of them to count.

    Example:
        >>> index, counted = places_of(256, 356, 128)
        >>> len(index), int(index[99]), int(counted.sum())
        (128, 355, 100)
    """
    index = torch.arange(first, first + count)
    counted = index < end
    return torch.where(counted, index, first), counted
