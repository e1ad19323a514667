"""Solvers of sparse parities that are no gradient descent (Section 2), by what each is told.

Gaussian elimination is told that labels have no noise, and needs n samples and a few. The set of k coordinates that
agrees best with the labels is told k, endures noise, and needs of the order of k log n samples, but C(n, k) trials.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import combinations, islice
from typing import NamedTuple

import numpy as np
import torch

_ENTRIES_AT_ONCE = 2**22


class Elimination(NamedTuple):
    """What Gaussian elimination over GF(2) found.

    Attributes:
        support: The only set of coordinates whose parity is the label of every sample; None if there is none, or more.
        rank: How many samples are linearly independent; from n on at most one set fits.
        fits: Whether any set fits; none does if there are enough samples and a label is wrong.
    """

    support: tuple[int, ...] | None
    rank: int
    fits: bool


def eliminate(x: torch.Tensor, y: torch.Tensor) -> Elimination:
    """Solves ``sum_{i in S} bit_i = label bit`` (mod 2) for the unknown set S; a bit is 1 where a sign is -1.

    In ``m n^2 / 8`` operations on bytes. It is not told k.

    Args:
        x: Inputs of -1 and +1, of shape ``(m, n)``.
        y: Labels of -1 and +1, of shape ``(m,)``.

    Example:
        >>> x = torch.tensor([[-1, 1, 1], [1, -1, 1], [-1, 1, -1]])
        >>> eliminate(x, x[:, 0] * x[:, 2])
        Elimination(support=(0, 2), rank=3, fits=True)
        >>> eliminate(x[:2], x[:2, 0] * x[:2, 2])
        Elimination(support=None, rank=2, fits=True)
    """
    n = x.shape[1]
    rows = np.packbits(torch.cat([x, y.unsqueeze(1)], 1).numpy() < 0, axis=1)
    rank, pivots = 0, []
    for column in range(n):
        ones = (rows[:, column // 8] >> (7 - column % 8) & 1).astype(bool)
        below = np.flatnonzero(ones[rank:])
        if not len(below):
            continue
        pivot = rank + int(below[0])
        rows[[rank, pivot]], ones[[rank, pivot]] = rows[[pivot, rank]], ones[[pivot, rank]]
        ones[rank] = False
        rows[ones] ^= rows[rank]
        pivots.append(column)
        rank += 1
    labels = rows[:, n // 8] >> (7 - n % 8) & 1
    fits = not labels[rank:].any()
    support = tuple(column for column, label in zip(pivots, labels, strict=False) if label)
    return Elimination(support if fits and rank == n else None, rank, fits)


class Best(NamedTuple):
    """The set of k coordinates that agrees best with the labels.

    Attributes:
        support: The set, the first of several in order.
        correlation: The mean of label times parity, -1 to 1.
        ties: How many sets agree as well, this one included.
    """

    support: tuple[int, ...]
    correlation: float
    ties: int


def best_correlation(x: torch.Tensor, y: torch.Tensor, k: int) -> Best:
    """Tries all sets of k coordinates; `k` is what it is told.

    For each set of k - 1 coordinates a product of matrices tries all that come after its last, so the time is that of
    ``m n C(n, k - 1)`` multiplications; the memory is bounded.

    Args:
        x: Inputs of -1 and +1, float32 of shape ``(m, n)``.
        y: Labels of -1 and +1, of shape ``(m,)``.
        k: Size of the support.

    Example:
        >>> x = torch.tensor([[1.0, 1, -1], [1, -1, 1], [-1, 1, 1], [-1, -1, -1]])
        >>> best_correlation(x, -x[:, 0] * x[:, 1], k=1)
        Best(support=(2,), correlation=1.0, ties=1)
    """
    samples, n = x.shape
    best, support, ties = -math.inf, (), 0
    for prefixes in _chunks(n, k - 1, max(1, _ENTRIES_AT_ONCE // (samples + n))):
        products = y.expand(len(prefixes), samples).clone()
        for place in range(k - 1):
            products *= x.T[prefixes[:, place]]
        # Whole numbers, exact in float32 up to 2^24 samples.
        agreement = products @ x
        last = prefixes[:, -1:] if k > 1 else torch.full((1, 1), -1)
        agreement[torch.arange(n) <= last] = -math.inf
        most = float(agreement.max())
        if most < best or most == -math.inf:
            continue
        where = (agreement == most).nonzero()
        if most > best:
            best, ties = most, 0
            support = (*prefixes[where[0, 0]].tolist(), int(where[0, 1]))
        ties += len(where)
    return Best(support, best / samples, ties)


def _chunks(n: int, size: int, rows: int) -> Iterator[torch.Tensor]:
    sets = combinations(range(n), size)
    while chunk := list(islice(sets, rows)):
        yield torch.tensor(chunk, dtype=torch.int64).reshape(len(chunk), size)
