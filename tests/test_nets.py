"""Networks, initializations, losses and the paper's update rule, against closed forms."""

from __future__ import annotations

import itertools
import math

import pytest
import torch
from torch import nn

from parity_lightning import MLP, DecayedSGD, SettingError, SparseParity
from parity_lightning.losses import find_loss
from parity_lightning.metrics import is_error
from parity_lightning.nets import TwoLayerMLP, initialize


def all_inputs(n: int) -> torch.Tensor:
    return torch.tensor(list(itertools.product([-1.0, 1.0], repeat=n)))


@pytest.mark.parametrize(("n", "support"), [(6, [0, 2]), (6, [1, 3, 5]), (8, [0, 1, 2, 7])])
def test_a_relu_network_of_width_k_plus_1_realises_the_parity(n: int, support: list[int]) -> None:
    """The piecewise linear function of z = sum_S x with values (-1)^j at z = k - 2j, by its kinks."""
    k = len(support)
    network = TwoLayerMLP(n, k, width=k + 1)
    with torch.no_grad():
        network.hidden.weight.zero_()
        network.hidden.weight[:, support] = 1.0
        knots = torch.tensor([2.0 * j - k for j in range(k + 1)])
        # From z = -k - 1, where the sum is 0, up to the first knot, then a turn at each of the next ones.
        network.hidden.bias.copy_(torch.cat([torch.tensor([k + 1.0]), -knots[:-1]]))
        first = (-1.0) ** k
        slopes = [first, *(-first * (-1) ** j for j in range(k))]
        turns = [slopes[0], *(after - before for before, after in itertools.pairwise(slopes))]
        network.output.weight.copy_(torch.tensor([turns]))
    x = all_inputs(n)
    assert torch.allclose(network(x), SparseParity(n, k, support).label(x))


def test_a_power_network_realises_a_parity_of_two() -> None:
    """x1 x2 = ((x1 + x2)^2 - (x1 - x2)^2) / 4."""
    network = TwoLayerMLP(4, 2, width=2, activation="power")
    with torch.no_grad():
        network.hidden.weight.copy_(torch.tensor([[0.0, 1, 0, 1], [0.0, 1, 0, -1]]))
        network.hidden.bias.zero_()
        network.output.weight.copy_(torch.tensor([[0.25, -0.25]]))
    x = all_inputs(4)
    assert torch.equal(network(x), SparseParity(4, 2, [1, 3]).label(x))


@pytest.mark.parametrize("activation", ["relu", "power"])
@pytest.mark.parametrize("bias", [True, False])
def test_the_network_is_the_formula(activation: str, bias: bool) -> None:
    network = TwoLayerMLP(7, 3, width=5, activation=activation, bias=bias)
    x = torch.randn(2, 4, 7)
    z = x @ network.hidden.weight.T + (network.hidden.bias if bias else 0)
    sigma = z.clamp(min=0) if activation == "relu" else z**3
    assert torch.allclose(network(x), sigma @ network.output.weight[0], rtol=1e-5)
    assert len(list(network.parameters())) == 2 + bias


@pytest.mark.parametrize(
    ("name", "bound", "variance"),
    [
        ("uniform", math.sqrt(6 / 500), 6 / 500 / 3),
        ("bernoulli", math.sqrt(6 / 500), 6 / 500),
        ("gaussian", math.inf, 2 / 200),
        ("default", math.sqrt(1 / 200), 1 / 200 / 3),
    ],
)
def test_initializations_have_their_law(name: str, bound: float, variance: float) -> None:
    torch.manual_seed(1)
    layer = nn.Linear(200, 300)
    initialize(layer, name)
    weight = layer.weight.detach()
    assert float(weight.abs().max()) <= bound * (1 + 1e-6)
    assert abs(float(weight.mean())) < 4 * math.sqrt(variance / weight.numel())
    assert float(weight.var()) == pytest.approx(variance, rel=0.03)
    assert float(layer.bias.detach().var()) == pytest.approx(variance, rel=0.4)
    if name == "bernoulli":
        assert torch.allclose(weight.abs(), torch.tensor(bound))


