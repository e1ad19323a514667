"""Networks as plain ``nn.Module``s: they map inputs of shape ``(..., n)`` to outputs of shape ``(...)``."""

from parity_lightning.nets.activations import InfiniteZigzag, ParityPolynomial, Power, Sinusoid, Zigzag
from parity_lightning.nets.initializations import initialize
from parity_lightning.nets.mlp import TwoLayerMLP
from parity_lightning.nets.polynet import DisjointPolyNetwork, PolyNetwork
from parity_lightning.nets.transformer import OneLayerTransformer

__all__ = [
    "DisjointPolyNetwork",
    "InfiniteZigzag",
    "OneLayerTransformer",
    "ParityPolynomial",
    "PolyNetwork",
    "Power",
    "Sinusoid",
    "TwoLayerMLP",
    "Zigzag",
    "initialize",
]
