"""Losses of real-valued predictions of a sign (Sections 3.1 and 4)."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor
from torch.nn import functional

from parity_lightning.errors import SettingError, nearest

Loss = Callable[[Tensor], Tensor]

LOSSES: dict[str, Loss] = {
    "hinge": lambda margin: functional.relu(1 - margin),
    "square": lambda margin: (1 - margin).square(),
    "cross_entropy": lambda margin: functional.softplus(-margin),
    "correlation": lambda margin: -margin,
}
"""Each loss as a function of the margin ``y * f(x)``, elementwise.

As ``y`` is -1 or +1, the square loss ``(y - f(x))^2`` is ``(1 - margin)^2``. The cross-entropy is that of
``P(y = 1) = 1 / (1 + exp(-f(x)))``, in nats.
"""


def find_loss(name: str) -> Loss:
    """Finds a loss by its name.

    Returns:
        A function of margins ``y * f(x)``, elementwise.

    Raises:
        SettingError: If there is no such loss.

    Example:
        >>> import torch
        >>> find_loss("hinge")(torch.tensor([-1.0, 0.5, 2.0]))
        tensor([2.0000, 0.5000, 0.0000])
    """
    if name not in LOSSES:
        raise SettingError("loss", name, nearest(name, LOSSES))
    return LOSSES[name]
