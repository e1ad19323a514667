"""Which predictions of a sign are wrong."""

from __future__ import annotations

from torch import Tensor


def is_error(prediction: Tensor, y: Tensor) -> Tensor:
    """Where the sign of a prediction is not the label: a prediction of 0 or NaN is an error.

    Example:
        >>> import torch
        >>> is_error(torch.tensor([0.3, 0.0, -2.0, torch.nan]), torch.tensor([1.0, 1.0, -1.0, 1.0]))
        tensor([False,  True, False,  True])
    """
    return ~(prediction * y > 0)
