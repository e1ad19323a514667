"""Stacks of ReLU networks, trained side by side by the engine without Lightning."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from parity_lightning.data.sparse_parity import SparseParity
from parity_lightning.engine.stack import Stack
from parity_lightning.engine.trainable import NetworkWithLoss
from parity_lightning.nets.initializations import initialize
from parity_lightning.nets.mlp import TwoLayerMLP
from parity_lightning.optim.losses import find_loss
from parity_lightning.optim.optimizers import SGDW

LOSS = "hinge"
"""What they are trained on."""


def draw_networks(n: int, k: int, width: int, count: int, seed: int) -> list[TwoLayerMLP]:
    """Draws ReLU networks, all parameters uniform by Xavier's convention and no output bias (Section 3.1).

    Args:
        n: How many inputs.
        k: The size of the support.
        width: Hidden units r.
        count: How many networks.
        seed: Decides the weights of all of them.

    Example:
        >>> first, second = draw_networks(6, 2, 4, count=2, seed=0)
        >>> bool((first.hidden.weight == second.hidden.weight).any())
        False
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        networks = [TwoLayerMLP(n, k, width) for _ in range(count)]
        for network in networks:
            initialize(network, "uniform")
    return networks


def stack_networks(
    networks: Sequence[TwoLayerMLP], parities: Sequence[SparseParity], batch_size: int, lr: float, decay: float = 0.0
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
    return Stack.of(trainables, parities, lambda weights: SGDW(weights, lr=lr, decay=decay), batch_size)
