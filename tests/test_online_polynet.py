"""Online SGD on disjoint-PolyNets against autograd, sums over all inputs and mean increments added up."""

from __future__ import annotations

import csv
import json
import math
from itertools import product
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import complaint
from hypothesis import given, settings
from hypothesis import strategies as st

from parity_lightning.cli import main
from parity_lightning.data.sparse_parity import SparseParity
from parity_lightning.errors import SettingError
from parity_lightning.measures.coefficients import all_inputs
from parity_lightning.nets.polynet import DisjointPolyNetwork
from parity_lightning.optim.losses import find_loss
from parity_lightning.theory.online_polynet import (
    OnlineTrials,
    Rates,
    drift_steps,
    errors_of,
    reach,
    theorem_steps,
    train_online,
)

HORIZON, DELTA = 5000, 0.1


def learning_rates(weights: np.ndarray, rates: Rates) -> list[float]:
    """Of each factor of weights of shape (n', k), relevant ones first."""
    length, k = weights.shape
    sizes = [(3 * length - 2) * max(abs(w[0]), 0.5) if rates == "oracle" else float(np.abs(w).sum()) for w in weights.T]
    c = 1 / math.sqrt(8 * math.log(2 * length * k * HORIZON / DELTA))
    return [c / math.sqrt(HORIZON) / math.prod(sizes[:own] + sizes[own + 1 :]) for own in range(k)]


@pytest.mark.parametrize("rates", ["oracle", "norm"])
@pytest.mark.parametrize(("n", "k"), [(8, 2), (15, 3), (12, 4)])
def test_a_step_is_one_of_gradient_descent(n: int, k: int, rates: Rates) -> None:
    parity = SparseParity(n, k, seed=5, one_per_block=True)
    length = n // k
    # Relevant inputs come first, times which all inputs of a block are told.
    order = [[index % length, *(j for j in range(length) if j != index % length)] for index in parity.support]
    network = DisjointPolyNetwork(n, k).double()
    network.factors.weight.data = torch.randn(k, length, generator=torch.Generator().manual_seed(0)).double()

    def ours() -> np.ndarray:
        return np.stack([w[own] for w, own in zip(network.factors.weight.detach().numpy(), order, strict=True)], 1)

    trials = OnlineTrials(ours()[..., None].copy(), rates, HORIZON, DELTA)
    for index in range(20):
        x, y = parity.draw(torch.tensor([index]))
        network.zero_grad()
        find_loss("correlation")(y * network(x.double())).sum().backward()
        with torch.no_grad():
            rate = torch.tensor(learning_rates(ours(), rates), dtype=torch.float64)
            network.factors.weight -= rate[:, None] * network.factors.weight.grad
        blocks = x.reshape(k, length).double().numpy()
        told = np.stack([block[own] * block[own[0]] for block, own in zip(blocks, order, strict=True)], 1)
        trials.step(told[..., None])
        np.testing.assert_allclose(trials.weights[..., 0], ours(), rtol=1e-12)


@given(st.integers(0, 10**6), st.sampled_from(["oracle", "norm"]), st.integers(2, 6), st.integers(2, 4))
def test_no_increment_exceeds_its_bound(seed: int, rates: Rates, length: int, k: int) -> None:
    rng = np.random.default_rng(seed)
    weights = rng.uniform(-1.5, 1.5, (length, k, 30))
    weights[0] = rng.choice([-1, 1], (k, 30)) * rng.uniform(0.5, 20, (k, 30))
    trials = OnlineTrials(weights.copy(), rates, HORIZON, DELTA)
    signs = rng.choice([-1.0, 1.0], weights.shape)
    signs[0] = 1
    trials.step(signs)
    moved = np.abs(trials.weights - weights)
    assert moved.max() <= reach(length * k, HORIZON, DELTA) / math.sqrt(HORIZON) * (1 + 1e-9)
    assert moved.max() > 0


@pytest.mark.parametrize("rates", ["oracle", "norm"])
def test_mean_increments_move_relevant_weights_only(rates: Rates) -> None:
    length, k = 4, 3
    weights = np.random.default_rng(2).uniform(-2, 2, (length, k))
    others = np.array(list(product([1.0, -1.0], repeat=(length - 1) * k))).T.reshape(length - 1, k, -1)
    x = np.concatenate([np.ones((1, k, others.shape[-1])), others])
    trials = OnlineTrials(np.repeat(weights[..., None], x.shape[-1], axis=2), rates, HORIZON, DELTA)
    trials.step(x)
    moved = trials.weights.mean(-1) - weights
    v = weights[0]
    for own, rate in enumerate(learning_rates(weights, rates)):
        assert moved[0, own] == pytest.approx(rate * math.prod(np.delete(v, own)), rel=1e-9)
    np.testing.assert_allclose(moved[1:], 0, atol=1e-14)


