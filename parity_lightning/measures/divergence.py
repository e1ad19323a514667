"""When training has diverged."""

from __future__ import annotations

import torch
from torch import Tensor


def first_divergence(losses: Tensor) -> Tensor:
    """The first step at which the loss is not a finite number.

    Args:
        losses: Of each step and trial, of shape ``(steps, ...)``.

    Returns:
        int64 of shape ``(...)``: the index of that step; ``steps`` where all losses are finite.

    Example:
        >>> losses = torch.tensor([[1.0, 1.0], [torch.nan, 1.0], [torch.inf, 1.0]])
        >>> first_divergence(losses)
        tensor([1, 3])
    """
    bad = ~torch.isfinite(losses)
    return torch.where(bad.any(0), bad.byte().argmax(0), len(losses))
