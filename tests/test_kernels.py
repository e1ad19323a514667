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
from scipy import stats

from parity_lightning.cli import main
from parity_lightning.experiments.theorem6_kernels.claims import (
    eigenvalues_claim,
    least_loss_claim,
    odd_degree_claim,
    trivial_claim,
)
from parity_lightning.experiments.theorem6_kernels.rows import Fit, Row
from parity_lightning.measures.coefficients import all_inputs
from parity_lightning.studies.claims import Estimate
from parity_lightning.theory.kernel_ridge import correlation_bound, fit_ridge, norm_bound, predicted
from parity_lightning.theory.kernels import kernel_masses, kernel_matrix, parity_kernel, relu_ntk, tangent_matrix

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
    assert float(rows[12, "NTK"]["eps"]) == pytest.approx(64 / 66)
    # All parities of two of nine bits are 36 features, of which 64 samples tell every one.
    assert float(rows[9, "all parities of k bits"]["accuracy"]) == 1
    assert abs(float(rows[9, "all parities of k bits"]["correlation"]) - 1) < 0.2
    with (folder / "fits.csv").open() as file:
        fits = [row for row in csv.DictReader(file) if row["learner"] == "NTK" and row["n"] == "12"]
    assert sorted({int(row["samples"]) for row in fits}) == [4, 16, 64]
    right = sum(int(row["right"]) for row in fits if row["samples"] == "64")
    assert float(rows[12, "NTK"]["accuracy"]) == pytest.approx(right / 200)
    claims = json.loads((folder / "verdict.json").read_text())["claims"]
    assert claims[0]["paper"] == f"at least {1 - 64 / 66:.4g}"
    # For kernels without a proof of the bound it is not asked.
    closed = ("NTK", "NTK without biases", "all parities of k bits")
    assert claims[0]["ours"] == pytest.approx(min(float(rows[12, name]["hinge"]) for name in closed))
    trivial = next(claim for claim in claims if claim["claim"].startswith("Section 4.1"))
    low = float(stats.beta.ppf(0.05 / 6, right, 201 - right))
    assert trivial["low"] == pytest.approx(low)
    # 200 examples tell accuracies to 7 % or so, which cannot support 3 %.
    assert next(claim["holds"] for claim in claims if "eigenvalues alone" in claim["claim"]) is not True


def _fit(learner: str, right: int, tested: int, n: int = 50, hinge: float = 1.0) -> Fit:
    return Fit(n, learner, 0, 2000, right, tested, hinge, 0.01, correlation=0.0, correlation_error=0.01)


def _fits(right: int, tested: int, predicted: float, n: int = 50) -> tuple[list[Row], list[Fit]]:
    row = Row(n, "NTK", right / tested, 0.0, 1.0, predicted, hinge=1.0, correlation=0.0, eps=0.1)
    return [row], [_fit("NTK", right, tested, n)]


@pytest.mark.parametrize(
    ("right", "tested", "n", "holds"),
    [
        (50_000, 100_000, 50, True),
        (52_600, 100_000, 50, True),
        (52_900, 100_000, 50, None),
        (53_100, 100_000, 50, None),
        (53_400, 100_000, 50, False),
        (46_600, 100_000, 50, False),
        # Few examples decide nothing unless they are far off.
        (29, 50, 50, None),
        (45, 50, 50, False),
        # One in 17 of the test examples is among 2,000 samples at n = 15, and half of those are right at any rate.
        (53_400, 100_000, 15, True),
        (57_000, 100_000, 15, False),
        (46_600, 100_000, 15, False),
    ],
)
def test_accuracies_are_compared_within_their_error(right: int, tested: int, n: int, holds: bool | None) -> None:
    assert eigenvalues_claim(*_fits(right, tested, 0.5, n), 2000).holds is holds


@pytest.mark.parametrize(
    ("low", "told", "few", "holds"),
    [
        (0.499, None, True, True),
        (0.5005, None, True, False),
        # Above one half, but by no more than eigenvalues predict.
        (0.5005, 0.50092, True, None),
        (0.502, 0.50092, True, False),
        # More samples than supports: not what the theorem is about.
        (0.9, 0.9, False, None),
        (0.9, None, False, None),
    ],
)
def test_no_better_than_trivial(low: float, told: float | None, few: bool, holds: bool | None) -> None:
    found = Estimate(low + 0.001, low, low + 0.002)
    assert trivial_claim("NTK", "(50,3)", found, told, few).holds is holds


def test_rounding_is_no_odd_degree() -> None:
    assert odd_degree_claim((20, 50), 11).holds is True
    assert odd_degree_claim((20, 50), 2).holds is False


@pytest.mark.parametrize(("loss", "holds"), [(0.91, True), (0.89, None), (0.8, False), (math.nan, None)])
def test_the_least_loss_is_that_of_kernels_of_inner_products(loss: float, holds: bool | None) -> None:
    # Theorem 6 bounds the loss by 1 - 2000 / C(50,3) = 0.898.
    fits = [
        _fit(name, 1000, 2000, hinge=each)
        for name, each in {
            "NTK": 1.0,
            "NTK without biases": 1.1,
            "all parities of k bits": loss,
            "NTK of this network": 0.1,
            "random ReLU features": 0.1,
        }.items()
    ]
    claim = least_loss_claim(fits, 50, 3, 2000)
    assert claim.holds is holds
    assert claim.found.value == pytest.approx(loss, nan_ok=True)


@pytest.mark.parametrize(
    "option",
    ["--k=99", "--samples=8", "--ridge=0", "--ridge=1e-18", "--tested=99", "--width=0", "--steps=0"],
)
def test_wrong_options_are_told(option: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as exit_:
        main(["theory", "kernels", option])
    assert exit_.value.code == 2
    assert option[2:] in capsys.readouterr().err
