"""Histograms of convergence times, and what a search at random of the same mean would have given."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from parity_lightning.statistics.memoryless import rate_of

_MOST_BINS = 100


def bin_edges(times: np.ndarray, every: int) -> np.ndarray:
    """Edges of bins between evaluations, as wide as suits the sample (Freedman-Diaconis) and multiples of ``every``.

    Args:
        times: Convergence times of solved trials, at least one.
        every: Steps between evaluations.

    Example:
        >>> bin_edges(np.array([10.0, 10.0, 20.0]), every=10)
        array([ 5., 15., 25.])
    """
    fitting = np.histogram_bin_edges(times, "fd")
    width = every * max(1, round((fitting[1] - fitting[0]) / every), math.ceil(times.max() / every / _MOST_BINS))
    edges: np.ndarray = np.arange(every / 2, times.max() + width, width)
    return edges


class RandomSearch(NamedTuple):
    """A search that is as likely to succeed at any step: its times are geometric (Section 3.2).

    Attributes:
        stay: The probability that a step does not succeed.
        every: Steps between evaluations.
    """

    stay: float
    every: int

    @classmethod
    def like(cls, times: np.ndarray, every: int, max_steps: int) -> RandomSearch:
        """The search that has as many successes in as many steps as trials had, the unsolved among them."""
        return cls(1 - rate_of(times, 1, max_steps), every)

    def expected(self, edges: np.ndarray, trials: int) -> np.ndarray:
        """How many of so many trials would be found solved in each bin."""
        # A trial that is found solved at a step was solved at any step since the evaluation before.
        found = self.stay ** (edges - self.every / 2)
        counts: np.ndarray = trials * (found[:-1] - found[1:])
        return counts

    def unsolved(self, steps: np.ndarray) -> np.ndarray:
        """The share not yet solved after so many steps."""
        share: np.ndarray = self.stay**steps
        return share
