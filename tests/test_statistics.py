"""Statistics against NumPy, tables of order statistics and numbers worked out by hand."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from parity_lightning.statistics.alarms import calibrate
from parity_lightning.statistics.binomial import binomial_quantile, share_interval
from parity_lightning.statistics.memoryless import (
    dispersion_pvalue,
    first_success_pvalue,
    samples_for,
    simulated_spreads,
    uniform_law,
)
from parity_lightning.statistics.sample_complexity import bootstrap_sample_complexity, sample_complexity
from parity_lightning.statistics.survival import Quantile, kaplan_meier, quantile_of
from parity_lightning.statistics.time_histogram import RandomSearch, bin_edges
from parity_lightning.statistics.variance_share import share_between

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
    # Below the first trial, and above the last, there is none to take the mean with.
    assert [quantile_of([1, 2, 4], share).value for share in (1e-12, 1 - 1e-12)] == [1, 4]


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
        (Quantile(1500.0, 0.0, 2500.0), "1,500 (0 to 2,500)"),
        (Quantile(1500.0, 9.0, INF), "1,500 (9 to unsolved)"),
        (Quantile(INF, 200.0, INF), "unsolved (200 to unsolved)"),
        (Quantile(INF, 1.0, INF), "unsolved (1 to unsolved)"),
        (Quantile(INF, 0.0, INF), "unsolved"),
        (Quantile(INF, INF, INF), "unsolved"),
    ],
)
def test_a_quantile_as_text(quantile: Quantile, text: str) -> None:
    assert str(quantile) == text
    # Only a quantile that is known, and its interval not at either end, is told in other words.
    few = quantile == (1500.0, 0.0, INF)
    assert quantile.in_words() == ("1,500 (too few trials for an interval)" if few else text)


def test_where_nothing_is_solved_the_survival_curve_is_one() -> None:
    curve = kaplan_meier(np.full(3, INF), max_steps=50)
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


# Six targets, four judges each (Shrout and Fleiss, 1979, Table 2).
JUDGED = np.array([[9, 2, 5, 8], [6, 1, 3, 2], [8, 4, 6, 8], [7, 1, 2, 6], [10, 5, 6, 9], [6, 2, 4, 7]], float)


def test_the_share_between_groups_is_that_of_the_published_example() -> None:
    share = share_between(JUDGED)
    assert share == pytest.approx((0.1657, 0.0, 0.7226), abs=5e-5)


@pytest.mark.parametrize(("groups", "level"), [(2, 0.5), (6, 0.95), (4, 0.9)])
def test_at_the_ends_of_its_interval_a_share_is_as_improbable_as_the_level_says(groups: int, level: float) -> None:
    values = JUDGED[:groups] + 20.0 * np.arange(groups)[:, None]
    repetitions, ratio = values.shape[1], float(stats.f_oneway(*values).statistic)
    found = share_between(values, level)
    assert found.value == pytest.approx((ratio - 1) / (ratio + repetitions - 1))
    for end, chance in ((found.low, (1 + level) / 2), (found.high, (1 - level) / 2)):
        # The ratio of variances is so many times one that follows the F distribution.
        times = 1 + repetitions * end / (1 - end)
        below = stats.f.cdf(ratio / times, groups - 1, groups * (repetitions - 1))
        assert below == pytest.approx(chance)


def test_groups_without_variance_within_explain_everything() -> None:
    assert share_between(np.array([[1.0, 1.0], [2.0, 2.0]])) == (1.0, 1.0, 1.0)
    assert share_between(np.ones((2, 3))) == (1.0, 1.0, 1.0)


def test_a_search_through_all_sets_has_found_one_by_the_last() -> None:
    assert uniform_law(4)(np.array([-1, 0, 3, 4, 9])).tolist() == [0, 0, 0.75, 1, 1]


@settings(max_examples=50)
@given(st.lists(st.integers(1, 500), min_size=1, max_size=60), st.sampled_from([1, 5, 50]))
def test_bins_begin_between_evaluations_and_hold_every_time(numbers: list[int], every: int) -> None:
    times = every * np.array(numbers, float)
    edges = bin_edges(times, every)
    (width, *_), most = np.diff(edges), times.max()
    assert edges[0] == every / 2
    assert np.allclose(np.diff(edges), width)
    assert width % every == 0
    assert edges[-1] > most >= edges[-1] - 2 * width
    assert np.histogram(times, edges)[0].sum() == len(times)
    # The rule of Freedman and Diaconis, where the range is that of several bins; and 100 bins at most.
    ideal = 2 * np.subtract(*np.quantile(times, [0.75, 0.25])) / np.cbrt(len(times))
    bins = np.ceil(np.ptp(times) / ideal) if ideal else 1
    fitting = np.ptp(times) / bins if np.ptp(times) else 1.0
    assert width == every * max(1, round(fitting / every), int(np.ceil(most / every / 100)))


def test_a_random_search_is_solved_in_bins_as_its_steps_say() -> None:
    search = RandomSearch.like(np.array([10.0, 25.0, INF]), every=5, max_steps=60)
    # Two successes in 95 steps.
    assert search == (1 - 2 / 95, 5)
    edges = np.array([2.5, 12.5, 17.5, 32.5])
    # A bin holds evaluations, and each of these the five steps before it.
    steps = [range(1, 11), range(11, 16), range(16, 31)]
    by_hand = [40 * sum(search.stay ** (step - 1) * (1 - search.stay) for step in some) for some in steps]
    assert search.expected(edges, trials=40) == pytest.approx(by_hand)
    assert search.unsolved(np.array([0, 30])) == pytest.approx([1, 1 - sum(by_hand) / 40])
