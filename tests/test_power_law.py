"""Power laws of medians: the exponent and its interval, against laws that are known and a bootstrap by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from parity_lightning.statistics.power_law import fit_power_law
from parity_lightning.statistics.scaling import number_that_varies, scaling_curves

N = np.array([10, 20, 40, 80])


def draws(seed: int, exponent: float, trials: int = 25) -> list[np.ndarray]:
    """Times whose medians follow a power law: log-normal, as convergence times roughly are."""
    random = np.random.default_rng(seed)
    return [3.0 * n**exponent * np.exp(random.normal(0, 0.4, trials)) for n in N]


def test_the_interval_has_the_true_exponent_as_often_as_it_says() -> None:
    covered = 0
    for seed in range(100):
        law = fit_power_law(N.tolist(), draws(seed, 2.5), [1e9] * 4)
        assert law is not None
        covered += law.low <= 2.5 <= law.high
    # 95 of 100 are expected; of a rule that is right 88 or fewer are seen once in 300 times.
    assert covered >= 88


def test_the_interval_is_that_of_a_bootstrap_over_trials() -> None:
    times = draws(0, 2.0, trials=31)
    law = fit_power_law(N.tolist(), times, [1e9] * 4)
    assert law is not None
    random = np.random.default_rng(1)
    slopes = [
        np.polyfit(np.log(N), [np.log(np.median(random.choice(own, len(own)))) for own in times], 1)[0]
        for _ in range(2000)
    ]
    assert (law.low, law.high) == pytest.approx(tuple(np.quantile(slopes, [0.025, 0.975])), abs=0.02)


def test_a_median_that_was_not_reached_is_counted_and_not_fitted() -> None:
    times = [np.full(9, 2.0 * n) for n in N]
    times[3][:5] = np.inf
    law = fit_power_law(N.tolist(), times, [1000] * 4)
    assert law is not None
    assert (law.points, law.unsolved) == (3, 1)
    assert law.exponent == pytest.approx(1.0)
    assert np.allclose(law.at(N), 2.0 * N)


def test_there_is_a_course_for_each_combination_of_all_else() -> None:
    settings = [{"k": k, "n": n, "max_steps": 1000} for k in (2, 3) for n in (40, 10, 20)]
    times = [np.full(5, float(setting["n"] ** (setting["k"] - 1))) for setting in settings]
    curves = scaling_curves(settings, ["k", "n"], times)
    assert [curve.others for curve in curves] == [{"k": 2}, {"k": 3}]
    assert [curve.x for curve in curves] == [[10, 20, 40]] * 2
    assert [curve.law and round(curve.law.exponent, 6) for curve in curves] == [1.0, 2.0]
    assert curves[1].law is not None
    assert curves[1].law.at(N) == pytest.approx(N**2)


@pytest.mark.parametrize(
    ("values", "chosen"),
    [
        ({"a": [1, 2, 3, 3], "b": [1, 2, 3, 4]}, "b"),
        # Of two alike the first.
        ({"a": [1, 2, 2, 2], "b": [0.5, 0.7, 0.7, 0.7]}, "a"),
        # A seed is no quantity, nor is a truth value, a name, or what is 0 or lacking somewhere.
        ({"data_seed": [1, 2, 3, 4], "a": [True, False, True, True], "b": ["x", "y", "z", "w"]}, None),
        ({"a": [0, 1, 2, 3], "b": [1, 2, 3, None], "c": [5, 5, 5, 5], "d": [5, 5, 5, 6]}, "d"),
        ({"a": [5, 5, 5, 5]}, None),
    ],
)
def test_times_are_drawn_against_the_number_with_the_most_values(values: dict[str, list[Any]], chosen: str) -> None:
    settings = [{name: every[place] for name, every in values.items()} for place in range(4)]
    assert number_that_varies(settings, list(values)) == chosen
