"""Trains the first layer by one large step, then the second layer."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial

import numpy as np
from torch import Tensor

from parity_lightning.data.sparse_parity import SparseParity
from parity_lightning.experiments.estimates import mean_with_error
from parity_lightning.experiments.findings import Findings
from parity_lightning.experiments.theorem4_one_big_step.claims import make_claims
from parity_lightning.experiments.theorem4_one_big_step.laws import first_batch, norm_off_support
from parity_lightning.experiments.theorem4_one_big_step.options import Options
from parity_lightning.experiments.theorem4_one_big_step.picture import draw_picture
from parity_lightning.experiments.theorem4_one_big_step.rows import Result, Row, Trial
from parity_lightning.experiments.training import stack_networks, train_online
from parity_lightning.statistics.survival import share_of
from parity_lightning.theory.one_big_step import (
    Network,
    big_step,
    lucky_neurons,
    margins,
    sampled_gradients,
    spread_on_support,
    symmetric_network,
)

_PARTS = (256, 16, 1)
"""The batches tried are the one that is large enough, divided by these numbers."""

_BATCH_SIZE = 128
_RATE = 0.2
_SPREAD_SAMPLES = 10_000


def run(options: Options) -> Findings:
    """Runs the algorithm of Theorem 4 with a batch that is large enough, a sixteenth of it and a 256th."""
    steps, tested, pairs = options.steps, options.tested, options.tried
    # The trials of each pair and batch size.
    cells = [cell for pair in pairs for cell in _train(*pair, options)]
    claims = []
    for place in range(0, len(cells), len(_PARTS)):
        claims += make_claims(cells[place : place + len(_PARTS)], options.epsilon, tested, len(pairs))
    choices = (
        "width 8 k 2^k, in pairs with the same weights of signs and u=+1 and -1; biases uniform on -1+1/k, ..., 1-1/k",
        "first batch: 4 (n-k) / xi^2, xi being majority's coefficient at k-1: the noise off S is 0.7/(2k) in norm",
        "the first step moves the first layer's weights only, no biases and no second layer",
        f"second layer: plain SGD from u=+1 and -1, {steps} steps, rate {_RATE}, B={_BATCH_SIZE}, fresh examples",
        "epsilon, width and the second layer's schedule: taken after a shorter one had missed epsilon at (31, 4); the "
        "theorem says that there is one",
        f"error and loss: {tested} fresh examples each trial; an output of 0 is an error",
        "the loss: its interval spans those of all trials, so it holds if all reach epsilon and does not if none does",
        "weights on and off the support: the lucky neurons' mean and root mean square norm, in units of 1/(2k)",
        f"intervals of loss, lucky share and weights on S: simultaneous (Bonferroni over {len(pairs)} of a kind)",
        *(f"left out, more than {options.at_most} examples: n={n}, k={k}" for n, k in options.left_out),
    )
    rows = [_row(cell, tested) for cell in cells]
    trials = [_trial(each, tested) for cell in cells for each in cell]
    return Findings(rows, claims, partial(draw_picture, rows, options.epsilon), choices, {"trials": trials})


def _train(n: int, k: int, options: Options) -> list[list[Result]]:
    """Runs the trials of one n and k; those of each batch size together, by ascending size."""
    parities = [SparseParity(n, k, seed=options.seed + trial) for trial in range(options.trials)]
    starts = [symmetric_network(n, k, 8 * k * 2**k, parity.seed) for parity in parities]
    batches = [max(1, int(first_batch(n, k)) // part) for part in _PARTS]
    stepped = [
        [big_step(start, gradient, k) for gradient in sampled_gradients(start, parity, batches)]
        for start, parity in zip(starts, parities, strict=True)
    ]
    # The second layers of all trials with all batch sizes side by side.
    networks = [network for own in stepped for network in own]
    stack = stack_networks(networks, [parity for parity in parities for _ in batches], _BATCH_SIZE, _RATE)
    # Examples that no first batch has used.
    train_online(stack, options.steps, _BATCH_SIZE, first=batches[-1])
    learned = iter(stack.weights["network.second"])
    results = [
        [
            _result(start, network, next(learned), batch, parity, options.tested)
            for network, batch in zip(own, batches, strict=True)
        ]
        for start, own, parity in zip(starts, stepped, parities, strict=True)
    ]
    return [list(cell) for cell in zip(*results, strict=True)]


def _result(start: Network, stepped: Network, second: Tensor, batch: int, parity: SparseParity, tested: int) -> Result:
    n, k = parity.n, parity.k
    lucky = lucky_neurons(start, parity.support)
    within = np.isin(np.arange(n), parity.support)
    scaled = 2 * k * stepped.weights[lucky].double().numpy()
    spread = spread_on_support(start, parity, _SPREAD_SAMPLES) if lucky.any() else 0.0
    margin = margins(Network(stepped.weights, stepped.biases, second), parity, tested).double()
    return Result(
        n,
        k,
        len(start.weights),
        batch,
        parity.seed,
        int(lucky.sum()),
        scaled[:, within],
        spread / math.sqrt(batch),
        np.square(scaled[:, ~within]).sum(-1),
        int((margin <= 0).sum()),
        *mean_with_error((1 - margin).clamp(min=0)),
    )


def _row(cell: Sequence[Result], tested: int) -> Row:
    first, neurons = cell[0], sum(each.width for each in cell)
    weights = np.concatenate([each.weights for each in cell])
    leaks = np.concatenate([each.leaks for each in cell])
    return Row(
        first.n,
        first.k,
        first.batch,
        sum(each.lucky for each in cell) / neurons,
        2.0**-first.k,
        float(weights.mean()) if len(weights) else None,
        float(np.sqrt(leaks.mean())) if len(leaks) else None,
        norm_off_support(first.n, first.k, first.batch),
        sum(each.wrong for each in cell) / (tested * len(cell)),
        sum(each.hinge for each in cell) / len(cell),
        max(each.hinge for each in cell),
    )


def _trial(each: Result, tested: int) -> Trial:
    error, interval = share_of(each.wrong, tested), each.loss_interval()
    return Trial(each.n, each.k, each.width, each.batch, each.seed, each.lucky, *error, each.hinge, *interval)
