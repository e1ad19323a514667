"""The options that the optimizer of a trial has at each step."""

from __future__ import annotations

import warnings

import torch
from torch import Tensor
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from parity_lightning.engine.update_rules import UpdateFunction, options_of

_CHUNK = 1024


class OptimizerOptions:
    """Learning rate, weight decay and the like, step by step: constant, or what a schedule makes of them.

    Args:
        optimizer: The optimizer; none of its parameters has a gradient.
        schedule: The schedule that steps with it, if there is one.
        rule: Which options are read.
    """

    def __init__(self, optimizer: Optimizer, schedule: LRScheduler | None, rule: UpdateFunction) -> None:
        self._rule = rule
        self._optimizer, self._schedule = optimizer, schedule
        self._known = torch.tensor([options_of(rule, self._optimizer)], dtype=torch.float64)

    @property
    def is_constant(self) -> bool:
        """Whether there is no schedule."""
        return self._schedule is None

    @property
    def first(self) -> list[float]:
        """The options of the first step, in the order of `options_of`."""
        values: list[float] = self._known[0].tolist()
        return values

    def of_steps(self, first: int, end: int) -> Tensor:
        """The options of the steps ``first .. end - 1``.

        Returns:
            float64 tensor of shape ``(end - first, options)``.
        """
        if self._schedule is None:
            return self._known.expand(end - first, -1)
        while len(self._known) < end:
            self._extend()
        return self._known[first:end]

    def _extend(self) -> None:
        rows = []
        with warnings.catch_warnings():
            # That the optimizer has not stepped: no parameter has a gradient, so its steps change nothing.
            warnings.simplefilter("ignore")
            for _ in range(_CHUNK):
                self._optimizer.step()
                assert self._schedule is not None
                self._schedule.step()
                rows.append(options_of(self._rule, self._optimizer))
        self._known = torch.cat([self._known, torch.tensor(rows, dtype=torch.float64)])