@settings(deadline=None, max_examples=20)
@given(st.integers(0, 10**6), st.sampled_from([(2, 5), (3, 3), (3, 4), (2, 2)]), st.booleans())
def test_errors_are_those_over_all_inputs(seed: int, shape: tuple[int, int], whole: bool) -> None:
    k, length = shape
    rng = np.random.default_rng(seed)
    # Whole numbers have ties.
    weights = rng.integers(-2, 3, (length, k, 2)).astype(float) if whole else rng.standard_normal((length, k, 2))
    x = all_inputs(k * length).double()
    y = x[:, ::length].prod(-1)
    for trial, error in enumerate(errors_of(weights)):
        network = DisjointPolyNetwork(k * length, k).double()
        network.factors.weight.data = torch.tensor(weights[..., trial].T)
        assert error == pytest.approx(float(((1 - torch.sign(network(x)) * y) / 2).mean().detach()), abs=1e-12)


def test_errors_are_those_on_fresh_examples() -> None:
    length, k = 12, 2
    weights = np.random.default_rng(1).standard_normal((length, k, 1))
    weights[0] = 3
    network = DisjointPolyNetwork(length * k, k)
    network.factors.weight.data = torch.tensor(weights[..., 0].T, dtype=torch.float32)
    x, y = SparseParity(length * k, k, support=[0, length], seed=3).draw(torch.arange(2**13), "validation")
    wrong = float((network(x) * y < 0).float().mean())
    assert wrong == pytest.approx(errors_of(weights)[0], abs=4 * math.sqrt(0.25 / 2**13))
    assert 0.1 < wrong < 0.4


@given(st.integers(2, 20), st.integers(2, 5), st.floats(0.001, 0.4), st.floats(0.001, 0.9))
def test_the_steps_of_the_theorem_are_the_first_that_suffice(length: int, k: int, epsilon: float, delta: float) -> None:
    def suffice(steps: int) -> bool:
        logarithms = math.log(2 * k * length * steps / delta) * math.log(2 * k / epsilon)
        return steps >= 6 * logarithms * (3 * length - 2) ** (2 * k - 1) * (1 - 1e-12)

    steps = theorem_steps(length, k, epsilon, delta)
    assert suffice(steps)
    assert not suffice(math.floor(steps * (1 - 1e-9)) - 2)


def by_mean_increments(v: list[float], length: int, rates: Rates, until: float, at_most: int) -> tuple[int, float]:
    """Adds mean increments up; all other weights are 1."""
    steps = 0
    while min(v) <= until and steps < at_most:
        weights = np.ones((length, len(v)))
        weights[0] = v
        rate = learning_rates(weights, rates)
        v = [own + rate[i] * math.prod(v[:i] + v[i + 1 :]) for i, own in enumerate(v)]
        steps += 1
    return steps, min(v)


@pytest.mark.parametrize(("length", "k", "rates"), [(3, 2, "oracle"), (3, 2, "norm"), (4, 2, "norm"), (3, 3, "norm")])
def test_the_drift_law_is_mean_increments_added_up(length: int, k: int, rates: Rates) -> None:
    # Errors fall below 0.1 where the relevant weight exceeds the number that most sums of the others do not.
    goal = {3: 2.0, 4: 3.0}[length]
    steps, _ = by_mean_increments([1.0] * k, length, rates, goal, 100_000)
    assert steps == pytest.approx(drift_steps(length, k, 0.1, DELTA, HORIZON, rates), rel=0.01)


def test_one_flipped_sign_turns_learning_into_forgetting() -> None:
    right, grown = by_mean_increments([1.0, 1.0], 3, "norm", 2.0, 10_000)
    assert grown > 2
    _, shrunk = by_mean_increments([1.0, -1.0], 3, "norm", 2.0, right)
    assert -1 < shrunk < 0
    weights = np.ones((3, 2, 2))
    weights[0, 1, 1] = -1
    found = train_online(
        weights, "norm", horizon=HORIZON, epsilon=0.1, delta=DELTA, rng=np.random.default_rng(0), at_most=HORIZON
    )
    assert found.right.tolist() == [True, False]
    assert found.errors[0] <= 0.1
    assert found.errors[1] >= 0.5
    assert math.isinf(found.steps[1])


