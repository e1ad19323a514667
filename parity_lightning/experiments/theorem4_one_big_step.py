"""One large step over a large batch finds the features that solve the parity problem (Section 4.1, Theorem 4)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Annotated, NamedTuple

import numpy as np
import torch
from matplotlib.figure import Figure
from scipy import stats
from torch import Tensor

from parity_lightning.data.sparse_parity import SparseParity
from parity_lightning.display.style import GRAY, color_of, legend_below
from parity_lightning.engine.stack import Stack
from parity_lightning.engine.trainable import NetworkWithLoss
from parity_lightning.errors import SettingError
from parity_lightning.experiments.findings import Findings
from parity_lightning.experiments.options import BoundedOptions, Bounds, Count, Seed
from parity_lightning.experiments.training import train_online
from parity_lightning.optim.losses import find_loss
from parity_lightning.statistics.survival import share_of
from parity_lightning.studies.claims import Claim, Estimate, Statement
from parity_lightning.theory.majority import majority_coefficient
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
"""The first batch is a 256th of one that is large enough, a sixteenth of it, and all of it."""
_BATCH_SIZE = 128
_RATE = 0.2
_SPREAD_SAMPLES = 10_000

_THEOREM = (
    "training a ReLU MLP of size r = O(2^k k log(k/epsilon)) with batch size B = n^O(k) log^2(r/epsilon) for "
    "T = poly(k, r, 1/epsilon) iterations on D_S w.r.t. the hinge loss, finds a network f(x; theta_t) with expected "
    "loss: E[l(f(x; theta_t), y)] <= epsilon"
)


@dataclass(frozen=True)
class Options(BoundedOptions):
    """Options of the experiment.

    Attributes:
        n: Numbers of inputs, odd.
        k: Sizes of the support, even.
        trials: How many trials each, with a support, an initialization and samples of its own.
        steps: Steps of the second layer.
        tested: Fresh examples on which error and loss are measured; the interval of the loss is that of a normal mean.
        epsilon: Which expected hinge loss is to be reached.
        at_most: Pairs of n and k that need a larger first batch are left out, and named.
        seed: Where the seeds of trials start.
    """

    n: Annotated[tuple[int, ...], Bounds(at_least=6)] = (31, 51)
    k: Annotated[tuple[int, ...], Bounds(at_least=2)] = (2, 4)
    trials: Count = 2
    steps: Count = 8_000
    tested: Annotated[int, Bounds(at_least=1_000)] = 20_000
    epsilon: Annotated[float, Bounds(above=0, below=1)] = 0.1
    at_most: Count = 5_000_000
    seed: Seed = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        for k in self.k:
            if k % 2:
                raise SettingError("k", k, "must be even: majority has no coefficients of even sizes")
        for n in self.n:
            if n < 3 * max(self.k):
                raise SettingError("n", n, f"must be at least {3 * max(self.k)}")
            if n % 2 == 0:
                raise SettingError("n", n, "must be odd")
        if not self.tried:
            least = min(_batch(*pair) for pair in self.left_out)
            hint = f"must be at least {least}" if least < math.inf else "leaves nothing: give smaller n or k"
            raise SettingError("at_most", self.at_most, hint)

    @property
    def pairs(self) -> list[tuple[int, int]]:
        """All pairs of n and k."""
        return [(n, k) for k in self.k for n in sorted(self.n)]

    @property
    def tried(self) -> list[tuple[int, int]]:
        """The pairs whose first batch is not too large."""
        return [pair for pair in self.pairs if _batch(*pair) <= self.at_most]

    @property
    def left_out(self) -> list[tuple[int, int]]:
        """The other pairs."""
        return [pair for pair in self.pairs if _batch(*pair) > self.at_most]


class _Result(NamedTuple):
    """A trial with one batch size.

    Attributes:
        weights: The lucky neurons' weights on S in units of 1/(2k), of shape ``(lucky, k)``.
        weights_error: The standard error of the mean of these weights; 0 if there are none.
        leaks: The squares of their weights off S in the same units, summed: of shape ``(lucky,)``.
        hinge_error: The standard error of the hinge loss.
    """

    n: int
    k: int
    width: int
    batch: int
    seed: int
    lucky: int
    weights: np.ndarray
    weights_error: float
    leaks: np.ndarray
    wrong: int
    hinge: float
    hinge_error: float

    def loss_interval(self, level: float = 0.95) -> tuple[float, float]:
        reach = _reach(level) * self.hinge_error
        return self.hinge - reach, self.hinge + reach


class Row(NamedTuple):
    """What the trials with one batch size did.

    Attributes:
        n: Number of inputs.
        k: Size of the support.
        batch: Examples B of the first batch.
        lucky: The share of neurons that become features.
        expected: The share that is expected, 2^-k.
        on_support: The mean of the lucky neurons' weights on S times 2k, if there are lucky neurons.
        off_support: The root mean square of the norms of their weights off S times 2k.
        law: What the law of the noise says of that norm.
        error: The share of test examples that are wrong after the second layer was trained.
        hinge: The mean hinge loss.
        worst: The hinge loss of the worst trial.
    """

    n: int
    k: int
    batch: int
    lucky: float
    expected: float
    on_support: float | None
    off_support: float | None
    law: float
    error: float
    hinge: float
    worst: float


class Trial(NamedTuple):
    """One trial with one batch size, its error and hinge loss with intervals."""

    n: int
    k: int
    width: int
    batch: int
    seed: int
    lucky: int
    error: float
    error_low: float
    error_high: float
    hinge: float
    hinge_low: float
    hinge_high: float


def run(options: Options) -> Findings:
    """Runs the algorithm of Theorem 4 with a batch that is large enough, a sixteenth of it and a 256th."""
    steps, tested, pairs = options.steps, options.tested, options.tried
    # For each pair and batch size its trials.
    cells = [cell for pair in pairs for cell in _train(*pair, options)]
    claims = []
    for place in range(0, len(cells), len(_PARTS)):
        claims += _claims(cells[place : place + len(_PARTS)], options.epsilon, tested, len(pairs))
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
    return Findings(rows, claims, partial(_draw, rows, options.epsilon), choices, {"trials": trials})


def _batch(n: int, k: int) -> float:
    """A whole number; infinity where the coefficient is so small that no option could ask for the batch."""
    signal, noise = majority_coefficient(n, k - 1) ** 2, 4 * (n - k)
    return math.ceil(noise / signal) if noise < 2**64 * signal else math.inf


def _reach(level: float) -> float:
    """How many standard errors an interval reaches to either side."""
    return float(stats.norm.ppf((1 + level) / 2))


def _train(n: int, k: int, options: Options) -> list[list[_Result]]:
    """For each batch size its trials."""
    parities = [SparseParity(n, k, seed=options.seed + trial) for trial in range(options.trials)]
    starts = [symmetric_network(n, k, 8 * k * 2**k, parity.seed) for parity in parities]
    batches = [max(1, int(_batch(n, k)) // part) for part in _PARTS]
    stepped = [
        [big_step(start, gradient, k) for gradient in sampled_gradients(start, parity, batches)]
        for start, parity in zip(starts, parities, strict=True)
    ]
    # The second layers of all trials with all batch sizes side by side.
    stack = Stack.of(
        [NetworkWithLoss(network, find_loss("hinge")) for own in stepped for network in own],
        [parity for parity in parities for _ in batches],
        lambda weights: torch.optim.SGD(weights, lr=_RATE),
        _BATCH_SIZE,
    )
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


def _result(start: Network, stepped: Network, second: Tensor, batch: int, parity: SparseParity, tested: int) -> _Result:
    n, k = parity.n, parity.k
    lucky = lucky_neurons(start, parity.support)
    within = np.isin(np.arange(n), parity.support)
    scaled = 2 * k * stepped.weights[lucky].double().numpy()
    spread = spread_on_support(start, parity, _SPREAD_SAMPLES) if lucky.any() else 0.0
    margin = margins(Network(stepped.weights, stepped.biases, second), parity, tested).double()
    hinge = (1 - margin).clamp(min=0)
    return _Result(
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
        float(hinge.mean()),
        float(hinge.std()) / math.sqrt(tested),
    )


def _leak(n: int, k: int, batch: float) -> float:
    """The law of the norm of a lucky neuron's weights off S, in units of 1/(2k): outer coefficients and noise."""
    return math.sqrt((k - 1) ** 2 / (n - k) + 2 * (n - k) / (batch * majority_coefficient(n, k - 1) ** 2))


