"""Every network can be the parity: weights made by hand reach it on all 2^n inputs."""

from __future__ import annotations

import itertools
import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from parity_lightning import SparseParity
from parity_lightning.nets import DisjointPolyNetwork, OneLayerTransformer, PolyNetwork, TwoLayerMLP
from parity_lightning.nets.activations import ACTIVATIONS, make_activation

SUPPORTS = [(6, [4]), (6, [0, 2]), (6, [1, 3, 5]), (8, [0, 1, 2, 7]), (7, [0, 1, 2, 4, 6])]
OSCILLATING = ["zigzag", "polynomial", "infinite_zigzag"]


def all_inputs(n: int) -> Tensor:
    return torch.tensor(list(itertools.product([-1.0, 1.0], repeat=n)))


def assert_is_parity(network: nn.Module, n: int, support: list[int], tolerance: float = 1e-4) -> None:
    x = all_inputs(n)
    with torch.no_grad():
        assert torch.allclose(network(x), SparseParity(n, len(support), support).label(x), atol=tolerance)


def zero(network: nn.Module) -> None:
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.zero_()


def turns_of_zigzag(k: int) -> tuple[Tensor, Tensor]:
    """Where z -> (-1)^j at k - 2j, straight in between, turns from z = -k on, and by how much."""
    knots = torch.tensor([2.0 * j - k for j in range(k)])
    slopes = [-((-1.0) ** (k + j)) for j in range(k)]
    return knots, torch.tensor([slopes[0], *(after - before for before, after in itertools.pairwise(slopes))])


@pytest.mark.parametrize(("n", "support"), SUPPORTS)
def test_k_relus_and_an_output_bias(n: int, support: list[int]) -> None:
    k = len(support)
    network = TwoLayerMLP(n, k, width=k, output_bias=True)
    zero(network)
    knots, turns = turns_of_zigzag(k)
    assert network.output is not None
    with torch.no_grad():
        network.hidden.weight[:, support] = 1.0
        network.hidden.bias.copy_(-knots)
        network.output.weight.copy_(turns.unsqueeze(0))
        network.output.bias.fill_((-1.0) ** k)
    assert_is_parity(network, n, support)


@pytest.mark.parametrize(("n", "support"), SUPPORTS)
def test_k_plus_1_relus(n: int, support: list[int]) -> None:
    """The first unit, of slope (-1)^k from z = -k - 1 on, does for the output bias."""
    k = len(support)
    network = TwoLayerMLP(n, k, width=k + 1)
    zero(network)
    knots, turns = turns_of_zigzag(k)
    turns[0] -= (-1.0) ** k
    assert network.output is not None
    with torch.no_grad():
        network.hidden.weight[:, support] = 1.0
        network.hidden.bias.copy_(torch.cat([torch.tensor([k + 1.0]), -knots]))
        network.output.weight.copy_(torch.cat([torch.tensor([(-1.0) ** k]), turns]).unsqueeze(0))
    assert_is_parity(network, n, support)


@pytest.mark.parametrize(("n", "support"), SUPPORTS)
def test_powers_by_polarization(n: int, support: list[int]) -> None:
    """x_1 ... x_k is the mean of s_2 ... s_k (x_1 + s_2 x_2 + ... + s_k x_k)^k / k! over all signs s."""
    k = len(support)
    signs = torch.cat([torch.ones(2 ** (k - 1), 1), all_inputs(k - 1).reshape(2 ** (k - 1), k - 1)], dim=1)
    network = TwoLayerMLP(n, k, width=2 ** (k - 1), activation="power", bias=False)
    zero(network)
    assert network.output is not None
    with torch.no_grad():
        network.hidden.weight[:, support] = signs
        network.output.weight.copy_(signs.prod(1).unsqueeze(0) / (2 ** (k - 1) * math.factorial(k)))
    assert_is_parity(network, n, support)


@pytest.mark.parametrize(
    ("support", "biases", "outputs"),
    [
        # (z + 1)^2 - (z + 2)^2 / 2 = z^2 / 2 - 1, and for k = 3, (z^3 - 7 z) / 6 = sum_i u_i (z + b_i)^3.
        ([1, 3], [1.0, 2.0], [1.0, -0.5]),
        ([0, 2, 4], [0.0, 1.0, -1.0], [5 / 9, -7 / 36, -7 / 36]),
    ],
)
def test_k_powers(support: list[int], biases: list[float], outputs: list[float]) -> None:
    k = len(support)
    network = TwoLayerMLP(6, k, width=k, activation="power")
    zero(network)
    assert network.output is not None
    with torch.no_grad():
        network.hidden.weight[:, support] = 1.0
        network.hidden.bias.copy_(torch.tensor(biases))
        network.output.weight.copy_(torch.tensor([outputs]))
    assert_is_parity(network, 6, support)


@pytest.mark.parametrize("width", [1, 4])
@pytest.mark.parametrize("second_layer", [True, False])
@pytest.mark.parametrize("activation", [*OSCILLATING, "sinusoid"])
@pytest.mark.parametrize(("n", "support"), SUPPORTS)
def test_single_neurons(n: int, support: list[int], activation: str, second_layer: bool, width: int) -> None:
    """Or the mean of several; without a second layer, one neuron among others that give 0."""
    k = len(support)
    network = TwoLayerMLP(n, k, width=width, activation=activation, second_layer=second_layer)
    zero(network)
    scale, bias = (math.pi / 2, math.pi * (1 - k) / 2) if activation == "sinusoid" else (1.0, 0.0)
    with torch.no_grad():
        if network.output is not None:
            network.hidden.weight[:, support] = scale
            network.hidden.bias.fill_(bias)
            network.output.weight.fill_(1 / width)
        else:
            network.hidden.weight[0, support] = scale
            network.hidden.bias[0] = bias
            network.hidden.bias[1:] = zero_of(activation, k)
    assert_is_parity(network, n, support)


