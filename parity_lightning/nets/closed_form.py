"""What a network computes, for those who compute its gradients by hand."""

from __future__ import annotations

from dataclasses import dataclass

from torch import nn


@dataclass(frozen=True)
class ClosedForm:
    """``f(x) = c + sum_j u_j sigma(w_j . x + b_j)``, or the product of the terms ``sigma(w_j . x + b_j)`` over j.

    A network that says so in a method ``closed_form`` trains several times as fast. A subclass must define the method
    again, and before it is used, loss and gradient are compared with autograd's.

    Attributes:
        weight: The name of w in the network, of shape ``(r, n)``.
        bias: The name of b, of shape ``(r,)``; None for 0.
        output: The name of u, of shape ``(1, r)``; None for 1.
        output_bias: The name of c, of shape ``(1,)``; None for 0.
        activation: Sigma, an activation of `parity_lightning.nets.activations` or `torch.nn.ReLU`; None for ``z -> z``.
        is_product: Whether it is the product of the terms.
    """

    weight: str
    bias: str | None = None
    output: str | None = None
    output_bias: str | None = None
    activation: nn.Module | None = None
    is_product: bool = False

    def within(self, part: str) -> ClosedForm:
        """The form of a module that has the network as this part."""
        bias, output, output_bias = (
            None if name is None else f"{part}.{name}" for name in (self.bias, self.output, self.output_bias)
        )
        return ClosedForm(f"{part}.{self.weight}", bias, output, output_bias, self.activation, self.is_product)
