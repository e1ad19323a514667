"""The gradient of a neuron at initialization against sums over all inputs, autograd and its own law."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Callable
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from reference import relu_derivative_coefficient

from parity_lightning.cli import main
from parity_lightning.data.sparse_parity import SparseParity
from parity_lightning.experiments.proposition5_initial_gradient.claims import growth
from parity_lightning.experiments.proposition5_initial_gradient.picture import draw_picture
from parity_lightning.experiments.proposition5_initial_gradient.rows import Found
from parity_lightning.measures.coefficients import (
    all_inputs,
    fourier_coefficients,
    number_of,
)
from parity_lightning.statistics.percentiles import percentile_interval
from parity_lightning.statistics.sample_complexity import (
    bootstrap_sample_complexity,
    exponent,
    sample_complexity,
)
from parity_lightning.theory.initial_gradient import (
    above_threshold,
    active_coefficient,
    population_gradient,
    sampled_gradients,
    samples_for_half,
    stands_out,
    success_law,
)


@settings(deadline=None, max_examples=40)
@given(st.integers(1, 10), st.integers(-12, 12))
def test_counting_is_the_transform(n: int, halves: int) -> None:
    bias = halves / 2
    found = fourier_coefficients((all_inputs(n).sum(-1) + bias >= 0).double().numpy())
    for size in range(n + 1):
        assert float(active_coefficient(n, size, bias)) == found[number_of(range(size))]


@pytest.mark.parametrize("n", [15, 51, 101])
@pytest.mark.parametrize("size", [0, 1, 2, 3, 4, 5])
def test_counting_is_the_closed_form_beyond_enumeration(n: int, size: int) -> None:
    closed = relu_derivative_coefficient([1] * n, range(size))
    assert float(active_coefficient(n, size, 0.5)) == pytest.approx(closed, rel=1e-12, abs=0)


@settings(deadline=None, max_examples=30)
@given(
    st.lists(st.sampled_from([-1, 1]), min_size=3, max_size=9),
    st.permutations(range(9)),
    st.integers(2, 9),
    st.sampled_from([0, 0.5, 2, 3.5, -2]),
)
def test_the_population_gradient_is_that_of_autograd_over_all_inputs(
    signs: list[int], order: list[int], k: int, bias: float
) -> None:
    n = len(signs)
    if n % 2 == 0 and bias in (0, 2, -2):
        bias += 0.5  # else preactivations of 0, where relu has a corner
    support = [i for i in order if i < n][:k]
    x = all_inputs(n).double()
    weights = torch.tensor(signs, dtype=torch.float64, requires_grad=True)
    (-x[:, support].prod(-1) * torch.relu(x @ weights + bias)).mean().backward()
    assert weights.grad is not None
    np.testing.assert_allclose(population_gradient(signs, support, bias), weights.grad.numpy(), atol=1e-14)


def test_known_coefficients_of_biased_neurons() -> None:
    assert abs(population_gradient([1] * 30, [0, 1, 2], 0.5))[[0, 9]] == pytest.approx([2.49e-3, 2.8e-4], rel=0.02)
    assert not population_gradient([1] * 51, [0, 1, 2], 0.9).any()
    assert population_gradient([1] * 51, [0, 1, 2], 1.0).all()


@pytest.mark.parametrize(("k", "bias"), [(2, 0.0), (3, 2.0), (3, 4.0)])
def test_samples_estimate_the_population_without_bias_and_with_the_right_noise(k: int, bias: float) -> None:
    n, samples, squares = 15, 5_000, []
    for seed in range(20):
        parity = SparseParity(n, k, seed=seed)
        signs = np.random.default_rng(seed).choice([-1, 1], n).tolist()
        exact = population_gradient(signs, parity.support, bias)
        first, gradient = sampled_gradients(parity, signs, [100, samples], bias)
        x, y = parity.draw(torch.arange(100))
        active = x @ torch.tensor(signs, dtype=torch.float32) + bias >= 0
        np.testing.assert_allclose(first, -(y * active) @ x / 100, atol=1e-6)
        variance = float(active_coefficient(n, 0, bias)) - exact**2
        squares += list((gradient - exact) ** 2 / variance * samples)
    # Squares of 300 normal numbers: their mean is 1 with a standard error of 0.08.
    assert np.mean(squares) == pytest.approx(1, abs=5 * math.sqrt(2 / 300))


def test_proposition_5_holds_at_the_edge_of_its_precision() -> None:
    random = np.random.default_rng(0)
    for n, k in [(15, 2), (15, 4), (51, 4)]:
        support = tuple(range(k))
        exact = population_gradient([1] * n, support)
        gamma = abs(exact[0])
        assert abs(exact[-1]) <= gamma / 2
        for signs in random.choice([-1, 1], (100, n)):
            assert above_threshold(exact + 0.2499 * gamma * signs, gamma) == support
        # Half of gamma is too much.
        assert above_threshold(exact * (1 - np.eye(n)[0] / 2), gamma) != support


def test_the_law_is_the_share_of_trials() -> None:
    n, k, trials = 15, 2, 300
    sizes = [100, 300, 900]
    found = []
    for seed in range(trials):
        parity = SparseParity(n, k, seed=seed)
        found.append(stands_out(sampled_gradients(parity, [1] * n, sizes), parity.support))
    for place, share in enumerate(np.mean(found, axis=0)):
        law = success_law(n, k, sizes[place])
        assert 0.05 < law < 0.99
        assert share == pytest.approx(law, abs=4 * math.sqrt(law * (1 - law) / trials) + 0.02)
    assert success_law(n, k, samples_for_half(n, k)) == pytest.approx(0.5, abs=1e-6)
    with pytest.raises(ValueError, match="does not stand out"):
        samples_for_half(15, 3)


def test_the_law_without_a_gradient_is_chance() -> None:
    assert success_law(15, 3, 1e6) == pytest.approx(1 / math.comb(15, 3), rel=1e-3)


@pytest.mark.parametrize(
    ("k", "bias", "limit"), [(2, lambda n: 0, 1), (4, lambda n: 0, 3), (3, lambda n: 2, 3), (3, math.sqrt, 2)]
)
def test_growth_for_large_n(k: int, bias: Callable[[int], float], limit: int) -> None:
    n = (401, 1001)
    gaps = [active_coefficient(each, k - 1, bias(each)) - active_coefficient(each, k + 1, bias(each)) for each in n]
    assert float(exponent(n, np.log(n) / np.square(np.array(gaps, dtype=float)))) == pytest.approx(limit, abs=0.1)


def test_half_success_by_hand() -> None:
    found = np.array([[0, 0, 1], [0, 1, 1], [0, 0, 0], [0, 0, 0]], dtype=bool)
    # Shares 0, 1/4, 1/2.
    assert sample_complexity(found, [10, 20, 40]) == 40
    assert sample_complexity(~found, [10, 20, 40]) == 10
    assert sample_complexity(found[2:], [10, 20, 40]) == math.inf
    halves = bootstrap_sample_complexity(found, [10, 20, 40], 500, np.random.default_rng(0))
    assert percentile_interval(halves)[1] == math.inf
    # As often as at most one of four drawn is among the two that succeed: 5/16.
    assert np.isinf(halves).mean() == pytest.approx(5 / 16, abs=0.08)


def test_the_k_largest_by_sorting() -> None:
    gradients = np.random.default_rng(1).normal(size=(500, 6))
    for support in combinations(range(6), 4):
        largest = [set(np.argsort(-abs(each))[:4]) for each in gradients]
        assert stands_out(gradients, support).tolist() == [each == set(support) for each in largest]


def measured(n: int, k: int, halves: np.ndarray) -> Found:
    law, empty = samples_for_half(n, k), np.zeros((10, 1), dtype=bool)
    half = float(np.median(halves))
    return Found(n, k, "b=0", 0.0, 0.1, 0.01, law, (100,), empty, empty, empty, half, halves)


@pytest.mark.parametrize(("power", "holds"), [(0.5, None), (1, True), (2, False)])
def test_the_verdict_of_the_exponent(power: float, holds: bool | None) -> None:
    noise = np.exp(np.random.default_rng(0).normal(0, 0.02, (2, 2_000)))
    group = [measured(n, 2, n**power * math.log(n) * factor) for n, factor in zip((15, 101), noise, strict=True)]
    exact, limit = growth(group, 0.95)
    assert limit.statement.paper == 1
    assert limit.found.value == pytest.approx(power, abs=0.01)
    assert limit.holds is holds
    assert exact.holds is (power == 1)
    # No interval, no verdict.
    unknown = growth([each._replace(halves=np.full(2_000, np.inf)) for each in group], 0.95)
    assert [claim.holds for claim in unknown] == [None, None]


def test_intervals_of_several_growth_laws_are_wider() -> None:
    # Deviations of log N / n over log(101 / 15): normal.
    noise = np.exp(np.random.default_rng(0).normal(0, 0.1, (2, 40_000)))
    group = [measured(n, 2, n * math.log(n) * factor) for n, factor in zip((15, 101), noise, strict=True)]
    for laws, reach in ((1, 1.960), (4, 2.498)):
        claim = growth(group, 1 - 0.05 / laws)[0]
        low, high = claim.found.ends
        expected = 2 * reach * 0.1 * math.sqrt(2) / math.log(101 / 15)
        assert high - low == pytest.approx(expected, rel=0.05)


def test_an_axis_of_less_than_a_decade_has_numbers() -> None:
    group = [measured(n, 2, np.full(10, float(half))) for n, half in ((15, 220), (21, 480))]
    figure = Figure(figsize=(8, 5), layout="constrained")
    draw_picture([group], figure)
    FigureCanvasAgg(figure).draw()
    left, right = figure.axes
    labels = [label.get_text() for label in right.yaxis.get_ticklabels(minor=True)]
    low, high = right.get_ylim()
    shown = [place for place, text in zip(right.yaxis.get_minorticklocs(), labels, strict=True) if text]
    assert len([place for place in shown if low <= place <= high]) >= 2
    assert not any(label.get_text() for label in left.xaxis.get_ticklabels(minor=True))
    assert [label.get_text() for label in right.xaxis.get_ticklabels()] == ["15", "21"]


def test_a_gradient_below_all_numbers_needs_infinitely_many_samples() -> None:
    assert samples_for_half(401, 200) == math.inf


def test_the_experiment(tmp_path: Path) -> None:
    options = ["--n=11,15", "--k=2,3", "--trials=10", "--at_most=100000", f"--runs={tmp_path}"]
    main(["theory", "initial-gradient", *options])
    (folder,) = tmp_path.iterdir()
    rows = list(csv.DictReader((folder / "data.csv").read_text().splitlines()))
    listed = [(int(row["n"]), int(row["k"]), float(row["bias"])) for row in rows]
    # Trials draw 2.8 times what the law needs, and 8 times at the smallest n: others need more than they may.
    assert listed == [(11, 2, 0), (15, 2, 0), (11, 3, 0), (15, 3, 0), (11, 3, 4), (15, 3, 4)]
    for row in rows:
        x = all_inputs(int(row["n"]))
        y = x[:, : int(row["k"])].prod(-1)
        coefficients = abs((y * (x.sum(-1) + float(row["bias"]) >= 0)) @ x) / len(x)
        assert float(row["on_support"]) == pytest.approx(float(coefficients[0]), abs=1e-6)
        assert float(row["off_support"]) == pytest.approx(float(coefficients[-1]), abs=1e-6)
    assert rows[0]["found"] == "10"
    verdict = json.loads((folder / "verdict.json").read_text())
    assert verdict["claims"][0]["holds"]
    # Two growth laws, of k=2 and of k=3 near sqrt(n).
    assert any("Bonferroni over 2)" in choice for choice in verdict["our_choices"])
    assert any("n=15, k=3, b=2" in choice for choice in verdict["our_choices"])


@pytest.mark.parametrize("option", ["--n=16", "--n=7", "--k=1", "--trials=9", "--at_most=5", "--seed=-1"])
def test_options_out_of_range(option: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as error:
        main(["theory", "initial-gradient", option, f"--runs={tmp_path}"])
    assert error.value.code == 2
    assert option.removeprefix("--").partition("=")[0] in capsys.readouterr().err
    assert not list(tmp_path.iterdir())
