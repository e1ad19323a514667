"""Philox4x32-10, the counter-based generator behind every random number of the data.

The generator is that of Salmon, Moraes, Dror and Shaw, "Parallel random numbers: as easy as 1, 2, 3"
(SC 2011): a keyed bijection of 128-bit counters whose outputs pass the usual batteries of tests. It is
a pure function, so a number's place in a stream is all one needs to know to draw it again, on any
device and in any order.
"""

from __future__ import annotations

import torch
from torch import Tensor

MASK = 0xFFFFFFFF
"""The low 32 bits; words are held as int64 between 0 and this."""

_MULTIPLIERS = (0xD2511F53, 0xCD9E8D57)
_WEYL = (0x9E3779B9, 0xBB67AE85)
_ROUNDS = 10

Words = tuple[Tensor, Tensor, Tensor, Tensor]
Key = tuple[int, int] | tuple[Tensor, Tensor]
"""The low and the high word of a seed; or of several seeds, as int64 tensors."""


def split(number: int) -> tuple[int, int]:
    """Splits a number below 2^64 into its low and its high 32 bits.

    Example:
        >>> split(2**32 + 5)
        (5, 1)
    """
    return number & MASK, number >> 32


def philox(counter: Words, key: Key) -> Words:
    """Encrypts counters into random words.

    Args:
        counter: Four int64 tensors of words (0 to 2^32 - 1) that broadcast against each other.
        key: Two words: ints, or int64 tensors that broadcast with the counter.

    Returns:
        Four int64 tensors of random words, of the broadcast shape.

    Example:
        The known answer for the zero counter and key (the paper's reference implementation):

        >>> zero = torch.tensor(0)
        >>> [hex(int(word)) for word in philox((zero, zero, zero, zero), (0, 0))]
        ['0x6627e8d5', '0xe169c58d', '0xbc57ac4c', '0x9b00dbd8']
    """
    c0, c1, c2, c3 = counter
    k0, k1 = key
    for _ in range(_ROUNDS):
        # The product of two words may exceed the signed range; it wraps, and its bits stay right.
        p0 = c0 * _MULTIPLIERS[0]
        p1 = c2 * _MULTIPLIERS[1]
        c0, c1, c2, c3 = (
            ((p1 >> 32) & MASK) ^ c1 ^ k0,
            p1 & MASK,
            ((p0 >> 32) & MASK) ^ c3 ^ k1,
            p0 & MASK,
        )
        k0 = (k0 + _WEYL[0]) & MASK
        k1 = (k1 + _WEYL[1]) & MASK
    c0, c1, c2, c3 = torch.broadcast_tensors(c0, c1, c2, c3)  # type: ignore[no-untyped-call]
    return c0, c1, c2, c3


def random_words(key: Key, index: Tensor, *, blocks: int, purpose: int) -> Tensor:
    """Draws ``4 * blocks`` random words for each index.

    The counter of block ``b`` of index ``i`` is ``(i mod 2^32, i div 2^32, b, purpose)``.

    Args:
        key: The seed, split into two words; those of several seeds broadcast with ``index``.
        index: int64 tensor of any shape, values from 0 to 2^63 - 1.
        blocks: How many 128-bit blocks to draw for each index.
        purpose: What the words are for, 0 to 2^32 - 1; each purpose has words of its own.

    Returns:
        int64 tensor of shape ``index.shape + (4 * blocks,)``, values from 0 to 2^32 - 1.
    """
    block = torch.arange(blocks, device=index.device)
    index = index.unsqueeze(-1)
    words = philox((index & MASK, index >> 32, block, torch.full_like(block, purpose)), _for_each(key))
    return torch.stack(words, dim=-1).flatten(-2)


def random_orders(key: Key, count: int, epochs: Tensor, *, purpose: int) -> Tensor:
    """Draws a permutation of ``0 .. count - 1`` for each epoch, all permutations being equally likely.

    Each number gets a random 63-bit key and the numbers are sorted by it; equal keys, of which one expects
    ``count^2 / 2^64`` pairs, keep their order.

    Args:
        key: The seed, split into two words; those of several seeds broadcast with ``epochs``.
        count: How many numbers to permute, at most 2^32.
        epochs: int64 tensor of any shape, values from 0 to 2^63 - 1; each names a permutation.
        purpose: What the permutations are for, as in `random_words`.

    Returns:
        int64 tensor of shape ``epochs.shape + (count,)``, on the device of ``epochs``.
    """
    number = torch.arange(count, device=epochs.device)
    epochs = epochs.unsqueeze(-1)
    counter = (number, epochs & MASK, epochs >> 32, torch.full_like(number, purpose))
    high, low, _, _ = philox(counter, _for_each(key))
    return torch.argsort((high << 31) | (low >> 1), dim=-1, stable=True)


def _for_each(key: Key) -> Key:
    """Has words of several seeds broadcast with counters that got one more dimension."""
    low, high = key
    if isinstance(low, Tensor) and isinstance(high, Tensor):
        return low.unsqueeze(-1), high.unsqueeze(-1)
    return key
