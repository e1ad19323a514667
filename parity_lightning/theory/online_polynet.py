"""Online SGD with batches of one example on disjoint-PolyNets with the correlation loss (Theorem 8).

Many trials side by side, each with weights and examples of its own. Inputs are told times the relevant input of their
block, which then is 1 and stands first, and the others are random signs as before: a factor is right if its linear
form is positive, and the update of ``w_i`` is ``rate_i prod_{j != i} (w_j . x_j) x_i``.
"""

from __future__ import annotations

import math
from typing import Literal, NamedTuple, get_args

import numpy as np
from scipy import integrate

from parity_lightning.errors import SettingError, nearest
from parity_lightning.theory.gradient_flow import weight_at_error

Rates = Literal["oracle", "norm"]
"""How learning rates adapt: to the relevant weights, as the proof seems to, or to the norms, which anyone can see."""

_FLOOR = 0.5
_BYTES = 1.0 - 2.0 * ((np.arange(256)[:, None] >> np.arange(8)) & 1)
_AT_ONCE = 256


def theorem_steps(block_length: int, k: int, epsilon: float, delta: float) -> int:
    """The steps T that suffice by Theorem 8: ``T >= 6 log(2nT/delta) log(2k/epsilon) (3n'-2)^(2k-1)``.

    Args:
        block_length: The length n' of a block; n is k times as much.
        k: The size of the support.
        epsilon: The error to reach.
        delta: How probably the samples may mislead.

    Example:
        >>> theorem_steps(3, k=2, epsilon=0.1, delta=0.1)
        125471
    """
    factor = 6 * math.log(2 * k / epsilon) * math.pow(3 * block_length - 2, 2 * k - 1)
    steps = factor
    for _ in range(100):
        steps = factor * math.log(2 * k * block_length * steps / delta)
    return math.ceil(steps - 1e-6)


def reach(n: int, horizon: int, delta: float) -> float:
    """``c = (8 log(2nT/delta))^(-1/2)``: with increments up to ``c / sqrt(T)`` no weight without a drift moves by 1/2.

    By the inequality of Azuma and Hoeffding, for T steps and all n weights at once, but for a probability delta.

    Example:
        >>> round(reach(n=6, horizon=10_000, delta=0.1), 4)
        0.0945
    """
    return 1 / math.sqrt(8 * math.log(2 * n * horizon / delta))


def drift_steps(block_length: int, k: int, epsilon: float, delta: float, horizon: int, rates: Rates) -> float:
    """The steps to an error if weights moved by their mean increments only: relevant ones alike, others not at all.

    Example:
        >>> round(drift_steps(3, k=2, epsilon=0.1, delta=0.1, horizon=125_471, rates="oracle"))
        28511
    """
    step = reach(k * block_length, horizon, delta) / math.sqrt(horizon)
    goal = weight_at_error(epsilon, block_length, k)
    if rates == "oracle":
        return (goal - 1) * math.pow(3 * block_length - 2, k - 1) / step

    def steps_per_weight(v: float) -> float:
        return math.pow((v + block_length - 1) / v, k - 1) / step

    return float(integrate.quad(steps_per_weight, 1, goal)[0])


def errors_of(weights: np.ndarray) -> np.ndarray:
    """Exact errors, over all signs of a block's other inputs: factors are independent of each other.

    Args:
        weights: Of shape ``(n', k, trials)``, relevant ones first.

    Returns:
        float64 of shape ``(trials,)``; a factor of 0 is wrong half the time.

    Example:
        >>> errors_of(np.ones((3, 2, 1)))
        array([0.375])
    """
    others = len(weights) - 1
    signs = 1.0 - 2.0 * ((np.arange(2**others)[:, None] >> np.arange(others)) & 1)
    forms = np.tensordot(signs, weights[1:], axes=1) + weights[0]
    correlation: np.ndarray = np.sign(forms).mean(0).prod(0)
    return (1 - correlation) / 2


