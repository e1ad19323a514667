"""The two-layer MLP of settings (i) to (vi)."""

from __future__ import annotations

from torch import Tensor, nn

from parity_lightning.errors import whole_number
from parity_lightning.nets.activations import make_activation


class TwoLayerMLP(nn.Module):
    """The network ``f(x) = u . sigma(W x + b)`` of Section 3.1; all of u, W and b are trained.

    It has no output bias, as the paper's formula has none.

    Args:
        n: How many bits an input has.
        k: Degree of the parity to learn, the exponent of the ``power`` activation.
        width: Number r of hidden units.
        activation: ``"relu"`` or ``"power"`` (``z^k``).
        bias: Whether hidden units have biases; without them no ReLU network expresses a parity of odd k > 1.

    Raises:
        SettingError: If the activation is unknown or the width is below 1.

    Example:
        >>> import torch
        >>> network = TwoLayerMLP(n=50, k=3, width=100)
        >>> network(torch.ones(32, 50)).shape
        torch.Size([32])
    """

    def __init__(self, n: int, k: int, width: int = 100, activation: str = "relu", bias: bool = True) -> None:
        super().__init__()
        self.hidden = nn.Linear(n, whole_number("width", width, at_least=1, at_most=10**8), bias=bias)
        self.activation = make_activation(activation, k)
        self.output = nn.Linear(width, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Maps inputs of shape ``(..., n)`` to outputs of shape ``(...)``."""
        output: Tensor = self.output(self.activation(self.hidden(x)))
        return output.squeeze(-1)
