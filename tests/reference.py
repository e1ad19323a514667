"""Slow and plain versions of what the package computes, to hold it against."""

from __future__ import annotations

import math
from collections.abc import Sequence

from parity_lightning.theory.majority import majority_coefficient

ONES = 0xFFFFFFFF


def philox_reference(counter: tuple[int, ...], key: tuple[int, ...]) -> tuple[int, ...]:
    """The algorithm of Salmon et al. (2011) in Python's unbounded integers."""
    c, k = list(counter), list(key)
    for _ in range(10):
        p0, p1 = 0xD2511F53 * c[0], 0xCD9E8D57 * c[2]
        c = [(p1 >> 32) ^ c[1] ^ k[0], p1 & ONES, (p0 >> 32) ^ c[3] ^ k[1], p0 & ONES]
        k = [(k[0] + 0x9E3779B9) & ONES, (k[1] + 0xBB67AE85) & ONES]
    return tuple(c)


def bits_reference(seed: int, index: int, n: int, purpose: int) -> list[int]:
    """The inputs of one example, from the documented layout of the counter: bit b of the words stands for (-1)^b."""
    key = seed & ONES, seed >> 32
    words = [
        word
        for block in range(-(-n // 128))
        for word in philox_reference((index & ONES, index >> 32, block, purpose), key)
    ]
    return [1 - 2 * (words[j // 32] >> (j % 32) & 1) for j in range(n)]


def relu_derivative_coefficient(signs: Sequence[int], subset: Sequence[int]) -> float:
    """The Fourier coefficient of ``x -> 1[w . x + b >= 0]`` for weights of signs, an odd number, and |b| < 1."""
    constant = 1.0 if not subset else 0.0
    return (constant + math.prod(signs[index] for index in subset) * majority_coefficient(len(signs), len(subset))) / 2
