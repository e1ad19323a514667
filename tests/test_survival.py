"""Intervals of quantiles, against order statistics chosen by sums of binomial probabilities."""

from __future__ import annotations

import math

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from parity_lightning.statistics.percentiles import percentile_interval
from parity_lightning.statistics.survival import quantile_of


def order_statistics(count: int, share: float, level: float) -> tuple[int, int]:
    """The order statistics, counted from 0, that bound a quantile; -1 and ``count`` where none does.

    Below the lower one lie at most ``(1 - level) / 2`` of the probability of how many trials are below the quantile,
    and above the upper one as much.
    """
    chances = [math.comb(count, below) * share**below * (1 - share) ** (count - below) for below in range(count + 1)]
    up_to = np.cumsum(chances)
    below = next(place for place in range(count + 1) if up_to[place] >= (1 - level) / 2)
    above = next(place for place in range(count + 1) if up_to[place] >= 1 - (1 - level) / 2)
    return below - 1, above


@given(st.integers(1, 60), st.sampled_from([0.1, 0.25, 1 / 3, 0.5, 0.9]), st.sampled_from([0.5, 0.9, 0.951, 0.99]))
def test_the_interval_of_a_quantile_is_that_of_order_statistics(count: int, share: float, level: float) -> None:
    solved = count - count // 3
    times = np.where(np.arange(count) < solved, np.arange(1.0, count + 1), np.inf)
    low, high = order_statistics(count, share, level)
    found = quantile_of(times[::-1], share, level, least=-5.0)
    assert found.low == (times[low] if low >= 0 else -5.0)
    assert found.high == (times[high] if high < count else np.inf)


@given(st.lists(st.floats(0, 10) | st.just(math.inf), min_size=1, max_size=50), st.sampled_from([0.5, 0.9, 0.975]))
def test_the_interval_of_values_is_made_of_values_by_their_ranks(values: list[float], level: float) -> None:
    ordered, last = sorted(values), len(values) - 1
    ranks = (round((1 - level) / 2 * last), round((1 + level) / 2 * last))
    assert percentile_interval(np.array(values), level) == tuple(ordered[rank] for rank in ranks)
