"""Convergence times of many ReLU networks trained side by side, without Lightning."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from parity_lightning.data.held_out import HELD_OUT
from parity_lightning.data.parity_stack import stack_parities
from parity_lightning.data.sparse_parity import SparseParity
from parity_lightning.engine.evaluation import screen_then_confirm
from parity_lightning.engine.stack import Stack
from parity_lightning.experiments.relu_networks import draw_networks
from parity_lightning.experiments.training import drop_trials, stack_networks, train_online
from parity_lightning.experiments.work_limits import SCREENED_EXAMPLES
from parity_lightning.measures.accuracy import is_error


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

    All parameters are uniform by Xavier's convention at first, and there is no output bias (Section 3.1). A network
    that is solved leaves the stack.

    Args:
        parities: A parity for each network, all of the same n and k.
        width: Hidden units r.
        batch_size: Examples B in a batch.
        lr: The learning rate.
        every: After how many steps networks are evaluated.
        max_steps: How many steps each is given.
        seed: Decides the initial weights.

    Returns:
        float64 of shape ``(trials,)``: convergence times t_c in steps, the first evaluation with no error on 2^13
        held-out examples; infinite where every evaluation has one.
    """
    n, k = parities[0].n, parities[0].k
    networks = draw_networks(n, k, width, len(parities), seed)
    stack = stack_networks(networks, parities, batch_size, lr)
    screen = stack_parities(parities).draw(torch.arange(SCREENED_EXAMPLES), n, "validation", noisy=False)
    times = np.full(len(parities), np.inf)
    # The trial at each place of the stack.
    trials = list(range(len(parities)))
    for step in range(every, max_steps + 1, every):
        train_online(stack, every, batch_size, first=(step - every) * batch_size)
        solved = _solved(stack, *(part[trials] for part in screen))
        for place in solved:
            times[trials[place]] = step
        drop_trials(stack, trials, solved)
        if not trials:
            break
    return times


def _solved(stack: Stack, x: Tensor, y: Tensor) -> list[int]:
    """The places of trials that are right on the screen of examples x, y, and on all held-out examples, ascending."""

    def count_errors(first: int, end: int, places: Tensor | None) -> Tensor:
        if places is None:
            return is_error(stack.predict(x), y).sum(-1)
        return stack.errors(first, end, places)

    errors = screen_then_confirm(count_errors, screen_size=len(y[0]), total=HELD_OUT).errors
    return (errors == 0).nonzero()[:, 0].tolist()