def test_initialization_leaves_other_parameters_alone() -> None:
    network = nn.Sequential(nn.Linear(4, 4), nn.LayerNorm(4))
    initialize(network, "bernoulli")
    assert torch.equal(network[1].weight, torch.ones(4))


@pytest.mark.parametrize("y", [-1.0, 1.0])
@pytest.mark.parametrize("prediction", [-2.0, -0.3, 0.0, 0.7, 3.0])
def test_losses_are_their_textbook_forms(y: float, prediction: float) -> None:
    probability = 1 / (1 + math.exp(-prediction))
    expected = {
        "hinge": max(0.0, 1 - y * prediction),
        "square": (y - prediction) ** 2,
        "cross_entropy": -math.log(probability if y > 0 else 1 - probability),
        "correlation": -y * prediction,
    }
    for name, value in expected.items():
        assert float(find_loss(name)(torch.tensor(y * prediction))) == pytest.approx(value, abs=1e-6)
        module = MLP(5, 2, loss=name)
        assert float(module.loss(torch.tensor([prediction]), torch.tensor([y]))) == pytest.approx(value, abs=1e-6)


def test_the_decay_is_the_papers() -> None:
    """Theta <- (1 - lambda) theta - eta grad, with lambda of each group, on three steps by hand."""
    weights = [nn.Parameter(torch.tensor([1.0, -2.0])), nn.Parameter(torch.tensor([3.0]))]
    optimizer = DecayedSGD([{"params": [weights[0]], "decay": 0.1}, {"params": [weights[1]]}], lr=0.5, decay=0.25)
    expected = [weight.detach().clone() for weight in weights]
    for step in range(3):
        for weight, target, decay in zip(weights, expected, (0.1, 0.25), strict=True):
            weight.grad = torch.full_like(weight, 1.0 + step)
            target.mul_(1 - decay).sub_(0.5 * (1.0 + step))
        optimizer.step()
    for weight, target in zip(weights, expected, strict=True):
        assert torch.allclose(weight.detach(), target)


def test_the_decay_is_pytorchs_times_the_learning_rate() -> None:
    one, other = nn.Parameter(torch.tensor([1.0])), nn.Parameter(torch.tensor([1.0]))
    ours = DecayedSGD([one], lr=0.5, decay=0.5 * 0.02)
    theirs = torch.optim.SGD([other], lr=0.5, weight_decay=0.02)
    for _ in range(4):
        one.grad, other.grad = torch.tensor([0.3]), torch.tensor([0.3])
        ours.step()
        theirs.step()
    assert torch.allclose(one, other)


def test_zero_and_nan_predict_no_sign() -> None:
    predictions = torch.tensor([0.0, -0.0, math.nan, math.inf, -1e-30])
    assert is_error(predictions, torch.ones(5)).tolist() == [True, True, True, False, True]


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"loss": "hing"}, "loss=hing: did you mean hinge"),
        ({"initialization": "gausian"}, "initialization=gausian: did you mean gaussian"),
        ({"activation": "rleu"}, "activation=rleu: did you mean relu"),
        ({"width": 0}, "width=0"),
        ({"screen": 0}, "screen=0"),
        ({"optimizer": lambda p: torch.optim.SGD(p, lr=-1)}, "lr=-1"),
        ({"optimizer": lambda p: torch.optim.SGD(p, lr=math.nan)}, "lr=nan"),
        ({"optimizer": lambda p: torch.optim.SGD(p, lr=0.1, momentum=-1)}, "momentum=-1"),
        ({"optimizer": lambda p: DecayedSGD(p, lr=0.1, decay=2)}, "decay=2"),
    ],
)
def test_a_bad_setting_is_named(settings: dict[str, object], told: str) -> None:
    with pytest.raises(SettingError, match=f"^{told}"):
        MLP(10, 3, **settings)  # type: ignore[arg-type]
