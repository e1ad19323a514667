"""One contract for every architecture, the user's own among them."""

from __future__ import annotations

import runpy
from typing import Any

import pytest
import torch
from conftest import ROOT
from torch import Tensor, nn

import parity_lightning.modules
from parity_lightning import MLP, DisjointPolyNet, Neuron, ParityModule, PolyNet, Transformer
from parity_lightning.measures.hidden_progress import movement_of
from parity_lightning.nets.activations import ACTIVATIONS
from parity_lightning.testing import CHECKS, Case, check_module


def example(file: str, name: str) -> type[ParityModule]:
    """A class from a file in examples/."""
    names = runpy.run_path(str(ROOT / "examples" / file))
    kind: type[ParityModule] = names[name]
    return kind


# One of each way to build a network: all is checked.
CASES = [
    *(Case(MLP, {"width": 5, "activation": name}, k=3) for name in ("relu", "power")),
    Case(MLP, {"width": None, "output_bias": True}, k=3),
    Case(Neuron, {"activation": "zigzag", "second_layer": True}, k=3),
    Case(Neuron, {"activation": "sinusoid", "second_layer": False, "width": 3}),
    Case(Transformer, {"d_emb": 8, "d_attn": 3, "heads": 2}),
    Case(PolyNet, {}, k=3),
    Case(PolyNet, {"bias": False}),
    Case(DisjointPolyNet, {}, k=3),
    Case(DisjointPolyNet, {"initialization": "sign"}, k=4),
    Case(example("my_network.py", "MyNetwork"), {"units": 5}),
    Case(example("gated_mlp.py", "GatedMLP"), {"width": 5}),
]


# Activations differ in what they compute, not in how they are trained.
NEURONS = [
    *(Case(Neuron, {"activation": name, "second_layer": True}, k=3) for name in ACTIVATIONS),
    *(Case(Neuron, {"activation": name, "second_layer": False, "width": 3}) for name in ACTIVATIONS),
]


@pytest.mark.parametrize("check", ["shapes", "gradients"])
@pytest.mark.parametrize("case", NEURONS, ids=lambda case: f"{case.settings}-k{case.k}")
def test_neurons_of_every_activation_have_shapes_and_gradients(case: Case, check: str) -> None:
    CHECKS[check](case)


@pytest.mark.parametrize("check", CHECKS)
@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.kind.__name__}-{case.settings}-k{case.k}")
def test_every_architecture_keeps_the_contract(case: Case, check: str) -> None:
    CHECKS[check](case)


def test_no_architecture_is_left_out() -> None:
    public = {getattr(parity_lightning.modules, name) for name in parity_lightning.modules.__all__} - {ParityModule}
    assert public <= {case.kind for case in CASES}


class Base(ParityModule):
    def __init__(self, n: int, **kwargs: Any) -> None:
        super().__init__(nn.Sequential(nn.Linear(n, 3), nn.ReLU(), nn.Linear(3, 1)), **kwargs)


class WrongShape(Base):
    def forward(self, x: Tensor) -> Tensor:
        return self.network(x)


class CouplesExamples(Base):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x) + x.mean()


class WrongGradient(Base):
    def forward(self, x: Tensor) -> Tensor:
        output = super().forward(x)
        return output.detach() + 2 * (output - output.detach())


class UnusedParameter(Base):
    def __init__(self, n: int, **kwargs: Any) -> None:
        super().__init__(n, **kwargs)
        self.forgotten = nn.Parameter(torch.zeros(3))


class NeverLearns(Base):
    def loss(self, prediction: Tensor, y: Tensor) -> Tensor:
        return 0 * super().loss(prediction, y)


class Random(Base):
    def __init__(self, n: int, **kwargs: Any) -> None:
        super().__init__(n, **kwargs)
        with torch.no_grad():
            self.first_layer.add_(torch.randn(1, generator=torch.Generator().manual_seed(torch.seed() % 2**63)))


class ForgetsASetting(Base):
    def __init__(self, n: int, scale: float = 1.0, **kwargs: Any) -> None:
        super().__init__(n, **kwargs)
        self.scale = scale
        del self.hparams["scale"]

    def forward(self, x: Tensor) -> Tensor:
        return self.scale * super().forward(x)


class HasUnsavedState(Base):
    def on_train_start(self) -> None:
        super().on_train_start()
        self.steps = 0

    def training_step(self, batch: tuple[Tensor, Tensor]) -> Tensor:  # type: ignore[override]
        self.steps += 1
        return self.loss(self(batch[0]), batch[1]) * self.steps


class MeasuresTheWrongLayer(Base):
    @property
    def first_layer(self) -> Tensor:
        return self.network[2].weight  # type: ignore[index]


class TakesWhatItDoesNotList(Base):
    def _check_suits(self, option: str, name: str, suitable: tuple[str, ...]) -> None:
        """Accepts all."""


