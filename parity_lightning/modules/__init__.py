"""LightningModules: how each family of networks is trained."""

from parity_lightning.modules.base import ParityModule
from parity_lightning.modules.mlp import MLP

__all__ = ["MLP", "ParityModule"]
