"""Single neurons that can express a parity, settings (vii) to (xiv) of Section 3.1."""

from __future__ import annotations

from typing import Any

from parity_lightning.modules.base import ParityModule
from parity_lightning.nets.mlp import TwoLayerMLP


class Neuron(ParityModule):
    """Trains one neuron ``f(x) = u sigma(w . x + b)``, or several, with an activation that oscillates.

    Settings (vii) to (x) of the paper have, in this order, the activations ``"zigzag"``, ``"polynomial"``,
    ``"infinite_zigzag"`` and ``"sinusoid"``; settings (xi) to (xiv) the same ones and no second layer, ``u = 1``.

    Args:
        n: How many bits an input has.
        k: Degree of the parity to learn.
        activation: One of these four, or one of those of `MLP`.
        second_layer: Whether u is trained; otherwise ``u = 1``.
        width: Number of neurons; their outputs are summed.
        bias: Whether neurons have biases. Without one a sinusoid, being odd, cannot express a parity of even k.
        **kwargs: As of `ParityModule`.

    Example:
        >>> import torch
        >>> module = Neuron(n=50, k=3, activation="zigzag", second_layer=False)
        >>> sum(parameter.numel() for parameter in module.parameters())
        51
    """

    def __init__(
        self,
        n: int,
        k: int,
        activation: str = "sinusoid",
        second_layer: bool = True,
        width: int = 1,
        bias: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(TwoLayerMLP(n, k, width, activation, bias, second_layer=second_layer), **kwargs)
