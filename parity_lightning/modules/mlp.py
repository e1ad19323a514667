"""Two-layer MLPs, settings (i) to (vi) of Section 3.1."""

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
        width: Number r of hidden units.
        activation: ``"relu"`` or ``"power"`` (``z^k``).
        bias: Whether hidden units have biases.
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
        self, n: int, k: int, width: int = 100, activation: str = "relu", bias: bool = True, **kwargs: Any
    ) -> None:
        super().__init__(TwoLayerMLP(n, k, width, activation, bias), **kwargs)
