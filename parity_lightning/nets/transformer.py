"""A Transformer of one layer, setting (*iii)."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from parity_lightning.errors import check_int


class OneLayerTransformer(nn.Module):
    """One layer of attention from a [CLS] token to the n inputs, then a feed-forward layer and a linear readout.

    The paper gives the size and says "a simplified specialization of the Transformer to sequence classification"
    (Section 3.1, Appendix D.1.3); number of layers, residual connections and feed-forward block are our choice:

        e_i = p_i + x_i t                                        embedding of input i: position and token
        h   = c + W_O concat_heads sum_i softmax_i(q . W_K e_i / sqrt(d_attn)) W_V e_i
        f   = u . (h + W_2 relu(W_1 h + b_1))

    Two tokens, -1 and +1, have two embeddings; their mean is part of the positions' here.

    Args:
        n: How many bits an input has.
        d_emb: Dimension of embeddings.
        d_attn: Dimension of a head's keys and values.
        heads: Number H of heads.

    Example:
        >>> OneLayerTransformer(n=20, d_emb=32, d_attn=8, heads=4)(torch.ones(5, 20)).shape
        torch.Size([5])
    """

    def __init__(self, n: int, d_emb: int = 1024, d_attn: int = 8, heads: int = 128) -> None:
        super().__init__()
        check_int("n", n, at_least=1)
        check_int("d_emb", d_emb, at_least=1, at_most=2**16)
        check_int("d_attn", d_attn, at_least=1, at_most=2**16)
        check_int("heads", heads, at_least=1, at_most=2**16)
        self.heads = heads
        self.position = nn.Parameter(torch.randn(n, d_emb))
        self.token = nn.Parameter(torch.randn(d_emb))
        self.cls = nn.Parameter(torch.randn(d_emb))
        self.query = nn.Linear(d_emb, heads * d_attn, bias=False)
        self.key = nn.Linear(d_emb, heads * d_attn, bias=False)
        self.value = nn.Linear(d_emb, heads * d_attn, bias=False)
        self.out_proj = nn.Linear(heads * d_attn, d_emb, bias=False)
        self.fc1 = nn.Linear(d_emb, d_emb)
        self.fc2 = nn.Linear(d_emb, d_emb, bias=False)
        self.output = nn.Linear(d_emb, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Maps inputs of shape ``(..., n)`` to outputs of shape ``(...)``."""
        # Keys and values are linear in x_i, so positions and token are projected once, not for every example.
        attention = torch.softmax(self.scores(self.position) + x.unsqueeze(-2) * self.scores(self.token), -1)
        value_p = self._by_head(self.value(self.position)).transpose(0, 1)  # (heads, n, d_attn)
        value_t = self._by_head(self.value(self.token))  # (heads, d_attn)
        seen = (attention * x.unsqueeze(-2)).sum(-1, keepdim=True)  # (..., heads, 1)
        mixed = (attention.unsqueeze(-2) @ value_p).squeeze(-2) + seen * value_t
        h = self.cls + self.out_proj(mixed.flatten(-2))
        h = h + self.fc2(torch.relu(self.fc1(h)))
        output: Tensor = self.output(h)
        return output.squeeze(-1)

    def scores(self, embeddings: Tensor) -> Tensor:
        """What each head's attention to embeddings is made of: ``q . W_K e / sqrt(d_attn)``.

        Args:
            embeddings: One of shape ``(d_emb,)`` or several of shape ``(m, d_emb)``.

        Returns:
            Scores of shape ``(heads, 1)`` or ``(heads, m)``.
        """
        query = self._by_head(self.query(self.cls))
        key = self._by_head(self.key(embeddings.view(-1, embeddings.shape[-1])))
        return (key * query).sum(-1).T / math.sqrt(query.shape[-1])

    def _by_head(self, projected: Tensor) -> Tensor:
        return projected.view(*projected.shape[:-1], self.heads, -1)
