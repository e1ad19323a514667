"""The solvers, how often they succeed, and how many samples they need."""

from __future__ import annotations

import time
from typing import NamedTuple

import torch

from parity_lightning.data.sparse_parity import SparseParity
from parity_lightning.statistics.survival import Share, share_of
from parity_lightning.theory.solver_laws import sufficient_samples
from parity_lightning.theory.solvers import best_correlation, eliminate

GOAL = 0.95
"""The success rate that samples are to be enough for."""


class Solver(NamedTuple):
    """A solver.

    Attributes:
        name: Its name.
        assumes: What it may assume beside its samples.
    """

    name: str
    assumes: str

    def solves(self, parity: SparseParity, samples: int) -> bool:
        """Whether it finds the support of a parity from the first samples, and no other set that is as good."""
        x, y = parity.draw(torch.arange(samples))
        if self.name == "elimination":
            return eliminate(x, y).support == parity.support
        best = best_correlation(x, y, parity.k)
        return best.ties == 1 and best.support == parity.support


ELIMINATION = Solver("elimination", "no noise")
BEST_SET = Solver("best set", "k")


def fewest_samples(n: int, k: int, noise: float, trials: int, seed: int) -> int:
    """The fewest samples with which the best set is the support in a share `GOAL` of trials, by bisection.

    Args:
        n: Number of inputs.
        k: Size of the support.
        noise: The probability that a label is wrong.
        trials: Twice the number of trials for each number of samples.
        seed: The seed of the first trial.
    """

    def enough(samples: int) -> bool:
        return success_rate(BEST_SET, n, k, noise, samples, trials // 2, seed)[0].value >= GOAL

    low, high = 0, sufficient_samples(n, k, noise)
    while not enough(high):
        low, high = high, 2 * high
    while high - low > max(1, low // 50):
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    return high


def success_rate(
    solver: Solver, n: int, k: int, noise: float, samples: int, trials: int, seed: int
) -> tuple[Share, float]:
    """The share of trials that a solver solves, and how long they take.

    Args:
        solver: The solver.
        n: Number of inputs.
        k: Size of the support.
        noise: The probability that a label is wrong.
        samples: How many samples it gets.
        trials: How many trials.
        seed: The seed of the first trial.

    Returns:
        The share, and the seconds of each trial, drawing its samples included.
    """
    parities = SparseParity(n, k, label_noise=noise).with_seeds(range(seed, seed + trials))
    started = time.perf_counter()
    solved = sum(solver.solves(parity, samples) for parity in parities)
    return share_of(solved, trials), (time.perf_counter() - started) / trials