class OnlineTrials:
    """Trials of SGD with batches of one example, side by side.

    The learning rate of factor i is ``c / (sqrt(T) prod_{l != i} d_l)``, c as of `reach`. With ``"oracle"`` d_l is
    ``(3n'-2) |v_l|``, which takes the relevant weight v_l, taken as 1/2 if smaller; with ``"norm"`` it is
    ``||w_l||_1``. Both bound ``|w_l . x_l|``, the first while no other weight exceeds 3/2 and v_l is 1/2 at least.

    Args:
        weights: Of shape ``(n', k, trials)``, relevant ones first; trained in place.
        rates: How learning rates adapt.
        horizon: The number T of steps that learning rates are made for.
        delta: How probably the samples may mislead.

    Example:
        >>> trials = OnlineTrials(np.ones((2, 2, 1)), "norm", horizon=100, delta=0.1)
        >>> trials.step(np.ones((2, 2, 1)))
        >>> trials.weights.squeeze().round(4).tolist()
        [[1.0118, 1.0118], [1.0118, 1.0118]]
    """

    def __init__(self, weights: np.ndarray, rates: Rates, horizon: int, delta: float) -> None:
        if rates not in get_args(Rates):
            raise SettingError("rates", rates, nearest(rates, get_args(Rates)))
        self.weights = weights
        length, self.k, self.count = weights.shape
        self._oracle = rates == "oracle"
        # A share of it in each of k - 1 quotients.
        rate = math.pow(reach(length * self.k, horizon, delta) / math.sqrt(horizon), 1 / (self.k - 1))
        self._scale = ((3 * length - 2) if self._oracle else 1.0) / rate
        # Made once: a step takes ten microseconds.
        self._product = np.empty_like(weights)
        self._forms, self._norms, self._others = (np.empty(weights.shape[1:]) for _ in range(3))

    def step(self, x: np.ndarray) -> None:
        """Trains on an example each.

        Args:
            x: Inputs times the relevant ones of their blocks, of shape ``(n', k, trials)``.
        """
        product, forms, norms, others = self._product, self._forms, self._norms, self._others
        np.multiply(self.weights, x, out=product)
        np.add.reduce(product, 0, out=forms)
        if self._oracle:
            np.abs(self.weights[0], out=norms)
            np.maximum(norms, _FLOOR, out=norms)
        else:
            np.abs(self.weights, out=product)
            np.add.reduce(product, 0, out=norms)
        norms *= self._scale
        forms /= norms
        for own in range(self.k):
            others[own] = forms[own - 1]
            for index in range(2, self.k):
                others[own] *= forms[own - index]
        np.multiply(x, others, out=product)
        self.weights += product

    def run(self, steps: int, rng: np.random.Generator) -> None:
        """Trains for some steps on fresh examples."""
        shape = self.weights.shape
        drawn = (shape[0] - 1) * self.k * self.count
        x = np.ones((_AT_ONCE, *shape))
        for start in range(0, steps, _AT_ONCE):
            now = min(_AT_ONCE, steps - start)
            signs = _BYTES.take(rng.integers(0, 256, (now, -(-drawn // 8)), dtype=np.uint8), axis=0)
            x[:now, 1:] = signs.reshape(now, -1)[:, :drawn].reshape(now, shape[0] - 1, *shape[1:])
            for own in x[:now]:
                self.step(own)


class OnlineRun(NamedTuple):
    """What trials of online SGD did.

    Attributes:
        right: Whether the product of the initial relevant weights was positive, bool of shape ``(trials,)``.
        steps: When the error was first seen at epsilon or below, of shape ``(trials,)``; infinite if never.
        errors: The errors in the end, of shape ``(trials,)``.
        irrelevant_moved: How far the other weights moved at most, of shape ``(trials,)``.
        taken: How many steps each trial took.
    """

    right: np.ndarray
    steps: np.ndarray
    errors: np.ndarray
    irrelevant_moved: np.ndarray
    taken: int


def train_online(
    weights: np.ndarray,
    rates: Rates,
    *,
    horizon: int,
    epsilon: float,
    delta: float,
    rng: np.random.Generator,
    at_most: int,
    looks: int = 400,
) -> OnlineRun:
    """Trains from initial weights for the horizon, looking at the exact error every so often.

    Args:
        weights: Of shape ``(n', k, trials)``, relevant ones first.
        rates: How learning rates adapt.
        horizon: The number T of steps that learning rates are made for.
        epsilon: The error to reach.
        delta: How probably the samples may mislead.
        rng: Draws the examples.
        at_most: Stops there if the horizon is further.
        looks: How often to look: steps are told with this resolution.
    """
    trials = OnlineTrials(weights.copy(), rates, horizon, delta)
    last = min(horizon, at_most)
    every = -(-last // looks)
    steps = np.full(trials.count, np.inf)
    irrelevant_moved = np.zeros(trials.count)
    taken = 0
    while True:
        errors = errors_of(trials.weights)
        steps[(errors <= epsilon) & np.isinf(steps)] = taken
        irrelevant_moved = np.maximum(irrelevant_moved, np.abs(trials.weights - weights)[1:].max((0, 1)))
        if taken == last:
            return OnlineRun(weights[0].prod(0) > 0, steps, errors, irrelevant_moved, taken)
        now = min(every, last - taken)
        trials.run(now, rng)
        taken += now
