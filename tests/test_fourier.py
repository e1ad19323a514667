"""Fourier coefficients against sums over all inputs, closed forms and Parseval's equation."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from reference import relu_derivative_coefficient

from parity_lightning.measures.coefficients import (
    all_inputs,
    coefficient_gap,
    fourier_coefficients,
    number_of,
)
from parity_lightning.theory.majority import majority_coefficient

VALUES = st.integers(0, 6).flatmap(lambda n: arrays(np.float64, 2**n, elements=st.floats(-100, 100)))


@settings(deadline=None)
@given(VALUES)
def test_coefficients_are_the_means_they_are_defined_as(values: np.ndarray) -> None:
    n = len(values).bit_length() - 1
    x = all_inputs(n).double().numpy()
    found = fourier_coefficients(values)
    for size in range(n + 1):
        for subset in combinations(range(n), size):
            assert found[number_of(subset)] == pytest.approx(np.mean(values * x[:, list(subset)].prod(-1)), abs=1e-9)


@given(VALUES)
def test_parseval_and_back_again(values: np.ndarray) -> None:
    found = fourier_coefficients(values)
    assert np.sum(found**2) == pytest.approx(np.mean(values**2), rel=1e-9, abs=1e-9)
    np.testing.assert_allclose(fourier_coefficients(found) * len(values), values, atol=1e-9)


def test_a_large_transform_is_exact() -> None:
    n, support = 20, (0, 7, 19)
    values = all_inputs(n)[:, list(support)].prod(-1).numpy()
    found = fourier_coefficients(values)
    assert found[number_of(support)] == 1
    assert np.count_nonzero(found) == 1


@pytest.mark.parametrize("n", range(1, 22, 2))
def test_the_closed_form_of_majority(n: int) -> None:
    total = np.zeros(1, dtype=np.int16)
    for _ in range(n):
        total = np.concatenate([total + 1, total - 1])
    found = fourier_coefficients(np.sign(total))
    for size in range(n + 1):
        assert found[number_of(range(size))] == pytest.approx(majority_coefficient(n, size), abs=1e-12)


def test_majority_has_no_closed_form_for_even_n() -> None:
    with pytest.raises(ValueError, match="n=4 is even"):
        majority_coefficient(4, 1)


@given(st.lists(st.sampled_from([-1, 1]), min_size=9, max_size=9), st.floats(-0.99, 0.99))
def test_the_closed_form_of_a_relu_neuron(signs: list[int], bias: float) -> None:
    values = (all_inputs(9).double() @ torch.tensor(signs, dtype=torch.float64) + bias >= 0).double().numpy()
    found = fourier_coefficients(values)
    for subset in [(), (0,), (3, 8), (1, 2, 5), (0, 1, 2, 3), tuple(range(9))]:
        assert found[number_of(subset)] == pytest.approx(relu_derivative_coefficient(signs, subset), abs=1e-12)


@pytest.mark.parametrize(("n", "k", "inner", "outer"), [(15, 2, 0.2095, 0.0161), (15, 4, 0.0161, 0.0044)])
def test_the_gap_of_majority(n: int, k: int, inner: float, outer: float) -> None:
    coefficients = fourier_coefficients(torch.sign(all_inputs(n).sum(-1)).numpy())
    gap = coefficient_gap(coefficients, range(3, 3 + k))
    assert (round(gap.inner, 4), round(gap.outer, 4)) == (inner, outer)
    # The ratio of neighbours is (n - k) / (k - 1).
    assert gap.inner / gap.outer == pytest.approx((n - k) / (k - 1))
    assert gap.gamma == gap.inner


def test_there_is_no_gap_where_larger_sets_stand_out_as_much() -> None:
    x = all_inputs(5)
    coefficients = fourier_coefficients((x[:, 0] + x[:, 1] + 0.6 * x[:, 2:5].prod(-1)).numpy())
    assert coefficient_gap(coefficients, (0, 1)).gamma == 0
    assert coefficient_gap(coefficients, (0, 1)).outer == pytest.approx(0.6)


@pytest.mark.parametrize(("larger", "gamma"), [(0.25, 0.5), (0.1875, 0.5), (0.3125, 0.0)])
def test_a_gap_needs_larger_sets_of_at_most_half_the_height(larger: float, gamma: float) -> None:
    x = all_inputs(3)
    coefficients = fourier_coefficients((0.5 * x[:, 0] + 0.5 * x[:, 1] + larger * x.prod(-1)).double().numpy())
    assert coefficient_gap(coefficients, (0, 1)).gamma == gamma


def test_where_the_support_is_everything_no_larger_set_stands_out() -> None:
    found = coefficient_gap(fourier_coefficients(all_inputs(2).sum(-1).numpy()), (0, 1))
    assert (found.inner, found.outer, found.gamma) == (1.0, 0.0, 1.0)


@pytest.mark.parametrize("count", [3, 5, 7, 12])
def test_coefficients_need_the_values_at_all_inputs(count: int) -> None:
    with pytest.raises(ValueError, match=f"{count} values are not those at all inputs"):
        fourier_coefficients(np.ones(count))
