"""Networks, initializations, losses and the paper's update rule, against closed forms."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import nn

from parity_lightning import MLP, SGDW, DisjointPolyNet, SettingError, SignSGD
from parity_lightning.measures.accuracy import is_error
from parity_lightning.nets import DisjointPolyNetwork, TwoLayerMLP, initialize
from parity_lightning.optim.losses import find_loss


def test_initial_weights_are_multiplied_and_then_added_to() -> None:
    """And nothing else is: what is not named is drawn as before, bit for bit."""

    def drawn(**settings: Any) -> dict[str, torch.Tensor]:
        torch.manual_seed(0)
        module = MLP(6, 2, width=3, initialization="uniform", **settings)
        return {name: each.detach() for name, each in module.network.named_parameters()}

    before = drawn()
    same = drawn(initialization_factors={}, initialization_offsets=None)
    assert all(map(torch.equal, same.values(), before.values()))
    after = drawn(initialization_factors={"hidden": 2.0}, initialization_offsets={"hidden.bias": -3.0, "output": 0.5})
    assert torch.equal(after["hidden.weight"], 2 * before["hidden.weight"])
    assert torch.equal(after["hidden.bias"], 2 * before["hidden.bias"] - 3)
    assert torch.equal(after["output.weight"], before["output.weight"] + 0.5)


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


@pytest.mark.parametrize(("name", "values"), [("sign", {-1.0, 1.0}), ("ones", {1.0})])
def test_the_initializations_of_disjoint_polynets_have_their_law(name: str, values: set[float]) -> None:
    network = DisjointPolyNetwork(4000, 4)
    initialize(network, name)
    weight = network.factors.weight.detach()
    assert set(weight.flatten().tolist()) == values
    if name == "sign":
        assert abs(float(weight.mean())) < 4 / math.sqrt(4000)


def test_initializations_scale_with_a_layers_own_fans() -> None:
    network = DisjointPolyNetwork(4000, 4)
    initialize(network, "uniform")
    bound = math.sqrt(6 / 1001)
    assert bound * 0.99 < float(network.factors.weight.detach().abs().max()) <= bound
    initialize(network, "gaussian")
    assert float(network.factors.weight.detach().var()) == pytest.approx(2 / 1000, rel=0.1)


def test_an_initialization_that_would_do_nothing_is_refused() -> None:
    with pytest.raises(SettingError, match=r"^initialization=uniform: this network has no affine layer"):
        initialize(nn.Sequential(nn.Embedding(5, 3)), "uniform")


def test_convolutions_are_drawn_by_their_fans_and_frozen_layers_are_not() -> None:
    network = nn.Sequential(nn.Conv1d(3, 50, 7), nn.Linear(4, 4))
    network[1].requires_grad_(False)
    before = network[1].weight.clone()
    initialize(network, "gaussian")
    assert float(network[0].weight.detach().var()) == pytest.approx(2 / 21, rel=0.15)
    initialize(network, "bernoulli")
    assert float(network[0].weight.detach().abs().mean()) == pytest.approx(math.sqrt(6 / (21 + 350)))
    assert torch.equal(network[1].weight, before)


def test_signs_are_refused_beside_a_normalization_layer() -> None:
    network = nn.Sequential(nn.Linear(4, 4), nn.LayerNorm(4))
    with pytest.raises(SettingError, match=r"^initialization=bernoulli: makes no sense with a normalization layer"):
        initialize(network, "bernoulli")
    initialize(nn.Sequential(nn.Linear(4, 4), nn.LayerNorm(4, elementwise_affine=False)), "bernoulli")


def test_initialization_leaves_other_parameters_alone() -> None:
    network = nn.Sequential(nn.Linear(4, 4), nn.LayerNorm(4))
    initialize(network, "uniform")
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
    optimizer = SGDW([{"params": [weights[0]], "decay": 0.1}, {"params": [weights[1]]}], lr=0.5, decay=0.25)
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
    ours = SGDW([one], lr=0.5, decay=0.5 * 0.02)
    theirs = torch.optim.SGD([other], lr=0.5, weight_decay=0.02)
    for _ in range(4):
        one.grad, other.grad = torch.tensor([0.3]), torch.tensor([0.3])
        ours.step()
        theirs.step()
    assert torch.allclose(one, other)


def test_sign_sgd_moves_every_weight_by_the_same_length() -> None:
    weights = [nn.Parameter(torch.tensor([1.0, -2.0])), nn.Parameter(torch.tensor([3.0]))]
    optimizer = SignSGD([{"params": [weights[0]]}, {"params": [weights[1]], "decay": 0.5, "lr": 0.25}], lr=0.1)
    weights[0].grad, weights[1].grad = torch.tensor([1e-9, -50.0]), torch.tensor([0.0])
    optimizer.step()
    assert torch.allclose(weights[0].detach(), torch.tensor([0.9, -1.9]))
    assert torch.allclose(weights[1].detach(), torch.tensor([1.5]))


@pytest.mark.parametrize("kind", [SGDW, SignSGD])
def test_parameters_without_gradients_stay(kind: type[torch.optim.Optimizer]) -> None:
    weight = nn.Parameter(torch.ones(2))
    kind([weight], lr=0.1, decay=0.5).step()  # type: ignore[call-arg]
    assert torch.equal(weight.detach(), torch.ones(2))


def test_layers_have_options_of_their_own() -> None:
    """One step by hand, the layers with other learning rates and decays."""
    torch.manual_seed(0)
    layers = {"hidden.weight": {"lr": 0.5, "decay": 1.0}, "output": {"lr": 0.0}}
    module = MLP(6, 2, width=3, param_groups=layers, optimizer=lambda groups: SGDW(groups, lr=0.1, decay=0.25))
    before = {name: parameter.detach().clone() for name, parameter in module.network.named_parameters()}
    optimizer = module.configure_optimizers()
    x = torch.randn(8, 6)
    module.loss(module(x), x[:, 0].sign()).backward()
    optimizer.step()  # type: ignore[union-attr, attr-defined]
    for name, lr, decay in (("hidden.weight", 0.5, 1.0), ("hidden.bias", 0.1, 0.25), ("output.weight", 0.0, 0.25)):
        parameter = module.network.get_parameter(name)
        assert parameter.grad is not None
        assert torch.allclose(parameter.detach(), (1 - decay) * before[name] - lr * parameter.grad)


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
        ({"val_screen_size": 0}, "val_screen_size=0"),
        ({"accuracy_thresholds": (0.55, 0.5)}, r"accuracy_thresholds=\[0.55, 0.5\]: must be above 0.5"),
        ({"optimizer": lambda p: torch.optim.SGD(p, lr=-1)}, "lr=-1"),
        ({"optimizer": lambda p: torch.optim.SGD(p, lr=math.nan)}, "lr=nan"),
        ({"optimizer": lambda p: torch.optim.SGD(p, lr=0.1, momentum=-1)}, "momentum=-1"),
        ({"optimizer": lambda p: SGDW(p, lr=0.1, decay=2)}, "decay=2"),
        ({"optimizer": lambda p: SignSGD(p, lr=-1)}, "lr=-1"),
        ({"optimizer": lambda p: SignSGD(p, lr=0.1, decay=-0.1)}, "decay=-0.1"),
        (
            {"param_groups": {"hiden": {"lr": 0.1}}},
            "param_groups=hiden: no such layer, or listed before; did you mean hidden",
        ),
        (
            {"param_groups": {"hidden": {"lrr": 0.1}}},
            "param_groups=hidden.lrr: SGD has no such number; did you mean lr",
        ),
        (
            {"param_groups": {"hidden": {"lr": -0.1}}},
            "param_groups=hidden.lr: -0.1: must be a finite number, at least 0",
        ),
        ({"param_groups": {"hidden": {"nesterov": 1}}}, "param_groups=hidden.nesterov: SGD has no such number"),
        ({"param_groups": {"hidden": {"params": 1}}}, "param_groups=hidden.params: SGD has no such number"),
        (
            {"lr_scheduler": lambda o: torch.optim.lr_scheduler.StepLR(o, 0)},
            "lr_scheduler=as given: schedule",
        ),
        (
            {"param_groups": {"hidden": {}, "hidden.bias": {}}},
            "param_groups=hidden.bias: no such layer, or listed before",
        ),
        (
            {"initialization_factors": {"hiden": 2.0}},
            "initialization_factors=hiden: no such layer; did you mean hidden",
        ),
        (
            {"initialization_offsets": {"hidden.bias": math.nan}},
            "initialization_offsets=hidden.bias: nan: must be a finite number",
        ),
        ({"activation": "polynomial", "k": 31}, "k=31: must be at most 30"),
        ({"initialization": "ones"}, "initialization=ones: makes no sense for MLP; valid: bernoulli, default"),
    ],
)
def test_a_bad_setting_is_named(settings: dict[str, object], told: str) -> None:
    with pytest.raises(SettingError, match=f"^{told}"):
        MLP(**{"n": 40, "k": 3, **settings})  # type: ignore[arg-type]


def test_no_parameter_is_lost_to_layers() -> None:
    """Nor does a layer of the module's go by the name of one of its network's."""

    class Twice(MLP):
        def __init__(self, **kwargs: Any) -> None:
            super().__init__(6, 2, width=3, **kwargs)
            self.hidden = nn.Linear(2, 2)

    module = Twice(param_groups={"output": {"lr": 0.5}})
    module = Twice(param_groups={"output": {"lr": 0.5}, "hidden.bias": {"lr": 0.0}})
    groups = module.configure_optimizers().param_groups  # type: ignore[union-attr]
    trained = [parameter for group in groups for parameter in group["params"]]
    assert {id(parameter) for parameter in trained} == {id(parameter) for parameter in module.parameters()}


def test_blocks_of_unequal_length_are_refused() -> None:
    with pytest.raises(SettingError, match=r"^n=20: must be a multiple of k=3 .*; try 21"):
        DisjointPolyNet(20, 3)
