"""Two-layer networks: the MLPs of settings (i) to (vi) and, with one hidden unit, the neurons of (vii) to (xiv)."""

from __future__ import annotations

from torch import Tensor, nn

from parity_lightning.errors import check_int
from parity_lightning.nets.activations import make_activation
from parity_lightning.nets.closed_form import ClosedForm


class TwoLayerMLP(nn.Module):
    """The network ``f(x) = u . sigma(W x + b)`` of Section 3.1.

    As the formula it has no output bias, unless asked for. With one, k ReLUs express any parity of k bits, the width of
    setting (*i); without, k + 1 do, and two cannot express a parity of two (docs/architectures.md).

    Args:
        n: How many bits an input has.
        k: Degree of the parity to learn, on which most activations depend.
        width: Number r of hidden units.
        activation: ``"relu"``, ``"power"`` (``z^k``), ``"zigzag"``, ``"polynomial"``, ``"infinite_zigzag"`` or
            ``"sinusoid"``.
        bias: Whether hidden units have biases. Without them ReLU networks cannot express a parity of odd k > 1, nor
            sinusoids one of even k.
        output_bias: Whether there is a bias on the output.
        second_layer: Whether there are weights u to train; without them ``u = 1``, and no output bias.

    Raises:
        SettingError: If the activation is unknown, or if n or the width is below 1.

    Example:
        >>> import torch
        >>> network = TwoLayerMLP(n=50, k=3, width=100)
        >>> network(torch.ones(32, 50)).shape
        torch.Size([32])
    """

    def __init__(
        self,
        n: int,
        k: int,
        width: int = 100,
        activation: str = "relu",
        bias: bool = True,
        output_bias: bool = False,
        second_layer: bool = True,
    ) -> None:
        super().__init__()
        check_int("n", n, at_least=1)
        self.hidden = nn.Linear(n, check_int("width", width, at_least=1, at_most=10**8), bias=bias)
        self.activation = make_activation(activation, k)
        self.output = nn.Linear(width, 1, bias=output_bias) if second_layer else None

    def closed_form(self) -> ClosedForm:
        """What it computes."""
        return ClosedForm(
            "hidden.weight",
            None if self.hidden.bias is None else "hidden.bias",
            None if self.output is None else "output.weight",
            None if self.output is None or self.output.bias is None else "output.bias",
            self.activation,
        )

    def forward(self, x: Tensor) -> Tensor:
        """Maps inputs of shape ``(..., n)`` to outputs of shape ``(...)``."""
        units: Tensor = self.activation(self.hidden(x))
        return units.sum(-1) if self.output is None else self.output(units).squeeze(-1)
