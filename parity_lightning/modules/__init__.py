"""LightningModules: how each family of networks is trained."""

from parity_lightning.modules.base import ParityModule
from parity_lightning.modules.mlp import MLP
from parity_lightning.modules.neuron import Neuron
from parity_lightning.modules.polynet import DisjointPolyNet, PolyNet
from parity_lightning.modules.transformer import Transformer

__all__ = ["MLP", "DisjointPolyNet", "Neuron", "ParityModule", "PolyNet", "Transformer"]
