"""The Transformer, setting (*iii) of Section 3.1."""

from __future__ import annotations

from typing import Any

import torch
from lightning.pytorch.cli import OptimizerCallable
from torch import Tensor

from parity_lightning.modules.base import ParityModule
from parity_lightning.nets.transformer import OneLayerTransformer


class Transformer(ParityModule):
    """Trains `OneLayerTransformer`, by default with Adam.

    Hidden progress is measured on the attention scores of the n positions, see `first_layer`.

    Args:
        n: How many bits an input has.
        d_emb: Dimension of embeddings.
        d_attn: Dimension of a head's keys and values.
        heads: Number H of heads.
        optimizer: As of `ParityModule`; Adam at the paper's learning rate by default.
        **kwargs: As of `ParityModule`.

    Example:
        >>> Transformer(n=50, d_emb=32, heads=4).first_layer.shape
        torch.Size([4, 50])
    """

    def __init__(
        self,
        n: int,
        d_emb: int = 1024,
        d_attn: int = 8,
        heads: int = 128,
        optimizer: OptimizerCallable = lambda parameters: torch.optim.Adam(parameters, lr=0.0003),
        **kwargs: Any,
    ) -> None:
        super().__init__(OneLayerTransformer(n, d_emb, d_attn, heads), optimizer=optimizer, **kwargs)

    @property
    def first_layer(self) -> Tensor:
        """How much each head attends to each input, ``q . W_K p_i / sqrt(d_attn)``, of shape ``(heads, n)``.

        No single weight matrix reads the inputs; as W of an MLP, these say how strongly a unit takes up an input.
        """
        scores: Tensor = self.network.scores(self.network.position)  # type: ignore[operator]
        return scores
