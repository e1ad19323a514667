"""Random initializations of affine layers (Section 3.1, Appendix D.1)."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn

from parity_lightning.errors import SettingError, nearest


def _xavier_bound(layer: nn.Linear) -> float:
    return math.sqrt(6 / (layer.in_features + layer.out_features))


def _uniform(parameter: Tensor, layer: nn.Linear) -> None:
    bound = _xavier_bound(layer)
    parameter.uniform_(-bound, bound)


def _gaussian(parameter: Tensor, layer: nn.Linear) -> None:
    parameter.normal_(0, math.sqrt(2 / layer.in_features))


def _bernoulli(parameter: Tensor, layer: nn.Linear) -> None:
    parameter.bernoulli_(0.5).mul_(2).sub_(1).mul_(_xavier_bound(layer))


INITIALIZATIONS: dict[str, Callable[[Tensor, nn.Linear], None]] = {
    "uniform": _uniform,
    "gaussian": _gaussian,
    "bernoulli": _bernoulli,
}
"""Draws one parameter of an affine layer, in place."""


def check_initialization(name: str) -> str:
    """Returns the name if it is one of an initialization.

    Raises:
        SettingError: If it is not.
    """
    if name != "default" and name not in INITIALIZATIONS:
        raise SettingError("initialization", name, nearest(name, ["default", *INITIALIZATIONS]))
    return name


@torch.no_grad()
def initialize(network: nn.Module, name: str) -> None:
    """Draws the weights and biases of all affine layers of a network anew, from torch's global generator.

    With fan-in ``a`` and fan-out ``b`` of a layer and ``c = sqrt(6 / (a + b))`` (Xavier's convention):

    - ``"uniform"``: uniform on ``[-c, c]``;
    - ``"gaussian"``: normal with variance ``2 / a`` (Kaiming's convention);
    - ``"bernoulli"``: ``-c`` or ``+c`` with equal probability;
    - ``"default"``: the network keeps what its own layers drew, which for PyTorch's affine layers is
      uniform on ``[-1/sqrt(a), 1/sqrt(a)]``.

    The paper states one law for all affine parameters; that biases follow it with their layer's scale is our reading.

    Args:
        network: Its ``nn.Linear`` layers are drawn; other parameters stay as they are.
        name: Which initialization.

    Raises:
        SettingError: If there is no such initialization.

    Example:
        >>> layer = nn.Linear(5, 1)
        >>> initialize(layer, "bernoulli")
        >>> sorted(set(layer.weight.abs().flatten().tolist()))
        [1.0]
    """
    if check_initialization(name) == "default":
        return
    draw = INITIALIZATIONS[name]
    for layer in network.modules():
        if isinstance(layer, nn.Linear):
            draw(layer.weight, layer)
            if layer.bias is not None:
                draw(layer.bias, layer)
