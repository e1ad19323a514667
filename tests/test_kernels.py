"""Kernels against matrices over all inputs, wide networks, sums over all supports and plain linear algebra."""

from __future__ import annotations

import csv
import json
import math
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from parity_lightning.cli import main
from parity_lightning.theory.fourier import all_inputs
from parity_lightning.theory.kernels import (
    correlation_bound,
    fit_ridge,
    kernel_masses,
    kernel_matrix,
    norm_bound,
    parity_kernel,
    predicted,
    relu_ntk,
    tangent_matrix,
)

KERNELS = st.integers(1, 6).flatmap(lambda n: arrays(np.float64, n + 1, elements=st.floats(-10, 10)))


@settings(deadline=None)
@given(KERNELS)
def test_eigenvalues_are_those_of_the_matrix_over_all_inputs(kernel: np.ndarray) -> None:
    n = len(kernel) - 1
    x = all_inputs(n)
    found = np.linalg.eigvalsh(kernel_matrix(kernel, x, x).numpy() / 2**n)
    counts = [math.comb(n, degree) for degree in range(n + 1)]
    told = np.repeat(kernel_masses(kernel) / counts, counts)
    np.testing.assert_allclose(found, np.sort(told), atol=1e-9)


@settings(deadline=None)
@given(KERNELS, st.data())
def test_parities_are_eigenfunctions_of_their_degree(kernel: np.ndarray, data: st.DataObject) -> None:
    n = len(kernel) - 1
    support = data.draw(st.lists(st.integers(0, n - 1), unique=True, max_size=n))
    x = all_inputs(n).double()
    parity = x[:, support].prod(-1)
    eigenvalue = kernel_masses(kernel)[len(support)] / math.comb(n, len(support))
    found = kernel_matrix(kernel, x, x) @ parity / 2**n
    np.testing.assert_allclose(found, eigenvalue * parity, atol=1e-9)


def test_the_kernel_of_parities_is_the_sum_over_them() -> None:
    x = all_inputs(6).double()
    features = torch.stack([x[:, list(subset)].prod(-1) for subset in combinations(range(6), 3)], -1)
    np.testing.assert_allclose(kernel_matrix(parity_kernel(6, 3), x, x), features @ features.T / 20, atol=1e-12)


@pytest.mark.parametrize("n", [3, 20, 50])
def test_without_biases_there_is_no_odd_degree_above_one(n: int) -> None:
    masses = kernel_masses(relu_ntk(n, bias=False))
    assert abs(masses[3::2]).max() < 1e-8 * masses.sum()
    # Both parts are pi rho / 2 and even powers, which at rho = 1 make half of each.
    assert masses[1] == pytest.approx(masses.sum() / 2)
    assert kernel_masses(relu_ntk(n))[3] > 1e-3 * masses.sum()


@pytest.mark.parametrize(("n", "degree"), [(6, 0), (6, 3), (20, 3), (50, 3), (50, 4)])
def test_a_bias_is_one_more_bit_that_is_always_one(n: int, degree: int) -> None:
    biased = kernel_masses(relu_ntk(n, width=100))[degree] / math.comb(n, degree)
    # Of n + 1 bits, for a width at which Xavier's weights have the same variance.
    larger = kernel_masses(_ntk_of_more_bits(n))
    both = sum(larger[size] / math.comb(n + 1, size) for size in (degree, degree + 1))
    assert biased == pytest.approx(both, rel=1e-6)


def _ntk_of_more_bits(n: int) -> np.ndarray:
    """The kernel of n + 1 bits without biases at the variances of n bits and width 100, by angles between inputs."""
    cosine = 1 - 2 * np.arange(n + 2) / (n + 1)
    angle = np.arccos(cosine)
    first = 2 / 101 * (n + 1) * cosine * (1 - angle / math.pi) / 2
    second = 2 / (n + 100) * (n + 1) * (np.sin(angle) + (math.pi - angle) * cosine) / (2 * math.pi)
    return 100 * (first + second)


@pytest.mark.parametrize("law", ["normal", "uniform"])
def test_the_closed_form_is_the_mean_over_wide_networks(law: str) -> None:
    n, width, wide = 30, 100, 200_000
    generator = torch.Generator().manual_seed(0)
    deviations = (2 / (n + width)) ** 0.5, (2 / (width + 1)) ** 0.5

    def draw(*shape: int) -> torch.Tensor:
        if law == "normal":
            return torch.randn(shape, generator=generator)
        return (2 * torch.rand(shape, generator=generator) - 1) * 3**0.5

    weights, biases, second = draw(wide, n) * deviations[0], draw(wide) * deviations[0], draw(wide) * deviations[1]
    x = torch.ones(4, n)
    for row, differing in enumerate([0, 8, 15, 30]):
        x[row, :differing] = -1
    found = tangent_matrix(weights, biases, second, x[:1], x)[0] * width / wide
    # Normal weights: up to the error of 200,000 draws, about a 300th of K(x, x); uniform ones: for n beyond counting.
    np.testing.assert_allclose(found, relu_ntk(n, width)[[0, 8, 15, 30]], atol=0.02 * relu_ntk(n, width)[0])


