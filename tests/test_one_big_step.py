"""One large step of the first layer against autograd over all inputs, and what the second layer makes of it."""

from __future__ import annotations

import csv
import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from matplotlib.figure import Figure

from parity_lightning.cli import main
from parity_lightning.data.sparse_parity import SparseParity
from parity_lightning.engine.stack import Stack
from parity_lightning.engine.trainable import NetworkWithLoss
from parity_lightning.experiments.theorem4_one_big_step.claims import make_claims
from parity_lightning.experiments.theorem4_one_big_step.picture import draw_picture
from parity_lightning.experiments.theorem4_one_big_step.rows import Result, Row
from parity_lightning.experiments.training import train_online
from parity_lightning.measures.coefficients import all_inputs
from parity_lightning.optim.losses import find_loss
from parity_lightning.theory.majority import majority_coefficient
from parity_lightning.theory.one_big_step import (
    Network,
    big_step,
    lucky_neurons,
    margins,
    population_gradient,
    sampled_gradients,
    spread_on_support,
    symmetric_network,
)


def train_second_layer(
    network: Network, parity: SparseParity, first: int, steps: int, batch_size: int, lr: float
) -> Network:
    trainable = NetworkWithLoss(network, find_loss("hinge"))
    stack = Stack.of([trainable], [parity], lambda weights: torch.optim.SGD(weights, lr=lr), batch_size)
    train_online(stack, steps, batch_size, first)
    weights, frozen = stack.weights_of(0)
    assert list(stack.weights) == ["network.second"]
    return Network(*frozen, *weights)


