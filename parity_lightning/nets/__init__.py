"""Networks as plain ``nn.Module``s: they map inputs of shape ``(..., n)`` to outputs of shape ``(...)``."""

from parity_lightning.nets.activations import Power
from parity_lightning.nets.initializations import initialize
from parity_lightning.nets.mlp import TwoLayerMLP

__all__ = ["Power", "TwoLayerMLP", "initialize"]
