"""Several parities drawn side by side, one for each trial of a stack."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from parity_lightning.data.sparse_parity import SparseParity, Stream, draw_flips, draw_inputs


class ParityStack(NamedTuple):
    """What the examples of several parities of the same n and k depend on; see `stack_parities`.

    Attributes:
        low: The low words of the seeds, int64 of shape ``(T,)``.
        high: Their high words.
        support: The supports, int64 of shape ``(T, k)``.
        flip_below: The label noise in units of 2^-32, int64 of shape ``(T,)``.
    """

    low: Tensor
    high: Tensor
    support: Tensor
    flip_below: Tensor

    def draw(self, index: Tensor, n: int, stream: Stream, noisy: bool) -> tuple[Tensor, Tensor]:
        """Draws the examples of a stream that stand at the given indices, each bit as `SparseParity.draw` has it.

        Args:
            index: int64 tensor of shape ``(T, B)``, or ``(B,)`` for the same indices in every trial.
            n: How many bits an input has.
            stream: Of which stream.
            noisy: Whether labels of the training stream may be flipped.

        Returns:
            The inputs, of shape ``(T, B, n)``, and the labels, of shape ``(T, B)``.
        """
        key = (self.low.unsqueeze(-1), self.high.unsqueeze(-1))
        x = draw_inputs(key, index, n, stream)
        relevant = self.support.unsqueeze(1).expand(-1, x.shape[1], -1)
        y = torch.gather(x, 2, relevant).prod(-1)
        if noisy and stream == "train":
            y = torch.where(draw_flips(key, index, self.flip_below.unsqueeze(-1)), -y, y)
        return x, y


def stack_parities(parities: Sequence[SparseParity]) -> ParityStack:
    """Stacks parities of the same n and k.

    Example:
        >>> parities = [SparseParity(n=10, k=3, seed=seed) for seed in (5, 6)]
        >>> index = torch.tensor([[0, 1], [7, 8]])
        >>> x, y = stack_parities(parities).draw(index, 10, "train", noisy=False)
        >>> bool((x[1] == parities[1].draw(index[1])[0]).all())
        True
    """
    return ParityStack(
        torch.tensor([parity.key[0] for parity in parities]),
        torch.tensor([parity.key[1] for parity in parities]),
        torch.tensor([parity.support for parity in parities]),
        torch.tensor([parity.flip_below for parity in parities]),
    )
