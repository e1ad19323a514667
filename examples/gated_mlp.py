"""A network whose units are gated by others: the guide's example, docs/your_own_architecture.md.

From this folder:

    parity-lightning fit --config ../configs/online.yaml --data.n 20 --model gated_mlp.GatedMLP --model.width 50
"""

from typing import Any

import torch
from torch import Tensor, nn

from parity_lightning import ParityModule


class Gated(nn.Module):
    """The network ``f(x) = u . ((V x + c) * sigmoid(W x + b)) + d``.

    Args:
        n: How many bits an input has.
        width: How many hidden units.
    """

    def __init__(self, n: int, width: int) -> None:
        super().__init__()
        self.gates, self.values = nn.Linear(n, width), nn.Linear(n, width)
        self.output = nn.Linear(width, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Maps inputs of shape ``(..., n)`` to outputs of shape ``(..., 1)``."""
        output: Tensor = self.output(self.values(x) * self.gates(x).sigmoid())
        return output


class GatedMLP(ParityModule):
    """Trains `Gated`.

    Args:
        n: How many bits an input has; the command line fills it in from the data.
        width: How many hidden units.
        **kwargs: What every ParityModule takes: loss, initialization, optimizer and so on.
    """

    def __init__(self, n: int, width: int = 100, **kwargs: Any) -> None:
        super().__init__(Gated(n, width), **kwargs)

    @property
    def first_layer(self) -> Tensor:
        """Both layers that read the input, of shape ``(2 * width, n)``."""
        return torch.cat([self.network.get_parameter(f"{name}.weight") for name in ("gates", "values")])
