"""Activations of the paper's two-layer networks (Section 3.1)."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from parity_lightning.errors import SettingError, nearest


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


ACTIVATIONS: dict[str, Callable[[int], nn.Module]] = {
    "relu": lambda k: nn.ReLU(),
    "power": Power,
}
"""Makes each activation for a parity of k bits."""


def make_activation(name: str, k: int) -> nn.Module:
    """Makes an activation by its name.

    Args:
        name: ``"relu"`` or ``"power"`` (``z^k``).
        k: The degree of the parity to learn.

    Raises:
        SettingError: If there is no such activation.
    """
    if name not in ACTIVATIONS:
        raise SettingError("activation", name, nearest(name, ACTIVATIONS))
    return ACTIVATIONS[name](k)
