"""Statistics against NumPy, tables of order statistics and numbers worked out by hand."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from parity_lightning.statistics.alarms import calibrate
from parity_lightning.statistics.binomial import binomial_quantile, share_interval
from parity_lightning.statistics.memoryless import (
    dispersion_pvalue,
    first_success_pvalue,
    samples_for,
    simulated_spreads,
)
from parity_lightning.statistics.sample_complexity import bootstrap_sample_complexity, sample_complexity
from parity_lightning.statistics.survival import Quantile, quantile_of, survival_of

INF = float("inf")


@given(st.lists(st.integers(1, 1000), min_size=1, max_size=120), st.integers(1, 99))
def test_quantiles_are_those_of_numpy(times: list[int], percent: int) -> None:
    # The share of whole per cent is often a rounding error off the border between two trials, as 0.29 * 100 is.
    expected = np.quantile(np.array(times, float), percent / 100, method="averaged_inverted_cdf")
    assert quantile_of(times, percent / 100).value == pytest.approx(expected)


def test_a_quantile_on_the_border_between_two_trials_is_their_mean() -> None:
    assert 0.29 * 100 < 29
    assert quantile_of(range(100), 0.29).value == 28.5
    assert quantile_of([1, 2, 4, 8], 0.25).value == 1.5


@pytest.mark.parametrize(
    ("trials", "level", "low", "high"), [(6, 0.95, 1, 6), (20, 0.95, 6, 15), (20, 0.99, 4, 17), (5, 0.95, 0.5, INF)]
)
def test_intervals_of_the_median_lie_between_the_trials_of_the_table(
    trials: int, level: float, low: float, high: float
) -> None:
    """The sign test's table: with 20 trials, the sixth and the fifteenth."""
    found = quantile_of(np.arange(1.0, trials + 1), level=level, least=0.5)
    assert (found.low, found.high) == (low, high)


@pytest.mark.parametrize(
    ("quantile", "text"),
    [
        (Quantile(1500.0, 1000.0, 2500.0), "1,500 (1,000 to 2,500)"),
        (Quantile(1500.0, 0.0, INF), "1,500 (0 to unsolved)"),
        (Quantile(INF, 200.0, INF), "unsolved (200 to unsolved)"),
        (Quantile(INF, 1.0, INF), "unsolved (1 to unsolved)"),
        (Quantile(INF, 0.0, INF), "unsolved"),
        (Quantile(INF, INF, INF), "unsolved"),
    ],
)
def test_a_quantile_as_text(quantile: Quantile, text: str) -> None:
    assert str(quantile) == text


def test_where_nothing_is_solved_the_survival_curve_is_one() -> None:
    curve = survival_of(np.full(3, INF), max_steps=50)
    assert [each.tolist() for each in curve] == [[50.0], [1.0], [0.0], [1.0]]


def test_the_sample_complexity_by_hand() -> None:
    successes = np.array([[False, True]] * 3 + [[True, True]])
    # Three quarters of the way to all is a third of the way to a half: 100 * 8 ** (1 / 3).
    assert sample_complexity(successes, [100, 800]) == pytest.approx(200)
    assert sample_complexity(np.ones((4, 2), bool), [100, 800]) == 100
    assert sample_complexity(np.zeros((4, 2), bool), [100, 800]) == INF
    assert sample_complexity(np.array([[False, True, True], [False, False, True]]), [100, 800, 900]) == 800


def test_trials_are_drawn_again_with_replacement() -> None:
    random = np.random.default_rng(0)
    alike = bootstrap_sample_complexity(np.array([[False, True]] * 3), [100, 400], 5, random)
    assert alike.tolist() == pytest.approx([200] * 5)
    # Of two trials, one of which never succeeds, both draws are the other one in a quarter of all cases.
    found = np.array([[False, False], [False, True]])
    drawn = bootstrap_sample_complexity(found, [100, 400], 2000, random)
    for value, share in ((200, 0.25), (400, 0.5), (INF, 0.25)):
        assert np.mean(np.isclose(drawn, value)) == pytest.approx(share, abs=0.05)


