"""ReLU networks with the initial weights of the paper's experiments."""

from __future__ import annotations

import torch

from parity_lightning.nets.initializations import initialize
from parity_lightning.nets.mlp import TwoLayerMLP


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
