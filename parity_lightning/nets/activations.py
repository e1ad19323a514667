"""Activations of the paper's networks (Section 3.1).

Those of single neurons pass through the parity's own values: with ``w = 1_S`` the sum ``z = w . x`` is one of the knots
``k - 2j``, j being the number of -1 among the relevant inputs, and there the activation is ``(-1)^j = chi_S(x)``.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction
from itertools import pairwise

import torch
from torch import Tensor, nn

from parity_lightning.errors import SettingError, check_int, nearest


class Power(nn.Module):
    """The polynomial activation ``z -> z^k`` of settings (iv) to (vi).

    Args:
        degree: The exponent k, at least 1.

    Example:
        >>> Power(3)(torch.tensor([-2.0, 1.0]))
        tensor([-8.,  1.])
    """

    def __init__(self, degree: int) -> None:
        super().__init__()
        self.degree = degree

    def forward(self, z: Tensor) -> Tensor:
        """Raises each element to the degree."""
        return torch.pow(z, self.degree)

    def extra_repr(self) -> str:
        """Shows the degree."""
        return f"degree={self.degree}"


class InfiniteZigzag(nn.Module):
    """The infinity-zigzag of setting (ix): a triangle wave of period 4 through ``(k - 2j, (-1)^j)`` for all integers j.

    Args:
        k: Degree of the parity.

    Example:
        >>> InfiniteZigzag(2)(torch.tensor([4.0, 2.0, 1.0, 0.0, -2.0, -4.0]))
        tensor([-1.,  1.,  0., -1.,  1., -1.])
    """

    def __init__(self, k: int) -> None:
        super().__init__()
        self.k = k

    def forward(self, z: Tensor) -> Tensor:
        """Applies the wave to each element."""
        return (torch.remainder(z - self.k, 4) - 2).abs() - 1

    def extra_repr(self) -> str:
        """Shows k."""
        return f"k={self.k}"


class Zigzag(InfiniteZigzag):
    """The k-zigzag of setting (vii): linear between the knots ``(k - 2j, (-1)^j)``, j from 0 to k.

    Beyond the outermost knots the outermost pieces go on (our choice; the paper does not say).

    Args:
        k: Degree of the parity.

    Example:
        >>> Zigzag(2)(torch.tensor([4.0, 2.0, 1.0, 0.0, -2.0, -4.0]))
        tensor([ 3.,  1.,  0., -1.,  1.,  3.])
    """

    def forward(self, z: Tensor) -> Tensor:
        """Applies the zigzag to each element."""
        sign = -1.0 if self.k % 2 else 1.0
        inside = z.clamp(-self.k, self.k)
        return super().forward(inside) + torch.relu(z - self.k) + sign * torch.relu(-z - self.k)


class ParityPolynomial(nn.Module):
    """The oscillating polynomial of setting (viii): of degree k, through ``(k - 2j, (-1)^j)``, j from 0 to k.

    It is even or odd as k is. So it is a polynomial in ``z^2``, for odd k times z, here in Newton's form with exact
    divided differences. The knots' order is Leja's, each as far from the earlier ones as can be: from the inside out,
    single precision would lose the knots from k = 12 on.

    Args:
        k: Degree of the parity, at most 30: from about 40 on, single precision loses the knots.

    Raises:
        SettingError: If k is larger.

    Example:
        >>> ParityPolynomial(2)(torch.tensor([2.0, 1.0, 0.0, -2.0]))  # z^2 / 2 - 1
        tensor([ 1.0000, -0.5000, -1.0000,  1.0000])
    """

    def __init__(self, k: int) -> None:
        super().__init__()
        self.k = check_int("k", k, at_least=1, at_most=30)
        values = {z * z: Fraction((-1) ** ((k - z) // 2), z if k % 2 else 1) for z in range(k % 2, k + 1, 2)}
        squares: list[int] = []
        while rest := values.keys() - squares:
            squares.append(max(rest, key=lambda square: math.prod(abs(square - known) for known in squares)))
        column = [values[square] for square in squares]
        coefficients = [float(column[0])]
        for order in range(1, len(column)):
            column = [
                (after - before) / (squares[i + order] - squares[i])
                for i, (before, after) in enumerate(pairwise(column))
            ]
            coefficients.append(float(column[0]))
        self.newton_form = [(coefficients[-1], 0), *zip(coefficients[-2::-1], squares[-2::-1], strict=True)]
        """The coefficients, the innermost first, each with the knot that what is inside it is multiplied by."""

    def forward(self, z: Tensor) -> Tensor:
        """Applies the polynomial to each element."""
        square = z * z
        (innermost, _), *others = self.newton_form
        value = torch.full_like(z, innermost)
        for coefficient, knot in others:
            value = coefficient + value * (square - knot)
        return value * z if self.k % 2 else value

    def extra_repr(self) -> str:
        """Shows k."""
        return f"k={self.k}"


class Sinusoid(nn.Module):
    """The activation ``z -> sin(z)`` of setting (x): ``chi_S(x)`` at ``w = (pi/2) 1_S`` and ``b = pi (1 - k) / 2``.

    Example:
        >>> Sinusoid()(torch.tensor([0.0, torch.pi / 2]))
        tensor([0., 1.])
    """

    def forward(self, z: Tensor) -> Tensor:
        """Takes the sine of each element."""
        return torch.sin(z)


ACTIVATIONS: dict[str, Callable[[int], nn.Module]] = {
    "relu": lambda k: nn.ReLU(),
    "power": Power,
    "zigzag": Zigzag,
    "polynomial": ParityPolynomial,
    "infinite_zigzag": InfiniteZigzag,
    "sinusoid": lambda k: Sinusoid(),
}
"""Makes each activation for a parity of k bits."""


def make_activation(name: str, k: int) -> nn.Module:
    """Makes an activation by its name.

    Args:
        name: ``"relu"``, ``"power"`` (``z^k``), ``"zigzag"``, ``"polynomial"``, ``"infinite_zigzag"`` or
            ``"sinusoid"``.
        k: The degree of the parity to learn.

    Raises:
        SettingError: If there is no such activation.
    """
    if name not in ACTIVATIONS:
        raise SettingError("activation", name, nearest(name, ACTIVATIONS))
    return ACTIVATIONS[name](k)
