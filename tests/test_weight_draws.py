"""Weights that are drawn without making a module are those of a module, or a module is made."""

from __future__ import annotations

import random
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from parity_lightning.data.sparse_parity import SparseParity
from parity_lightning.engine.first_layers import FirstLayers
from parity_lightning.engine.objective import Objective
from parity_lightning.engine.trial_config import TrialConfig
from parity_lightning.engine.weight_draws import WeightDraws
from parity_lightning.modules import MLP, Neuron, ParityModule, PolyNet, Transformer
from parity_lightning.modules.reinitialize import Reinitializable

N, K = 12, 3


class Plain(ParityModule):
    """A linear network whose first layer is made as a subclass says."""

    def __init__(self) -> None:
        super().__init__(self.make())

    def make(self) -> nn.Module:
        return nn.Sequential(nn.Linear(N, 1), nn.Flatten(-2))

    @property
    def first_layer(self) -> Tensor:
        weight: Tensor = self.network[0].weight  # type: ignore[index,union-attr,assignment]
        return weight


class ByNumPy(Plain):
    """Its weights come from NumPy."""

    def make(self) -> nn.Module:
        network = super().make()
        with torch.no_grad():
            network[0].weight.fill_(float(np.random.rand()))  # type: ignore[index]
        return network


class ByChance(Plain):
    """Python's generator decides how its weights are drawn, seldom in another way."""

    def make(self) -> nn.Module:
        network = super().make()
        if random.random() < 0.001:
            nn.init.zeros_(network[0].weight)  # type: ignore[index]
        return network


class Orthogonal(Plain):
    """Its weights are computed from what was drawn."""

    def make(self) -> nn.Module:
        network = super().make()
        nn.init.orthogonal_(network[0].weight)  # type: ignore[index]
        return network


class OfAnElement(Plain):
    """An element of its weights decides about them."""

    def make(self) -> nn.Module:
        network = super().make()
        with torch.no_grad():
            if network[0].weight[0, 0] > 0:  # type: ignore[index]
                network[0].bias.zero_()  # type: ignore[index]
        return network


class Halved(Plain):
    """Its weights are drawn into a part of a tensor."""

    def make(self) -> nn.Module:
        network = super().make()
        with torch.no_grad():
            network[0].weight[:, : N // 2].uniform_(-1, 1)  # type: ignore[index]
        return network


class WithOwnGenerator(Plain):
    """Its weights come from a generator of its own."""

    def make(self) -> nn.Module:
        network = super().make()
        with torch.no_grad():
            network[0].weight.normal_(generator=torch.Generator().manual_seed(5))  # type: ignore[index]
        return network


class Constant(Plain):
    """A part of it is a constant."""

    def make(self) -> nn.Module:
        network = super().make()
        network[0].bias = nn.Parameter(torch.tensor([0.25]))  # type: ignore[index]
        return network


REPEATED: dict[str, Callable[[], Reinitializable]] = {
    "MLP": lambda: MLP(N, K, 10),
    "uniform": lambda: MLP(N, K, 10, initialization="uniform", output_bias=True),
    "gaussian": lambda: MLP(N, K, 10, initialization="gaussian"),
    "bernoulli": lambda: MLP(N, K, 10, initialization="bernoulli"),
    "sign": lambda: PolyNet(N, K, initialization="sign"),
    "neuron": lambda: Neuron(N, K),
    "rescaled": lambda: MLP(N, K, 10, initialization_factors={"output": 0.1}, initialization_offsets={"hidden": 1.5}),
    "user's own": Plain,
}
MADE: dict[str, Callable[[], Reinitializable]] = {
    kind.__name__: kind for kind in (ByNumPy, ByChance, Orthogonal, OfAnElement, Halved, WithOwnGenerator, Constant)
}
OTHERS: dict[str, Callable[[], Reinitializable]] = {"Transformer": lambda: Transformer(N, K)}


def draws_of(make: Callable[[], Reinitializable]) -> tuple[TrialConfig, Objective, WeightDraws]:
    module = make()
    config = TrialConfig(module, SparseParity(N, K), 4, None, 10, 10)  # type: ignore[arg-type]
    objective = Objective(module, N)  # type: ignore[arg-type]
    return config, objective, WeightDraws(config.draw_module, objective)


@pytest.mark.parametrize("name", [*REPEATED, *MADE, *OTHERS])
def test_they_are_those_of_a_module(name: str) -> None:
    config, objective, draws = draws_of({**REPEATED, **MADE, **OTHERS}[name])
    if name not in OTHERS:
        assert draws.repeats == (name in REPEATED)
    seeds = [0, 7, 2**32 - 1]
    drawn = draws.draw(seeds)
    for place, seed in enumerate(seeds):
        for found, expected in zip(drawn, objective.tensors_of(config.start(seed).module), strict=True):
            for mine, its in zip(found, expected, strict=True):
                assert torch.equal(mine[place], its)


class Turned(Plain):
    """Its first layer is the transpose of a parameter."""

    def make(self) -> nn.Module:
        return _Turned()

    @property
    def first_layer(self) -> Tensor:
        return self.network.weight.T  # type: ignore[operator,union-attr,return-value]


class _Turned(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(N, 2).uniform_())

    def forward(self, x: Tensor) -> Tensor:
        return (x @ self.weight).prod(-1)


@pytest.mark.parametrize("kind", [Plain, Turned])
def test_first_layers_are_those_of_the_modules(kind: type[Plain]) -> None:
    objective = Objective(kind(), N)
    layers = FirstLayers(objective, kind())
    modules = [kind() for _ in range(3)]
    tensors = [objective.tensors_of(module) for module in modules]
    stacked = [[torch.stack(some) for some in zip(*part, strict=True)] for part in zip(*tensors, strict=True)]
    found = layers.of(*stacked)
    for place, module in enumerate(modules):
        assert torch.equal(found[place], module.first_layer)