def test_two_flipped_signs_change_nothing() -> None:
    """Random right signs are all ones but for the symmetry, bit for bit."""
    weights = np.ones((3, 3, 2))
    weights[:, :2, 1] = -1
    trials = OnlineTrials(weights, "oracle", HORIZON, DELTA)
    rng = np.random.default_rng(0)
    for _ in range(100):
        x = np.ones((3, 3, 2))
        x[1:] = rng.choice([-1.0, 1.0], (2, 3, 1))
        trials.step(x)
    assert (trials.weights[:, :2, 0] == -trials.weights[:, :2, 1]).all()
    assert (trials.weights[:, 2, 0] == trials.weights[:, 2, 1]).all()
    assert (trials.weights[0] != 1).all()


def test_every_step_has_an_example_of_its_own_for_every_trial() -> None:
    seen: list[np.ndarray] = []

    class Watched(OnlineTrials):
        def step(self, x: np.ndarray) -> None:
            seen.append(x.copy())

    Watched(np.ones((4, 2, 7)), "norm", HORIZON, DELTA).run(600, np.random.default_rng(0))
    x = np.stack(seen)
    assert x.shape == (600, 4, 2, 7)
    assert (x[:, 0] == 1).all()
    assert set(np.unique(x[:, 1:])) == {-1.0, 1.0}
    signs = x[:, 1:].reshape(600, -1)
    products = signs.T @ signs / 600
    # Six standard deviations of a mean of 600 signs.
    assert np.abs(products - np.eye(42)).max() < 6 / math.sqrt(600)
    assert np.abs(signs.mean(0)).max() < 6 / math.sqrt(600)
    assert np.abs((signs[1:] * signs[:-1]).mean(0)).max() < 6 / math.sqrt(600)


def test_right_trials_learn_when_mean_increments_say() -> None:
    horizon = 4000
    found = train_online(
        np.ones((3, 2, 20)),
        "norm",
        horizon=horizon,
        epsilon=0.1,
        delta=DELTA,
        rng=np.random.default_rng(4),
        at_most=horizon,
    )
    assert found.right.all()
    assert (found.errors <= 0.1).all()
    assert np.median(found.steps) == pytest.approx(drift_steps(3, 2, 0.1, DELTA, horizon, "norm"), rel=0.1)
    assert 0 < found.irrelevant_moved.max() <= 0.5


def test_trials_stop_at_most_there() -> None:
    found = train_online(
        np.ones((3, 2, 4)), "norm", horizon=4000, epsilon=0.1, delta=DELTA, rng=np.random.default_rng(4), at_most=77
    )
    assert found.taken == 77
    assert np.isinf(found.steps).all()


def test_unknown_rates() -> None:
    with pytest.raises(SettingError, match="rates=oracel: did you mean oracle"):
        OnlineTrials(np.ones((2, 2, 1)), "oracel", HORIZON, DELTA)  # type: ignore[arg-type]


def test_the_experiment(tmp_path: Path) -> None:
    main(
        ["theory", "online-polynet", "--two=3,4", "--three=null", "--oracle=null", "--trials=40", f"--runs={tmp_path}"]
    )
    (folder,) = tmp_path.iterdir()
    rows = list(csv.DictReader((folder / "data.csv").read_text().splitlines()))
    assert [int(row["theorem_steps"]) for row in rows] == [theorem_steps(n, 2, 0.1, 0.1) for n in (3, 4)]
    assert int(rows[0]["taken"]) == math.ceil(0.04 * 125_471)
    trials = list(csv.DictReader((folder / "trials.csv").read_text().splitlines()))
    assert len(trials) == 80
    for row, length in zip(rows, ("3", "4"), strict=True):
        right = [trial for trial in trials if trial["length"] == length and trial["right"] == "True"]
        assert row["right"] == f"{len(right)} of {len(right)}"
        assert row["wrong"] == f"0 of {40 - len(right)}"
        steps = np.median([float(trial["steps"]) for trial in right])
        assert float(row["steps"]) == steps == pytest.approx(float(row["drift_steps"]), rel=0.1)
    claims = json.loads((folder / "verdict.json").read_text())["claims"]
    solved = sum(trial["right"] == "True" for trial in trials)
    # Wrong signs do not learn within this horizon: success is a matter of signs.
    share = next(claim for claim in claims if claim["id"] == "random-signs-norm")
    assert share["ours"] == pytest.approx(solved / 80)
    assert share["low"] < 0.5 < share["high"]


@pytest.mark.parametrize(
    ("option", "told"),
    [
        ("--two=1", "two=1: must be at least 2"),
        ("--oracle=15", "oracle=15: must be at most 14"),
        ("--epsilon=0.5", "epsilon=0.5: must be above 0 and below 0.5"),
        ("--horizon=0", "horizon=0.0: must be above 0 and at most 1"),
        ("--trials=3", "trials=3: must be at least 6"),
    ],
)
def test_settings_out_of_range(option: str, told: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert told in complaint(["theory", "online-polynet", option, f"--runs={tmp_path}"], capsys)
