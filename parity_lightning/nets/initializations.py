"""Random initializations of affine layers (Section 3.1, Appendix D.1)."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn

from parity_lightning.errors import SettingError, nearest


def _xavier_bound(fan_in: int, fan_out: int) -> float:
    return math.sqrt(6 / (fan_in + fan_out))


def _uniform(parameter: Tensor, fan_in: int, fan_out: int) -> None:
    bound = _xavier_bound(fan_in, fan_out)
    parameter.uniform_(-bound, bound)


def _gaussian(parameter: Tensor, fan_in: int, fan_out: int) -> None:
    parameter.normal_(0, math.sqrt(2 / fan_in))


def _sign(parameter: Tensor, fan_in: int, fan_out: int) -> None:
    parameter.bernoulli_(0.5).mul_(2).sub_(1)


def _bernoulli(parameter: Tensor, fan_in: int, fan_out: int) -> None:
    _sign(parameter, fan_in, fan_out)
    parameter.mul_(_xavier_bound(fan_in, fan_out))


def _ones(parameter: Tensor, fan_in: int, fan_out: int) -> None:
    parameter.fill_(1.0)


INITIALIZATIONS: dict[str, Callable[[Tensor, int, int], None]] = {
    "uniform": _uniform,
    "gaussian": _gaussian,
    "bernoulli": _bernoulli,
    "sign": _sign,
    "ones": _ones,
}
"""Draws one parameter of an affine layer with the given fan-in and fan-out, in place."""


def check_initialization(name: str) -> str:
    """Returns the name if it is one of an initialization.

    Raises:
        SettingError: If it is not.
    """
    if name != "default" and name not in INITIALIZATIONS:
        raise SettingError("initialization", name, nearest(name, ["default", *INITIALIZATIONS]))
    return name


def _fans(layer: nn.Module) -> tuple[int, int] | None:
    if isinstance(layer, nn.Linear):
        return layer.in_features, layer.out_features
    if isinstance(layer, nn.modules.conv._ConvNd):
        return layer.weight[0].numel(), layer.weight[:, 0].numel()
    fans: tuple[int, int] | None = getattr(layer, "fans", None)
    return fans


def _is_normalization(layer: nn.Module) -> bool:
    kinds = (nn.LayerNorm, nn.RMSNorm, nn.GroupNorm, nn.modules.batchnorm._NormBase)
    return isinstance(layer, kinds) and any(True for _ in layer.parameters())


@torch.no_grad()
def initialize(network: nn.Module, name: str) -> None:
    """Draws the weights and biases of all affine layers of a network anew, from torch's global generator.

    With fan-in ``a`` and fan-out ``b`` of a layer and ``c = sqrt(6 / (a + b))`` (Xavier's convention):

    - ``"uniform"``: uniform on ``[-c, c]``;
    - ``"gaussian"``: normal with variance ``2 / a`` (Kaiming's convention);
    - ``"bernoulli"``: ``-c`` or ``+c`` with equal probability;
    - ``"sign"``: -1 or +1 with equal probability, and ``"ones"``: 1 (Section 4);
    - ``"default"``: the network keeps what its own layers drew, which for PyTorch's affine layers is
      uniform on ``[-1/sqrt(a), 1/sqrt(a)]``.

    The paper states one law for all affine parameters; that biases follow it with their layer's scale is our reading.

    Args:
        network: Its affine layers are drawn: linear ones, convolutions, and each module that has an attribute
            ``fans``, the pair (fan-in, fan-out). Other parameters, and those that are not trained, stay as they are.
        name: Which initialization.

    Raises:
        SettingError: If there is no such initialization, if the network has no affine layer, or if a normalization
            layer stands in the way of weights that all are ``-c`` or ``+c``.

    Example:
        >>> layer = nn.Linear(5, 1)
        >>> initialize(layer, "bernoulli")
        >>> sorted(set(layer.weight.abs().flatten().tolist()))
        [1.0]
    """
    if check_initialization(name) == "default":
        return
    layers = list(network.modules())
    if name == "bernoulli" and any(map(_is_normalization, layers)):
        raise SettingError(
            "initialization", name, "makes no sense with a normalization layer, whose gain has no fan-in; use uniform"
        )
    drawn = [(layer, fans) for layer in layers if (fans := _fans(layer)) is not None]
    if not drawn:
        message = "this network has no affine layer to draw; use default, or give its layers an attribute fans"
        raise SettingError("initialization", name, message)
    draw = INITIALIZATIONS[name]
    for layer, fans in drawn:
        for parameter in layer.parameters(recurse=False):
            if parameter.requires_grad:
                draw(parameter, *fans)


@torch.no_grad()
def rescale(network: nn.Module, factors: Mapping[str, float], offsets: Mapping[str, float]) -> None:
    """Multiplies initial weights and biases, and then adds to them.

    A network that scales its weights by a constant s can be trained in this way, too: gradient descent on ``f(s w)``
    from w at a rate eta is gradient descent on ``f(v)`` from ``v = s w`` at a rate ``s^2 eta``.

    Args:
        network: Its parameters are changed in place.
        factors: By how much the parameters of a layer are multiplied. A layer, or one parameter, goes by its name in
            the network, such as ``"hidden"`` or ``"hidden.bias"``; one that is named twice is multiplied twice.
        offsets: What is then added to each element of the parameters of a layer.

    Raises:
        SettingError: If a layer is unknown or a number is not finite.

    Example:
        >>> network = nn.Sequential(nn.Linear(5, 1))
        >>> initialize(network, "sign")
        >>> rescale(network, {"0": 3.0}, {"0.bias": 10.0})
        >>> network[0].weight.abs().tolist(), network[0].bias.item() in (7.0, 13.0)
        ([[3.0, 3.0, 3.0, 3.0, 3.0]], True)
    """
    for layer, factor in factors.items():
        for parameter in _named(network, layer, factor, "initialization_factors"):
            parameter.mul_(factor)
    for layer, offset in offsets.items():
        for parameter in _named(network, layer, offset, "initialization_offsets"):
            parameter.add_(offset)


def _named(network: nn.Module, layer: str, number: float, option: str) -> list[nn.Parameter]:
    """The parameters of a layer, or one parameter."""
    if not math.isfinite(number):
        raise SettingError(option, f"{layer}: {number}", "must be a finite number")
    found = [each for name, each in network.named_parameters() if f"{name}.".startswith(f"{layer}.")]
    if not found:
        paths = (name.split(".") for name, _ in network.named_parameters())
        known = {".".join(parts[:depth]) for parts in paths for depth in range(1, len(parts) + 1)}
        raise SettingError(option, layer, f"no such layer; {nearest(layer, known)}")
    return found