def _row(cell: Sequence[_Result], tested: int) -> Row:
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
        _leak(first.n, first.k, first.batch),
        sum(each.wrong for each in cell) / (tested * len(cell)),
        sum(each.hinge for each in cell) / len(cell),
        max(each.hinge for each in cell),
    )


def _trial(each: _Result, tested: int) -> Trial:
    error, interval = share_of(each.wrong, tested), each.loss_interval()
    return Trial(each.n, each.k, each.width, each.batch, each.seed, each.lucky, *error, each.hinge, *interval)


def _claims(cells: Sequence[Sequence[_Result]], epsilon: float, tested: int, together: int) -> list[Claim]:
    """The claims about one n and k, of which the batches ascend, beside those about others: so many together."""
    large, level = cells[-1], 1 - 0.05 / together
    weights = [_weights_claim(large, level)] if any(len(each.weights) for each in large) else []
    loss = _loss_claim(large, epsilon, 1 - 0.05 / (together * len(large)))
    return [loss, _lucky_claim(large, level), *weights, _small_batch_claim(cells[0], tested)]


def _name(cell: Sequence[_Result]) -> tuple[str, str]:
    """An id and a text that say which n and k."""
    return f"n{cell[0].n}-k{cell[0].k}", f"n={cell[0].n}, k={cell[0].k}"