@pytest.mark.parametrize(
    ("kind", "told"),
    [
        (WrongShape, r"WrongShape maps inputs of shape \(6, 12\) to \(6, 1\), not \(6,\)"),
        (CouplesExamples, "another output in a batch than alone"),
        (WrongGradient, "differ from finite differences"),
        (UnusedParameter, "does not use its parameter forgotten"),
        (NeverLearns, "two steps change no weight"),
        (Random, "two runs of the same seed differ"),
        (ForgetsASetting, "predicts otherwise when loaded"),
        (HasUnsavedState, "ends otherwise when resumed"),
        (MeasuresTheWrongLayer, r"first_layer of shape \(1, 3\), not \(..., n=12\)"),
        (TakesWhatItDoesNotList, "takes initialization ones, which it does not list"),
    ],
)
def test_a_broken_module_is_found_and_told(kind: type[ParityModule], told: str) -> None:
    settings = {"scale": 2.0} if kind is ForgetsASetting else {}
    with pytest.raises(AssertionError, match=told):
        check_module(kind, **settings)


def test_a_module_whose_list_is_wrong_is_found() -> None:
    class ListsTooMuch(Base):
        initializations = ("default", "uniform", "gaussian", "bernoulli", "ones")

        def _check_suits(self, option: str, name: str, suitable: tuple[str, ...]) -> None:
            super()._check_suits(option, name, tuple(each for each in suitable if each != "ones"))

    with pytest.raises(AssertionError, match="lists initialization ones and refuses it"):
        check_module(ListsTooMuch)


class Dropout(ParityModule):
    def __init__(self, n: int, **kwargs: Any) -> None:
        super().__init__(nn.Sequential(nn.Linear(n, 20), nn.ReLU(), nn.Dropout(), nn.Linear(20, 1)), **kwargs)


class BatchNorm(ParityModule):
    initializations = ("default", "uniform", "gaussian", "sign")

    def __init__(self, n: int, **kwargs: Any) -> None:
        super().__init__(
            nn.Sequential(nn.Linear(n, 5), nn.BatchNorm1d(5), nn.ReLU(), nn.LayerNorm(5), nn.Linear(5, 1)), **kwargs
        )


class Frozen(Base):
    def __init__(self, n: int, **kwargs: Any) -> None:
        super().__init__(n, **kwargs)
        self.network.get_parameter("2.weight").requires_grad_(False)


class ZeroAtFirst(Base):
    def __init__(self, n: int, **kwargs: Any) -> None:
        super().__init__(n, **kwargs)
        with torch.no_grad():
            self.network.get_parameter("0.bias").zero_()


class HandsAllOn(MLP):
    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)


class FixedLoss(ParityModule):
    def __init__(self, n: int, lr: float = 0.1) -> None:
        super().__init__(nn.Linear(n, 1), loss="square", optimizer=lambda weights: torch.optim.SGD(weights, lr=lr))


class Convolution(ParityModule):
    def __init__(self, n: int, **kwargs: Any) -> None:
        network = nn.Sequential(nn.Unflatten(-1, (1, n)), nn.Conv1d(1, 4, 3), nn.ReLU(), nn.Flatten())
        super().__init__(nn.Sequential(nn.Linear(n, n), network, nn.Linear(4 * (n - 2), 1)), **kwargs)


@pytest.mark.parametrize("kind", [Dropout, BatchNorm, Frozen, ZeroAtFirst, HandsAllOn, FixedLoss, Convolution])
def test_other_sound_modules_pass(kind: type[ParityModule]) -> None:
    check_module(kind)


def weights_of_inputs(module: ParityModule) -> list[Tensor]:
    """What first_layer is or is made of: the weights that belong to single inputs, of shape ``(..., n)``."""
    if isinstance(module, Transformer):
        return [module.network.get_parameter("position").T]
    if type(module).__name__ == "GatedMLP":
        return [module.network.get_parameter(f"{name}.weight") for name in ("gates", "values")]
    return [module.first_layer]


@pytest.mark.parametrize("case", [*CASES, *NEURONS], ids=lambda case: f"{case.kind.__name__}-{case.settings}-k{case.k}")
def test_each_coordinate_of_the_first_layer_reads_one_input(case: Case) -> None:
    """Exchanging two coordinates of the first layer does what exchanging the two inputs does."""
    module = case.make().double()
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(torch.randn_like(parameter))
        x = case.inputs(200).double()
        expected = module(x[:, [1, 0, *range(2, case.n)]])
        before = module.first_layer.clone()
        for layer in weights_of_inputs(module):
            layer[..., [0, 1]] = layer[..., [1, 0]].clone()
        assert torch.equal(module.first_layer[..., [1, 0]], before[..., [0, 1]])
        assert torch.allclose(module(x), expected)
        assert not torch.allclose(module(x[:, [1, 0, *range(2, case.n)]]), expected)


@pytest.mark.parametrize("factor", range(3))
@pytest.mark.parametrize("kind", [PolyNet, DisjointPolyNet])
def test_all_factors_of_a_polynet_are_measured(kind: type[PolyNet | DisjointPolyNet], factor: int) -> None:
    """One weight of one factor, moved by 1/2, is the hidden progress; in blocks factor i has inputs of its own."""
    module = kind(9, 3)
    initial = module.first_layer.detach().clone()
    column, index = (1, 3 * factor + 1) if kind is DisjointPolyNet else (4, 4)
    with torch.no_grad():
        module.network.factors.weight[factor, column] += 0.5  # type: ignore[union-attr, index, operator]
    moved = movement_of(module.first_layer, initial, (index,))
    assert (moved.hidden_progress, moved.relevant, moved.irrelevant) == (0.5, 0.5, 0.0)
