"""Several parities drawn side by side, one for each trial of a stack."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from parity_lightning.data.sparse_parity import SparseParity, Stream, draw_flips, draw_words, inputs_of


class ParityStack(NamedTuple):
    """What the examples of several parities of the same n and k depend on; see `stack_parities`.

    Attributes:
        low: The low words of the seeds, int64 of shape ``(T,)``.
        high: Their high words.
        relevant: The bits of the supports, int64 of shape ``(T, ceil(n / 32))``; see `relevant_words`.
        flip_below: The label noise in units of 2^-32, int64 of shape ``(T,)``.
    """

    low: Tensor
    high: Tensor
    relevant: Tensor
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
        words = draw_words(key, index, n, stream)
        # Of the words, not of the inputs: a compiler fuses this with drawing, for every example once.
        y = 1.0 - 2.0 * _parity_of_bits(words & self.relevant.unsqueeze(1))
        if noisy and stream == "train":
            y = torch.where(draw_flips(key, index, self.flip_below.unsqueeze(-1)), -y, y)
        return inputs_of(words, n), y


def stack_parities(parities: Sequence[SparseParity]) -> ParityStack:
    """Stacks parities of the same n and k.

    Example:
        >>> parities = [SparseParity(n=10, k=3, seed=seed) for seed in (5, 6)]
        >>> index = torch.tensor([[0, 1], [7, 8]])
        >>> x, y = stack_parities(parities).draw(index, 10, "train", noisy=False)
        >>> bool((x[1] == parities[1].draw(index[1])[0]).all())
        True
    """
    each = [(*parity.key, _relevant(parity), parity.flip_below) for parity in parities]
    return ParityStack(*map(torch.tensor, zip(*each, strict=True)))


def words_of(parity: SparseParity) -> ParityStack:
    """What the examples of one parity depend on, each tensor without the dimension of trials."""
    return ParityStack(*(words[0] for words in stack_parities([parity])))


def relevant_words(parity: SparseParity) -> Tensor:
    """The support of a parity as the bits of words, laid out as inputs are: int64 of shape ``(ceil(n / 32),)``.

    Example:
        >>> relevant_words(SparseParity(n=40, k=3, support=[0, 2, 33]))
        tensor([5, 2])
    """
    return torch.tensor(_relevant(parity))


def _relevant(parity: SparseParity) -> list[int]:
    words = [0] * -(-parity.n // 32)
    for index in parity.support:
        words[index // 32] |= 1 << (index % 32)
    return words


def _parity_of_bits(words: Tensor) -> Tensor:
    """Whether the number of ones in words of 32 bits, of shape ``(..., m)``, is odd: 0 or 1, of shape ``(...)``."""
    for shift in (16, 8, 4, 2, 1):
        words = words ^ (words >> shift)
    return (words & 1).sum(-1) & 1
