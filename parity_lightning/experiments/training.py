"""Online SGD of a stack of networks for some steps."""

from __future__ import annotations

import torch

from parity_lightning.engine.stack import Stack, online_indices

_STEPS_AT_ONCE = 256


def train_online(stack: Stack, steps: int, batch_size: int, first: int = 0) -> None:
    """Trains all networks of a stack on fresh examples: step t takes those from ``first + t * batch_size`` on.

    Args:
        stack: The networks.
        steps: How many steps.
        batch_size: Examples B in a batch.
        first: The first training example to take.
    """
    for start in range(0, steps, _STEPS_AT_ONCE):
        taken = torch.full((stack.size,), start)
        stack.run(first + online_indices(taken, min(_STEPS_AT_ONCE, steps - start), batch_size))