def zero_of(activation: str, k: int) -> float:
    """A z where the activation is 0: halfway between two knots, or at 0 by oddness."""
    if k % 2 or activation == "sinusoid":
        return 0.0
    low, high = 0.0, 2.0
    sigma = make_activation(activation, k)
    for _ in range(60):
        middle = (low + high) / 2
        same_sign = bool(sigma(torch.tensor(low)) * sigma(torch.tensor(middle)) > 0)
        low, high = (middle, high) if same_sign else (low, middle)
    return low


@pytest.mark.parametrize(("n", "support"), SUPPORTS)
def test_polynet(n: int, support: list[int]) -> None:
    network = PolyNetwork(n, len(support))
    zero(network)
    with torch.no_grad():
        network.factors.weight[range(len(support)), support] = 1.0
    assert_is_parity(network, n, support)


@pytest.mark.parametrize(("n", "support"), [(6, [4]), (8, [3, 4]), (9, [0, 4, 8]), (8, [1, 2, 5, 6])])
def test_disjoint_polynet(n: int, support: list[int]) -> None:
    k = len(support)
    network = DisjointPolyNetwork(n, k)
    zero(network)
    with torch.no_grad():
        for block, index in enumerate(support):
            network.factors.weight[block, index - block * (n // k)] = 1.0
    assert_is_parity(network, n, support)


@pytest.mark.parametrize(("n", "support"), SUPPORTS)
def test_transformer(n: int, support: list[int]) -> None:
    """One head attends to the support and so sees z / k; the feed-forward layer bends it into a zigzag."""
    k = len(support)
    network = OneLayerTransformer(n, d_emb=k + 4, d_attn=2, heads=2)
    zero(network)
    asked, relevant, token, seen = 0, 1, 2, 3  # what the coordinates of embeddings stand for
    knots, turns = turns_of_zigzag(k)
    with torch.no_grad():
        network.cls[asked] = 1.0
        network.position[support, relevant] = 1.0
        network.token[token] = 1.0
        network.query.weight[0, asked] = network.key.weight[0, relevant] = 6.0
        network.value.weight[0, token] = network.out_proj.weight[seen, 0] = 1.0
        network.fc1.weight[:k, seen] = float(k)
        network.fc1.bias[:k] = -knots
        network.fc1.bias[k] = 1.0
        network.fc2.weight[relevant, :k] = turns
        network.fc2.weight[relevant, k] = (-1.0) ** k
        network.output.weight[0, relevant] = 1.0
    assert_is_parity(network, n, support, tolerance=1e-3)


@pytest.mark.parametrize("activation", OSCILLATING)
@pytest.mark.parametrize("k", range(1, 31))
def test_oscillating_activations_are_the_parity_at_every_knot(activation: str, k: int) -> None:
    z = torch.tensor([k - 2.0 * j for j in range(k + 1)])
    assert torch.allclose(make_activation(activation, k)(z), (-1.0) ** torch.arange(k + 1), atol=1e-5)


@pytest.mark.parametrize("k", range(1, 9))
def test_the_polynomial_is_of_degree_k(k: int) -> None:
    """So the k + 1 knots determine it: another interpolant through them, in Lagrange's form, is the same."""
    z = torch.linspace(-k - 1, k + 1, 40, dtype=torch.float64)
    knots = [k - 2.0 * j for j in range(k + 1)]
    interpolant = torch.zeros_like(z)
    for j, knot in enumerate(knots):
        factors = [(z - other) / (knot - other) for other in knots if other != knot]
        interpolant += (-1) ** j * torch.stack(factors).prod(0)
    assert torch.allclose(make_activation("polynomial", k)(z), interpolant)


@given(k=st.integers(1, 12), j=st.integers(-50, 50), share=st.floats(0, 1))
def test_zigzags_are_straight_between_knots(k: int, j: int, share: float) -> None:
    z, sign = k - 2 * j, -1.0 if j % 2 else 1.0
    there = torch.tensor(z - 2 * share, dtype=torch.float64)
    assert make_activation("infinite_zigzag", k)(there).item() == pytest.approx(sign * (1 - 2 * share), abs=1e-9)
    inside = 0 <= j < k
    if inside:
        assert make_activation("zigzag", k)(there).item() == pytest.approx(sign * (1 - 2 * share), abs=1e-9)
    beyond = torch.tensor(k + 3.0 * share, dtype=torch.float64)
    assert make_activation("zigzag", k)(beyond).item() == pytest.approx(1 + 3 * share)
    assert make_activation("zigzag", k)(-beyond).item() == pytest.approx((-1) ** k * (1 + 3 * share))


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("activation", list(ACTIVATIONS))
@pytest.mark.parametrize("k", [2, 3, 4, 5])
def test_which_parities_need_biases(k: int, activation: str, bias: bool) -> None:
    """Without biases, sums of ReLUs have no correlation with parities of odd k > 1, sinusoids none with even k."""
    torch.manual_seed(0)
    network = TwoLayerMLP(7, k, width=5, activation=activation, bias=bias).double()
    x = all_inputs(7).double()
    with torch.no_grad():
        correlation = float((network(x) * SparseParity(7, k, list(range(k))).label(x)).mean())
    hopeless = not bias and ((activation == "relu" and k % 2) or (activation == "sinusoid" and k % 2 == 0))
    assert (abs(correlation) < 1e-12) == bool(hopeless)