def test_the_tangent_matrix_is_that_of_gradients() -> None:
    generator = torch.Generator().manual_seed(1)
    parts = [torch.randn(shape, generator=generator, dtype=torch.float64) for shape in [(7, 5), (7,), (7,)]]
    x = torch.randn(6, 5, generator=generator, dtype=torch.float64)

    def gradient(each: torch.Tensor) -> torch.Tensor:
        own = [part.clone().requires_grad_() for part in parts]
        output = own[2] @ (own[0] @ each + own[1]).relu()
        return torch.cat([part.flatten() for part in torch.autograd.grad(output, own)])

    gradients = torch.stack([gradient(each) for each in x])
    np.testing.assert_allclose(
        tangent_matrix(parts[0], parts[1], parts[2], x, x[:2]), gradients @ gradients[:2].T, atol=1e-12
    )


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 2**32), st.integers(1, 20), st.integers(0, 5), st.floats(1e-3, 10))
def test_no_kernel_learns_more_than_samples_over_supports(seed: int, samples: int, k: int, ridge: float) -> None:
    n, rng = 5, np.random.default_rng(seed)
    # Any kernel of inner products: a mixture of those of single degrees.
    kernel = sum(share * parity_kernel(n, degree) for degree, share in enumerate(rng.dirichlet(np.ones(n + 1))))
    assert isinstance(kernel, np.ndarray)
    x = all_inputs(n)
    chosen = x[torch.from_numpy(rng.integers(0, 2**n, samples))]
    learned = []
    for support in combinations(range(n), k):
        fit = fit_ridge(kernel_matrix(kernel, chosen, chosen), chosen[:, list(support)].prod(-1), ridge)
        outputs = kernel_matrix(kernel, x, chosen) @ fit.coefficients
        learned.append(float((outputs * x[:, list(support)].prod(-1)).mean()))
        assert learned[-1] <= norm_bound(kernel, k, fit.norm) + 1e-9
    assert min(learned) >= -1e-9
    assert np.mean(learned) <= correlation_bound(n, k, samples) + 1e-9


def test_the_norm_is_that_of_the_weights_of_normed_features() -> None:
    generator = torch.Generator().manual_seed(2)
    features = torch.nn.functional.normalize(torch.randn(8, 3, generator=generator, dtype=torch.float64)) * 5
    y = torch.tensor([1.0, -1.0] * 4)
    weights = torch.linalg.solve(features.T @ features + 0.3 * torch.eye(3), features.T @ y.double())
    fit = fit_ridge(features @ features.T, y, 0.3)
    np.testing.assert_allclose(features.T @ fit.coefficients, weights, atol=1e-12)
    assert fit.norm == pytest.approx(5 * float(weights.norm()))


@pytest.mark.parametrize(("n", "k", "samples"), [(14, 2, 100), (14, 3, 600), (16, 3, 800)])
def test_predictions_are_what_fits_come_to(n: int, k: int, samples: int) -> None:
    kernel, correlations, accuracies = relu_ntk(n), [], []
    for seed in range(4):
        x = (torch.rand(samples + 4000, n, generator=torch.Generator().manual_seed(seed)) < 0.5) * 2.0 - 1
        y = x[:, :k].prod(-1)
        fit = fit_ridge(kernel_matrix(kernel, x[:samples], x[:samples]), y[:samples], 1e-3 * kernel[0])
        margins = kernel_matrix(kernel, x[samples:], x[:samples]) @ fit.coefficients * y[samples:]
        correlations.append(float(margins.mean()))
        accuracies.append(float((margins > 0).double().mean()))
    told = predicted(kernel, k, samples, 1e-3 * kernel[0])
    assert np.mean(correlations) == pytest.approx(told.correlation, abs=0.03)
    assert np.mean(accuracies) == pytest.approx(told.accuracy, abs=0.04)
    assert told.accuracy > 0.55


def test_the_experiment(tmp_path: Path) -> None:
    small = ["--n=9,12", "--k=2", "--samples=64", "--trials=2", "--features=50", "--steps=250", "--tested=100"]
    main(["theory", "kernels", *small, f"--runs={tmp_path}"])
    (folder,) = tmp_path.iterdir()
    with (folder / "data.csv").open() as file:
        rows = {(int(row["n"]), row["learner"]): row for row in csv.DictReader(file)}
    assert len(rows) == 12
    assert float(rows[12, "NTK"]["m / C(n,k)"]) == pytest.approx(64 / 66)
    # All parities of two of nine bits are 36 features, of which 64 samples tell every one.
    assert float(rows[9, "all parities of k bits"]["accuracy"]) == 1
    assert abs(float(rows[9, "all parities of k bits"]["E[y f]"]) - 1) < 0.2
    with (folder / "fits.csv").open() as file:
        fits = [row for row in csv.DictReader(file) if row["learner"] == "NTK" and row["n"] == "12"]
    assert sorted({int(row["samples"]) for row in fits}) == [4, 16, 64]
    right = sum(int(row["right"]) for row in fits if row["samples"] == "64")
    assert float(rows[12, "NTK"]["accuracy"]) == pytest.approx(right / 200)
    claims = json.loads((folder / "verdict.json").read_text())["claims"]
    assert claims[0]["paper"] == f"at least {1 - 64 / 66:.4g}"


@pytest.mark.parametrize("option", ["--k=99", "--samples=8", "--ridge=0"])
def test_wrong_options_are_told(option: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as exit_:
        main(["theory", "kernels", option])
    assert exit_.value.code == 2
    assert option[2:] in capsys.readouterr().err
