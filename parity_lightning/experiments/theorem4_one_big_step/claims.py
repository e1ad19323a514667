"""What is claimed of the network after one large step."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from parity_lightning.experiments.estimates import share_estimate
from parity_lightning.experiments.theorem4_one_big_step.rows import Result, normal_reach
from parity_lightning.statistics.survival import share_of
from parity_lightning.studies.claims import Claim, Estimate, Statement

_THEOREM = (
    "training a ReLU MLP of size r = O(2^k k log(k/epsilon)) with batch size B = n^O(k) log^2(r/epsilon) for "
    "T = poly(k, r, 1/epsilon) iterations on D_S w.r.t. the hinge loss, finds a network f(x; theta_t) with expected "
    "loss: E[l(f(x; theta_t), y)] <= epsilon"
)


def make_claims(cells: Sequence[Sequence[Result]], epsilon: float, tested: int, together: int) -> list[Claim]:
    """The claims about one n and k.

    Args:
        cells: The trials of each batch size, by ascending size.
        epsilon: Which expected hinge loss is to be reached.
        tested: On how many fresh examples each trial was tested.
        together: For how many pairs of n and k the same is claimed; intervals cover all of them at 95 % together.
    """
    large, level = cells[-1], 1 - 0.05 / together
    weights = [_weights_claim(large, level)] if any(len(each.weights) for each in large) else []
    loss = _loss_claim(large, epsilon, 1 - 0.05 / (together * len(large)))
    return [loss, _lucky_claim(large, level), *weights, _small_batch_claim(cells[0], tested)]


def _name(cell: Sequence[Result]) -> tuple[str, str]:
    """An id and a text that say which n and k."""
    return f"n{cell[0].n}-k{cell[0].k}", f"n={cell[0].n}, k={cell[0].k}"


def _loss_claim(cell: Sequence[Result], epsilon: float, level: float) -> Claim:
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


def _lucky_claim(cell: Sequence[Result], level: float) -> Claim:
    key, name = _name(cell)
    # Of two copies at most one is lucky: pairs are independent, neurons are not.
    pairs = sum(each.width // 2 for each in cell)
    share, low, high = share_of(sum(each.lucky for each in cell), pairs, level)
    expected = 2.0 ** -cell[0].k
    statement = Statement(f"lucky-{key}", f"{name}: the share of lucky neurons", paper=expected)
    return Claim.contains(statement, Estimate(share / 2, low / 2, high / 2, n=pairs), expected)


def _weights_claim(cell: Sequence[Result], level: float) -> Claim:
    key, name = _name(cell)
    weights = np.concatenate([each.weights for each in cell])
    mean = float(weights.mean())
    error = math.hypot(*(len(each.weights) * each.weights_error for each in cell)) / len(weights)
    reach = normal_reach(level) * error
    statement = Statement(f"weights-{key}", f"{name}: 2k times the lucky neurons' weights on S", paper=1.0)
    return Claim.contains(statement, Estimate(mean, mean - reach, mean + reach, n=len(weights)), 1.0)


def _small_batch_claim(cell: Sequence[Result], tested: int) -> Claim:
    key, name = _name(cell)
    text = f"{name}: the error after a batch of {cell[0].batch:,} only, for comparison"
    statement = Statement(f"small-batch-{key}", text, paper="no claim in the paper; chance is 1/2")
    return Claim.reported(statement, share_estimate(sum(each.wrong for each in cell), tested * len(cell)))
