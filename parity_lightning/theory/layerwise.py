"""Deep networks with quadratic activations, trained whole or a layer at a time (Section 5, Appendix C.7).

A network of L affine layers with ``z -> z^2`` between them is a polynomial of degree ``2^(L-1)`` in its inputs. It can
be a parity of k bits only if ``k <= 2^(L-1)``; a shorter one has no part in common with it, to the last bit.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from parity_lightning.measures.coefficients import all_inputs


class Layer(NamedTuple):
    """An affine layer of several networks: weights ``(networks, outs, ins)`` and biases ``(networks, outs)``."""

    weight: Tensor
    bias: Tensor


class QuadraticNetwork(nn.Module):
    """One network of affine layers with ``z -> z^2`` between them, of which only the last ones require a gradient.

    Args:
        layers: The layers of several networks.
        network: The number of the network.
        frozen: How many of the first layers are frozen.

    Example:
        >>> layers = draw_layers((4, 2, 1), 3, torch.Generator().manual_seed(0))
        >>> network = QuadraticNetwork(layers, network=2, frozen=1)
        >>> x = torch.ones(3, 1, 4)
        >>> bool(torch.isclose(network(x[2])[0], outputs(layers, x)[2, 0]))
        True
        >>> [name for name, weight in network.named_parameters() if weight.requires_grad]
        ['weights.1', 'biases.1']
    """

    def __init__(self, layers: Sequence[Layer], network: int, frozen: int) -> None:
        super().__init__()
        self.weights, self.biases = (
            nn.ParameterList(
                nn.Parameter(part[network].clone(), requires_grad=place >= frozen) for place, part in enumerate(parts)
            )
            for parts in zip(*layers, strict=True)
        )

    def forward(self, x: Tensor) -> Tensor:
        """The outputs at inputs of shape ``(..., n)``: of shape ``(...)``."""
        last = len(self.weights) - 1
        for place, (weight, bias) in enumerate(zip(self.weights, self.biases, strict=True)):
            x = functional.linear(x, weight, bias)
            x = x.square() if place < last else x
        return x[..., 0]


def draw_layers(sizes: Sequence[int], networks: int, generator: torch.Generator) -> list[Layer]:
    """Draws affine layers by Xavier's law: weights and biases uniform on ``+-sqrt(6 / (ins + outs))``.

    Args:
        sizes: Numbers of inputs, of the units of each hidden layer, and of outputs: ``(n, 2, 1, 1)``.
        networks: How many networks.
        generator: Where random numbers come from.

    Example:
        >>> [tuple(layer.weight.shape) for layer in draw_layers((10, 2, 1, 1), 5, torch.Generator())]
        [(5, 2, 10), (5, 1, 2), (5, 1, 1)]
    """
    layers = []
    for ins, outs in pairwise(sizes):
        bound = math.sqrt(6 / (ins + outs))
        shapes = ((networks, outs, ins), (networks, outs))
        layers.append(Layer(*((2 * torch.rand(shape, generator=generator) - 1) * bound for shape in shapes)))
    return layers


def hidden_units(layers: Sequence[Layer], x: Tensor) -> Tensor:
    """The squares that layers pass on, of inputs of shape ``(networks, batch, ins)``: ``(networks, batch, outs)``.

    Example:
        >>> layer = Layer(torch.ones(1, 1, 2), torch.ones(1, 1))
        >>> hidden_units([layer, layer._replace(weight=torch.ones(1, 1, 1))], torch.tensor([[[1.0, -1.0]]])).item()
        4.0
    """
    for layer in layers:
        x = _affine(layer, x).square()
    return x


def outputs(layers: Sequence[Layer], x: Tensor) -> Tensor:
    """What networks say of inputs of shape ``(networks, batch, n)``: ``(networks, batch)``."""
    return _affine(layers[-1], hidden_units(layers[:-1], x))[..., 0]


def _affine(layer: Layer, x: Tensor) -> Tensor:
    return torch.baddbmm(layer.bias.unsqueeze(-2), x, layer.weight.mT)


def label_gradient(layers: Sequence[Layer], support: Sequence[int], trained: Sequence[int] | None = None) -> Tensor:
    """The largest entry of ``grad E[y f(x)]``, the part of the population gradient that knows of the labels.

    For the correlation loss it is the gradient; for the square loss, and for the hinge loss where it is positive for
    all x, the rest does not depend on the support. By enumeration of all inputs, in float64.

    Args:
        layers: Of networks of n inputs, the last one with one output.
        support: The support S.
        trained: The numbers of the layers to differentiate by; all of them unless given.

    Returns:
        float64 of shape ``(networks,)``: the largest absolute value of any entry.

    Example:
        The square of a sum knows of products of two, not of three.

        >>> layers = [Layer(torch.ones(1, 1, 3), torch.ones(1, 1)), Layer(torch.ones(1, 1, 1), torch.ones(1, 1))]
        >>> label_gradient(layers, [0, 1]).item(), label_gradient(layers, [0, 1, 2]).item()
        (2.0, 0.0)
    """
    exact = [Layer(*(part.detach().double() for part in layer)) for layer in layers]
    networks, _, n = exact[0].weight.shape
    parts = [part.requires_grad_() for number in trained or range(len(layers)) for part in exact[number]]
    x = all_inputs(n).double()
    common = outputs(exact, x.expand(networks, -1, -1)) @ x[:, list(support)].prod(-1) / len(x)
    gradients = torch.autograd.grad(common.sum(), parts)
    return torch.stack([gradient.abs().flatten(1).amax(-1) for gradient in gradients]).amax(0)


def accuracy(layers: Sequence[Layer], supports: Tensor) -> Tensor:
    """The share of all 2^n inputs on which ``y f(x) > 0``, of each network with its own support.

    A network that diverged is right nowhere, and one that is 0 everywhere too.

    Args:
        layers: Of networks of n inputs.
        supports: Of shape ``(networks, k)``.

    Returns:
        float32 of shape ``(networks,)``.
    """
    x = all_inputs(layers[0].weight.shape[-1]).expand(len(supports), -1, -1)
    margins = outputs(layers, x) * labels(x, supports)
    return (margins > 0).float().mean(-1) * margins.isfinite().all(-1)


def diverged(layers: Sequence[Layer]) -> Tensor:
    """Which networks are not finite on all 2^n inputs: bool of shape ``(networks,)``.

    Example:
        >>> layer = Layer(torch.ones(2, 1, 3), torch.tensor([[1.0], [torch.inf]]))
        >>> diverged([layer]).tolist()
        [False, True]
    """
    networks, _, n = layers[0].weight.shape
    return ~outputs(layers, all_inputs(n).expand(networks, -1, -1)).isfinite().all(-1)


def labels(x: Tensor, supports: Tensor) -> Tensor:
    """The parities of inputs of shape ``(networks, batch, n)``, each network's own: ``(networks, batch)``.

    Example:
        >>> labels(torch.tensor([[[1.0, -1.0, -1.0]]]), torch.tensor([[1, 2]])).item()
        1.0
    """
    return x.gather(-1, supports[:, None, :].expand(-1, x.shape[1], -1)).prod(-1)