def test_the_first_of_half_of_the_trials_by_hand() -> None:
    # Six of twelve count: each but the last waited 16 steps or its time, and all of them 10 before the first success.
    times = np.array([11, 12, 13, 14, 15, 16, *[100] * 6])
    assert first_success_pvalue(times, 1, 1000) == pytest.approx((1 - 120 / 177) ** 5)


def test_trials_that_were_hardly_watched_do_not_make_a_probability_negative() -> None:
    times, limits = np.array([100, 110, INF, INF]), np.array([200, 200, 10, 10])
    assert first_success_pvalue(times, 1, limits) == 0.0


def test_no_time_at_all_is_no_evidence() -> None:
    assert dispersion_pvalue(np.full(5, INF), 1, 100) == 1.0
    # Cut off at the first step, all times are the same, those drawn as those given.
    for wide in (False, True):
        assert dispersion_pvalue(np.array([1, INF]), 1, 1, wide=wide) == 1.0


def test_the_smallest_probability_is_that_of_one_sample_in_a_thousand() -> None:
    assert dispersion_pvalue(np.full(50, 500), 1, 1000) == 0.001
    assert dispersion_pvalue(np.full(50, 500), 1, 1000, samples=399) == 1 / 400
    assert samples_for(1, 1e-9) == 20_000_000


def test_draws_are_those_of_seed_zero_unless_another_is_given() -> None:
    times = np.array([5, 10, 25, 60, 90])
    spreads = simulated_spreads(times, 5, 100)
    assert spreads.shape == (999,)
    assert np.array_equal(spreads, simulated_spreads(times, 5, 100, seed=0))
    assert not np.array_equal(spreads, simulated_spreads(times, 5, 100, seed=1))
    own = np.std(times) / np.mean(times)
    assert dispersion_pvalue(times, 5, 100) == (1 + np.sum(spreads <= own)) / 1000


@pytest.mark.parametrize(("trials", "rank"), [(19, 1), (38, 1), (39, 2)])
def test_an_alarm_is_set_at_the_trial_of_this_rank(trials: int, rank: int) -> None:
    control = np.arange(1.0, trials + 1)[:, None]
    alarm = calibrate(control, 0.05)
    assert alarm.threshold * alarm.mean[0] == pytest.approx(trials + 1 - rank)
    assert alarm.expected == rank / (trials + 1)


def test_too_few_trials_tell_no_small_share() -> None:
    with pytest.raises(ValueError, match=r"18 trials cannot tell a share of 0\.05"):
        calibrate(np.ones((18, 1)), 0.05)


@pytest.mark.parametrize("trials", [1, 2, 5, 24, 25, 100, 999, 10**6])
@pytest.mark.parametrize("share", [0.05, 0.2, 0.5, 0.95])
def test_binomial_quantiles_and_intervals_are_those_of_scipy(trials: int, share: float) -> None:
    for probability in (0.005, 0.025, 0.1, 0.5, 0.9, 0.975, 0.995):
        found = binomial_quantile(probability, trials, share)
        assert found == stats.binom.ppf(probability, trials, share)
        # What it is: the first number at which the distribution reaches the probability.
        assert stats.binom.cdf(found, trials, share) >= probability > stats.binom.cdf(found - 1, trials, share)
    for successes in {0, 1, trials // 3, trials - 1, trials}:
        for level in (0.8, 0.95):
            expected = stats.binomtest(successes, trials).proportion_ci(level, method="exact")
            assert share_interval(successes, trials, level) == pytest.approx((expected.low, expected.high))


def test_times_are_summed_up_without_scipys_statistics() -> None:
    """Whose import takes longer than the rest of a small command."""
    code = "import sys, parity_lightning.statistics.scaling; assert 'scipy.stats' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