def by_autograd(network: Network, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """The gradient of the mean hinge loss of a ReLU MLP, with nothing assumed of where it starts."""
    weights = network.weights.double().requires_grad_()
    output = torch.relu(x.double() @ weights.T + network.biases.double()) @ network.second.double()
    torch.relu(1 - y.double() * output).mean().backward()
    assert weights.grad is not None
    return weights.grad


@pytest.mark.parametrize(("n", "k"), [(7, 2), (11, 2), (11, 4), (13, 6)])
def test_the_population_gradient_is_that_of_all_inputs(n: int, k: int) -> None:
    network, support = symmetric_network(n, k, 24, seed=3), [1, *range(n - k + 1, n)]
    x = all_inputs(n)
    expected = by_autograd(network, x, x[:, support].prod(-1))
    torch.testing.assert_close(population_gradient(network, support), expected, atol=1e-12, rtol=0)


def test_a_sampled_gradient_is_that_of_its_examples_and_converges() -> None:
    n, k = 11, 2
    parity, network = SparseParity(n, k, seed=5), symmetric_network(n, k, 40, seed=5)
    small, large = sampled_gradients(network, parity, [300, 200_000])
    torch.testing.assert_close(small, by_autograd(network, *parity.draw(torch.arange(300))), atol=1e-12, rtol=0)
    exact = population_gradient(network, parity.support)
    # The mean of -1, 0 and 1, half of them 0.
    for gradient, batch in ((small, 300), (large, 200_000)):
        error = (gradient - exact).square().mean().sqrt() * (2 * batch) ** 0.5
        assert 0.6 < float(error) < 1.5


@pytest.mark.parametrize(("n", "k"), [(9, 2), (31, 2), (31, 4), (51, 4)])
def test_the_step_makes_features_of_lucky_neurons(n: int, k: int) -> None:
    support = list(range(2, 2 + k))
    network = symmetric_network(n, k, 4000, seed=1)
    stepped = big_step(network, population_gradient(network, support), k)
    lucky = lucky_neurons(network, support)
    others = [place for place in range(n) if place not in support]
    torch.testing.assert_close(stepped.weights[lucky][:, support], torch.full((int(lucky.sum()), k), 1 / (2 * k)))
    # What leaks is smaller by the ratio of the coefficients.
    leak = torch.tensor((k - 1) / (n - k) / (2 * k))
    torch.testing.assert_close(stepped.weights[lucky][:, others].abs(), leak.expand(int(lucky.sum()), n - k))
    # No other neuron has all its weights on the support equal and positive.
    assert not (stepped.weights[~lucky][:, support] > 0).all(-1).any()
    assert float(lucky.double().mean()) == pytest.approx(2.0**-k, abs=5 * (2.0**-k / 2000) ** 0.5)
    # The other layers stay.
    assert torch.equal(stepped.biases, network.biases)
    assert torch.equal(stepped.second, network.second)


@pytest.mark.parametrize(("n", "k", "batch"), [(9, 2, 374), (31, 2, 3_000), (15, 4, 5_000)])
def test_the_standard_error_of_weights_on_the_support_is_their_deviation(n: int, k: int, batch: int) -> None:
    scores = []
    for seed in range(100):
        parity, network = SparseParity(n, k, seed=seed), symmetric_network(n, k, 8 * k * 2**k, seed)
        stepped = big_step(network, sampled_gradients(network, parity, [batch])[0], k)
        weights = 2 * k * stepped.weights[lucky_neurons(network, parity.support)][:, list(parity.support)]
        error = spread_on_support(network, parity, 2_000) / math.sqrt(batch)
        scores.append((float(weights.mean()) - 1) / error)
    # 100 standard normal numbers: the standard errors of their mean and deviation are 0.1 and 0.071.
    assert np.mean(scores) == pytest.approx(0, abs=4 * 0.1)
    assert np.std(scores) == pytest.approx(1, abs=4 * 0.071)


def trial(mean_weight: float, hinge: float, seed: int = 0) -> Result:
    """A trial with 10 lucky neurons, of which the mean weight has the standard error 0.03."""
    weights, leaks = np.full((10, 2), mean_weight), np.ones(10)
    return Result(31, 2, 64, 5_559, seed, 10, weights, 0.03, leaks, 0, hinge, 0.001)


@pytest.mark.parametrize(
    ("losses", "holds"),
    [((0.02, 0.05), True), ((0.2, 0.3), False), ((0.02, 0.3), None), ((0.099, 0.02), None), ((0.101, 0.3), None)],
)
def test_the_verdict_of_theorem_4(losses: tuple[float, ...], holds: bool | None) -> None:
    cell = [trial(1, loss, seed) for seed, loss in enumerate(losses)]
    claims = make_claims([cell] * 3, 0.1, 20_000, together=1)
    assert claims[0].holds is holds
    assert claims[0].found.value == pytest.approx(sum(losses) / 2)
    # Of the small batch the paper says nothing.
    assert claims[-1].holds is None


def test_weights_on_the_support_are_judged_by_their_error_and_the_number_of_claims() -> None:
    for together, reach in ((1, 1.95996), (3, 2.39398)):
        error = 0.03 / math.sqrt(2)
        for shift in (0.98, 1.02):
            cell = [trial(1 + shift * reach * error, 0.01, seed) for seed in (0, 1)]
            claim = make_claims([cell] * 3, 0.1, 20_000, together)[2]
            assert claim.holds is (shift < 1)
            low, high = claim.found.ends
            assert high - low == pytest.approx(2 * reach * error, rel=1e-4)


def test_a_hinge_loss_of_zero_is_drawn_on_a_logarithmic_axis() -> None:
    figure = Figure()
    rows = [
        Row(31, 2, batch, 0.25, 0.25, 1.0, 1.0, 1.0, error=error, hinge=error, worst=error)
        for batch, error in ((21, 0.4), (5_559, 0.0))
    ]
    draw_picture(rows, 0.1, figure)
    for line in figure.axes[1].lines[:2]:
        assert np.asarray(line.get_ydata()).tolist() == [0.4, 1e-5]


def test_initialization() -> None:
    network = symmetric_network(31, 4, 7000, seed=2)
    x = 1.0 - 2.0 * torch.randint(2, (100, 31))
    assert network(x).detach().abs().max().item() < 1e-2
    assert torch.equal(network.weights.abs(), torch.ones(7000, 31))
    values, counts = network.biases.unique(return_counts=True)
    assert values.tolist() == [-0.75, -0.5, -0.25, 0, 0.25, 0.5, 0.75]
    # 500 pairs each.
    assert all(abs(count / 2 - 500) < 5 * 500**0.5 for count in counts.tolist())
    assert not torch.equal(network.weights, symmetric_network(31, 4, 7000, seed=3).weights)


def test_with_the_exact_step_the_second_layer_learns_every_input() -> None:
    n, k = 15, 2
    parity, network = SparseParity(n, k, seed=1), symmetric_network(n, k, 64, seed=1)
    stepped = big_step(network, population_gradient(network, parity.support), k)
    learned = train_second_layer(stepped, parity, 0, 1000, 64, 0.2)
    x = all_inputs(n)
    assert int((parity.label(x) * learned(x) <= 0).sum()) == 0
    # And not without the step.
    control = train_second_layer(network, parity, 0, 300, 64, 0.001)
    assert float((margins(control, parity, 4000) <= 0).double().mean()) > 0.25


def test_a_step_of_the_second_layer_is_that_of_autograd() -> None:
    parity, network = SparseParity(9, 2, seed=4), symmetric_network(9, 2, 20, seed=4)
    network = big_step(network, population_gradient(network, parity.support), 2)
    second = network.second.detach().clone()
    for step in range(3):
        x, y = parity.draw(torch.arange(50 + 8 * step, 58 + 8 * step))
        leaf = second.clone().requires_grad_()
        torch.relu(1 - y * (network.features(x) @ leaf)).mean().backward()
        assert leaf.grad is not None
        second -= 0.3 * leaf.grad
    learned = train_second_layer(network, parity, 50, 3, 8, 0.3)
    torch.testing.assert_close(learned.second.detach(), second)
    # The first layer is frozen.
    assert torch.equal(learned.weights, network.weights)


def test_the_experiment(tmp_path: Path) -> None:
    options = ["--n=15,21", "--k=2", "--trials=2", "--steps=800", "--tested=2000", "--at_most=3500"]
    main(["theory", "one-big-step", *options, f"--runs={tmp_path}"])
    (folder,) = tmp_path.iterdir()
    rows = list(csv.DictReader((folder / "data.csv").read_text().splitlines()))
    batch = 4 * 13 / majority_coefficient(15, 1) ** 2
    assert [int(row["batch"]) for row in rows[:3]] == pytest.approx([batch / 256, batch / 16, batch], abs=1)
    for place, row in enumerate(rows):
        n = int(row["n"])
        supports = [SparseParity(n, 2, seed=seed).support for seed in (0, 1)]
        lucky = 0
        for seed, support in enumerate(supports):
            signs = symmetric_network(n, 2, 64, seed).weights[:, list(support)]
            # One of each two copies with equal signs on the support.
            lucky += int((signs[:, 0] == signs[:, 1]).sum()) // 2
        assert float(row["lucky"]) == lucky / 128
        error = float(row["error"])
        assert error < 0.01 if place % 3 == 2 else error > 0
    verdict = json.loads((folder / "verdict.json").read_text())
    assert verdict["claims"][0]["holds"]
    assert verdict["claims"][0]["paper"] == 0.1


@pytest.mark.parametrize(
    "option", ["--n=16", "--n=7", "--k=3", "--trials=0", "--steps=0", "--epsilon=0", "--at_most=9", "--tested=999"]
)
def test_options_out_of_range(option: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as error:
        main(["theory", "one-big-step", option, f"--runs={tmp_path}"])
    assert error.value.code == 2
    assert option.removeprefix("--").partition("=")[0] in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_a_coefficient_too_small_for_any_batch(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as error:
        main(["theory", "one-big-step", "--n=2001", "--k=600", f"--runs={tmp_path}"])
    assert error.value.code == 2
    assert capsys.readouterr().err.strip().endswith("at_most=5000000: leaves nothing: give smaller n or k")
