"""The network, trained on the same samples."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from parity_lightning.data.parity_stack import stack_parities
from parity_lightning.data.sparse_parity import SparseParity
from parity_lightning.experiments.theorem6_kernels.options import BATCH, Options
from parity_lightning.experiments.training import drop_trials, stack_networks
from parity_lightning.nets.mlp import TwoLayerMLP

LR = 0.1
"""The learning rate."""

_EVERY = 250
"""After how many steps networks are tested."""


def train_networks(
    networks: Sequence[TwoLayerMLP], parities: Sequence[SparseParity], options: Options
) -> list[tuple[Tensor, int]]:
    """Trains each network on the samples of its parity, by SGD on the hinge loss, until no test example is wrong.

    Args:
        networks: Networks of one shape.
        parities: A parity for each of them, all of one n and k.
        options: Options of the experiment.

    Returns:
        For each network its outputs at the test examples in the end, of shape ``(tested,)``, and the steps taken.
    """
    stack = stack_networks(networks, parities, BATCH, LR, options.decay)
    test_x, test_y = stack_parities(parities).draw(torch.arange(options.tested), parities[0].n, "test", noisy=False)
    found: dict[int, tuple[Tensor, int]] = {}
    # The trial at each place of the stack.
    trials, step = list(range(len(parities))), 0
    while True:
        outputs = stack.predict(test_x[trials])
        right = (outputs * test_y[trials] > 0).all(-1) | (step == options.steps)
        ended = right.nonzero()[:, 0].tolist()
        found |= {trials[place]: (outputs[place], step) for place in ended}
        drop_trials(stack, trials, ended)
        if not trials:
            return [found[trial] for trial in range(len(parities))]
        end = min(step + _EVERY, options.steps)
        indices = [_epochs(parities[trial], options.samples, step, end) for trial in trials]
        stack.run(torch.stack(indices, 1))
        step = end


def _epochs(parity: SparseParity, samples: int, first: int, end: int) -> Tensor:
    """The samples in the batches of the steps from ``first`` to before ``end``, int64 of shape ``(steps, B)``.

    Each epoch goes through the samples in an order of its own; samples that are left over at its end make no smaller
    batch.
    """
    batches = samples // BATCH
    epochs = torch.arange(first // batches, (end - 1) // batches + 1)
    orders = parity.shuffle(samples, epochs)[:, : batches * BATCH].reshape(-1, BATCH)
    skipped = first - int(epochs[0]) * batches
    return orders[skipped : skipped + end - first]
