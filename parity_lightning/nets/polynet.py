"""PolyNets: products of linear forms (Sections 3.1 and 4.2)."""

from __future__ import annotations

from functools import reduce

import torch
from torch import Tensor, nn

from parity_lightning.data.disjoint_blocks import block_length
from parity_lightning.errors import check_int
from parity_lightning.nets.closed_form import ClosedForm


def product_of(factors: Tensor) -> Tensor:
    """The product over the last dimension, of some few factors.

    Multiplied out: the derivative of `torch.prod` counts zeros, which keeps a compiler from any number of trials.
    """
    return reduce(torch.mul, factors.unbind(-1))


class PolyNetwork(nn.Module):
    """The PolyNet ``f(x) = prod_i (w_i . x + b_i)``, i from 1 to k, of setting (xv).

    Args:
        n: How many bits an input has.
        k: Number of factors, the degree of the parity to learn.
        bias: Whether factors have biases.

    Example:
        >>> PolyNetwork(n=20, k=3)(torch.ones(32, 20)).shape
        torch.Size([32])
    """

    def __init__(self, n: int, k: int, bias: bool = True) -> None:
        super().__init__()
        check_int("n", n, at_least=1)
        self.factors = nn.Linear(n, check_int("k", k, at_least=1, at_most=n), bias=bias)

    def closed_form(self) -> ClosedForm:
        """What it computes."""
        bias = None if self.factors.bias is None else "factors.bias"
        return ClosedForm("factors.weight", bias, is_product=True)

    def forward(self, x: Tensor) -> Tensor:
        """Maps inputs of shape ``(..., n)`` to outputs of shape ``(...)``."""
        factors: Tensor = self.factors(x)
        return product_of(factors)


class BlockwiseLinear(nn.Module):
    """A linear form ``w_i . x_{P_i}`` of each of k disjoint blocks of inputs, ``P_i = {(i-1) n' + 1, ..., i n'}``.

    All weights begin at 1, as in the paper's analysis (Section 4.2).

    Args:
        n: How many inputs there are; a multiple of k.
        k: Number of blocks.
    """

    def __init__(self, n: int, k: int) -> None:
        super().__init__()
        check_int("n", n, at_least=1)
        self.weight = nn.Parameter(torch.ones(check_int("k", k, at_least=1, at_most=n), block_length(n, k)))

    @property
    def fans(self) -> tuple[int, int]:
        """Each form reads n' inputs and has one output; initializations scale with this."""
        return self.weight.shape[1], 1

    def forward(self, x: Tensor) -> Tensor:
        """Maps inputs of shape ``(..., n)`` to the forms' values, of shape ``(..., k)``."""
        return (x.reshape(*x.shape[:-1], *self.weight.shape) * self.weight).sum(-1)


class DisjointPolyNetwork(nn.Module):
    """The disjoint-PolyNet ``f(x) = prod_i w_i . x_{P_i}`` of Section 4.2: each factor sees a block of its own.

    Args:
        n: How many bits an input has; a multiple of k.
        k: Number of factors, the degree of the parity to learn.

    Raises:
        SettingError: If k does not divide n.

    Example:
        >>> DisjointPolyNetwork(n=21, k=3)(torch.ones(2, 21)).tolist()
        [343.0, 343.0]
    """

    def __init__(self, n: int, k: int) -> None:
        super().__init__()
        self.factors = BlockwiseLinear(n, k)

    def forward(self, x: Tensor) -> Tensor:
        """Maps inputs of shape ``(..., n)`` to outputs of shape ``(...)``."""
        factors: Tensor = self.factors(x)
        return product_of(factors)
