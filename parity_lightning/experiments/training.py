"""Stacks of networks, each trained by SGD on fresh examples of a parity of its own, without Lightning."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import suppress

import torch
from torch import nn

from parity_lightning.data.sparse_parity import SparseParity
from parity_lightning.engine.not_compiled import NotCompiled
from parity_lightning.engine.stack import Stack, online_indices
from parity_lightning.engine.trainable import NetworkWithLoss
from parity_lightning.errors import SettingError
from parity_lightning.optim.losses import find_loss
from parity_lightning.optim.optimizers import SGDW

LOSS = "hinge"
"""What all networks are trained on."""

_STEPS_AT_ONCE = 256


def stack_networks(
    networks: Sequence[nn.Module], parities: Sequence[SparseParity], batch_size: int, lr: float, decay: float = 0.0
) -> Stack:
    """A stack that trains networks, each on a parity of its own, by SGD on the hinge loss.

    Args:
        networks: Networks of one shape; their weights are copied.
        parities: As many parities of the same n and k.
        batch_size: Examples B in a batch.
        lr: The learning rate.
        decay: The weight decay as the paper has it; see `SGDW`.
    """
    trainables = [NetworkWithLoss(network, find_loss(LOSS)) for network in networks]
    stack = Stack.of(trainables, parities, lambda weights: SGDW(weights, lr=lr, decay=decay), batch_size)
    # Without a compiler, or a folder to keep the library in, steps are slower, and round differently.
    with suppress(NotCompiled, SettingError):
        stack.use_native_code()
    return stack


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


def drop_trials(stack: Stack, trials: list[int], places: Iterable[int]) -> None:
    """Takes networks out of a stack, and keeps the list of which trial is at which place.

    Args:
        stack: The networks.
        trials: The trial at each place of the stack; is changed.
        places: Which places to clear.
    """
    trials[:] = [trials[place] for place in stack.drop(list(places))]
