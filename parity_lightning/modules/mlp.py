"""Two-layer MLPs, settings (i) to (vi), (*i) and (*ii) of Section 3.1."""

from __future__ import annotations

from typing import Any

from parity_lightning.modules.base import ParityModule
from parity_lightning.nets.mlp import TwoLayerMLP


class MLP(ParityModule):
    """Trains both layers of `TwoLayerMLP`.

    Settings (i), (ii) and (iii) of the paper have ``activation="relu"`` and widths 10, 100 and 1000, settings (iv),
    (v) and (vi) ``activation="power"`` and the same widths, settings (*i) and (*ii) a width of k.

    Args:
        n: How many bits an input has.
        k: Degree of the parity to learn.
        width: Number r of hidden units; None for the least that the paper considers, k.
        activation: ``"relu"``, ``"power"`` (``z^k``) or one of those of `Neuron`.
        bias: Whether hidden units have biases. Without them ReLU networks cannot express a parity of odd k > 1.
        output_bias: Whether the output has a bias; with it ReLU networks of width k can express the parity.
        **kwargs: As of `ParityModule`.

    Example:
        >>> import torch
        >>> module = MLP(n=50, k=3, width=10, initialization="uniform")
        >>> module(torch.ones(32, 50)).shape
        torch.Size([32])
        >>> module.first_layer.shape
        torch.Size([10, 50])
    """

    def __init__(
        self,
        n: int,
        k: int,
        width: int | None = 100,
        activation: str = "relu",
        bias: bool = True,
        output_bias: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(TwoLayerMLP(n, k, k if width is None else width, activation, bias, output_bias), **kwargs)
