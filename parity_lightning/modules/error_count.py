"""Exact counts of errors, on one device or over several."""

from __future__ import annotations

import torch
from torch import Tensor
from torchmetrics import Metric

from parity_lightning.measures.accuracy import is_error


class ErrorCount(Metric):
    """Counts errors and examples, summed over devices.

    Example:
        >>> count = ErrorCount()
        >>> count.update(torch.tensor([0.3, -0.1]), torch.tensor([1.0, 1.0]))
        >>> count.compute()
        tensor([1, 2])
    """

    full_state_update = False
    higher_is_better = False
    count: Tensor

    def __init__(self) -> None:
        # The count goes on after it was read: an evaluation reads the screen's, then counts the rest.
        super().__init__(compute_with_cache=False)
        self.add_state("count", torch.zeros(2, dtype=torch.int64), dist_reduce_fx="sum")

    def update(self, prediction: Tensor, y: Tensor) -> None:
        """Counts the errors of predictions against labels of the same shape."""
        errors = is_error(prediction, y).sum()
        # Not in place: a count that was set to 0 in inference mode could not be changed outside of it.
        self.count = self.count + torch.stack([errors, torch.full_like(errors, y.numel())])

    def compute(self) -> Tensor:
        """Errors and examples so far on all devices: int64 of shape ``(2,)``."""
        return self.count
