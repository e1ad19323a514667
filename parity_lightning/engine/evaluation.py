"""Counting errors on held-out examples: a few first, all of them only where these are right."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from parity_lightning.data.held_out import HELD_OUT

BLOCK = 1024
"""How many examples are confirmed at a time."""


class ErrorCounts(NamedTuple):
    """The outcome of an evaluation of several trials.

    Attributes:
        errors: How many examples were predicted wrongly, int64 of shape ``(T,)``.
        examples: Of how many, int64 of shape ``(T,)``.
    """

    errors: Tensor
    examples: Tensor

    @property
    def accuracy(self) -> Tensor:
        """The share of right predictions, float32 of shape ``(T,)``."""
        return 1 - self.errors.float() / self.examples.float()


def screen_then_confirm(
    count_errors: Callable[[int, int, Tensor | None], Tensor],
    screen_size: int,
    total: int = HELD_OUT,
) -> ErrorCounts:
    """Counts errors on a screen of the first examples; trials without any there are confirmed on all of them.

    Confirming goes on block by block and ends for a trial at its first block with an error: a trial has 0 errors if and
    only if it is right on all examples.

    Args:
        count_errors: Counts the errors on the examples ``first .. end - 1`` of the trials with the given indices, or of
            all trials for None: an int64 tensor with one count a trial.
        screen_size: How many examples the screen has.
        total: How many examples there are.

    Example:
        >>> wrong_at = torch.tensor([3, 5000, 9000])
        >>> def count_errors(first, end, trials):
        ...     each = wrong_at if trials is None else wrong_at[trials]
        ...     return ((each >= first) & (each < end)).long()
        >>> screen_then_confirm(count_errors, screen_size=1024)
        ErrorCounts(errors=tensor([1, 1, 0]), examples=tensor([1024, 5120, 8192]))
    """
    screen_size = min(screen_size, total)
    errors = count_errors(0, screen_size, None)
    examples = torch.full_like(errors, screen_size)
    trials = (errors == 0).nonzero().squeeze(-1)
    for first in range(screen_size, total, BLOCK):
        if not len(trials):
            break
        end = min(first + BLOCK, total)
        errors[trials] += count_errors(first, end, trials)
        examples[trials] = end
        trials = trials[errors[trials] == 0]
    return ErrorCounts(errors, examples)
