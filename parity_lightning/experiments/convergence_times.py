"""Convergence times of many ReLU networks trained side by side, without Lightning."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from parity_lightning.data.parity_stack import ParityStack, stack_parities
from parity_lightning.data.sparse_parity import SparseParity
from parity_lightning.engine.side_by_side import descend, predictor
from parity_lightning.experiments.work_limits import SCREENED_EXAMPLES
from parity_lightning.nets.initializations import initialize
from parity_lightning.nets.mlp import TwoLayerMLP

HELD_OUT = 2**13
"""How many held-out examples a solved network is right on."""


def train(
    parities: Sequence[SparseParity],
    width: int,
    batch_size: int,
    lr: float,
    every: int,
    max_steps: int,
    seed: int = 0,
) -> np.ndarray:
    """Trains a ReLU network on each parity, side by side, by SGD on the hinge loss of fresh batches.

    All parameters are uniform by Xavier's convention at first, and there is no output bias (Section 3.1).

    Args:
        parities: A parity for each network, all of the same n and k.
        width: Hidden units r.
        batch_size: Examples B in a batch.
        lr: The learning rate.
        every: After how many steps to look whether networks are right.
        max_steps: How many steps each is given.
        seed: Decides the initial weights.

    Returns:
        float64 of shape ``(trials,)``: convergence times t_c in steps, the first look at which there is not one error
        on 2^13 held-out examples; infinite where there was an error at each.
    """
    n, k, stack = parities[0].n, parities[0].k, stack_parities(parities)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        networks = [TwoLayerMLP(n, k, width) for _ in parities]
        for network in networks:
            initialize(network, "uniform")
    predict = predictor(networks[0])
    times, training = np.full(len(parities), np.inf), torch.arange(len(parities))
    x, y = stack.draw(torch.arange(SCREENED_EXAMPLES), n, "validation", noisy=False)
    trained = descend(networks, parities, steps=max_steps, every=every, batch_size=batch_size, lr=lr)
    for step, parameters in trained:
        if step == 0 or step % every:
            continue
        with torch.no_grad():
            own = {name: each[training] for name, each in parameters.items()}
            right = (predict(own, x[training]) * y[training] > 0).all(-1)
            # One network after the other: their held-out examples are many.
            for place in right.nonzero()[:, 0].tolist():
                alone = slice(int(training[place]), int(training[place]) + 1)
                held_out = ParityStack(*(part[alone] for part in stack))
                inputs, labels = held_out.draw(torch.arange(HELD_OUT), n, "validation", noisy=False)
                one = {name: each[alone] for name, each in parameters.items()}
                right[place] = (predict(one, inputs) * labels > 0).all()
        times[training[right].numpy()] = step
        training = training[~right]
        if not len(training):
            break
    return times