def _loss_claim(cell: Sequence[_Result], epsilon: float, level: float) -> Claim:
    key, name = _name(cell)
    intervals = [each.loss_interval(level) for each in cell]
    text = f"{name}: after a batch of {cell[0].batch:,} the expected loss is at most epsilon"
    found = Estimate(
        sum(each.hinge for each in cell) / len(cell),
        min(low for low, _ in intervals),
        max(high for _, high in intervals),
        n=len(cell),
    )
    return Claim.at_most(Statement(f"loss-{key}", text, "Theorem 4", _THEOREM, epsilon), found, epsilon)


def _lucky_claim(cell: Sequence[_Result], level: float) -> Claim:
    key, name = _name(cell)
    # Of two copies at most one is lucky: pairs are independent, neurons are not.
    pairs = sum(each.width // 2 for each in cell)
    share, low, high = share_of(sum(each.lucky for each in cell), pairs, level)
    expected = 2.0 ** -cell[0].k
    statement = Statement(f"lucky-{key}", f"{name}: the share of lucky neurons", paper=expected)
    return Claim.contains(statement, Estimate(share / 2, low / 2, high / 2, n=pairs), expected)


def _weights_claim(cell: Sequence[_Result], level: float) -> Claim:
    key, name = _name(cell)
    weights = np.concatenate([each.weights for each in cell])
    mean = float(weights.mean())
    error = math.hypot(*(len(each.weights) * each.weights_error for each in cell)) / len(weights)
    reach = _reach(level) * error
    statement = Statement(f"weights-{key}", f"{name}: 2k times the lucky neurons' weights on S", paper=1.0)
    return Claim.contains(statement, Estimate(mean, mean - reach, mean + reach, n=len(weights)), 1.0)


def _small_batch_claim(cell: Sequence[_Result], tested: int) -> Claim:
    key, name = _name(cell)
    text = f"{name}: the error after a batch of {cell[0].batch:,} only, for comparison"
    statement = Statement(f"small-batch-{key}", text, paper="no claim in the paper; chance is 1/2")
    examples = tested * len(cell)
    return Claim.reported(statement, Estimate(*share_of(sum(each.wrong for each in cell), examples), n=examples))


def _draw(rows: Sequence[Row], epsilon: float, figure: Figure) -> None:
    left, right = figure.subplots(1, 2)
    for number, (n, k) in enumerate(dict.fromkeys((row.n, row.k) for row in rows)):
        own = [row for row in rows if (row.n, row.k) == (n, k)]
        batches, color, label = [row.batch for row in own], color_of(number), f"n={n}, k={k}"
        # A gap where no neuron is lucky.
        left.loglog(batches, [row.off_support or math.nan for row in own], "o", color=color, label=label)
        fine = np.geomspace(batches[0], batches[-1], 50)
        left.loglog(fine, [_leak(n, k, batch) for batch in fine], color=color, label="law" if number == 0 else None)
        right.loglog(batches, [max(row.error, 1e-5) for row in own], "o-", color=color)
        right.loglog(batches, [max(row.hinge, 1e-5) for row in own], "s--", color=color)
    left.axhline(1, color=GRAY, linestyle="--", label="1/(2k), the weights on S")
    left.set(xlabel="first batch B", ylabel="norm off S, in 1/(2k)")
    left.set_title("Lucky neurons after one step")
    right.axhline(epsilon, color=GRAY, linestyle=":", label="epsilon, for the loss")
    right.set(xlabel="first batch B", ylabel="error, hinge loss (drawn at least 1e-5)")
    right.set_title("Then: error (solid), hinge loss (dashed)")
    legend_below(figure, columns=4)
