"""The k disjoint blocks of n/k inputs that a disjoint-PolyNet reads one by one (Section 4.2)."""

from __future__ import annotations

from collections.abc import Sequence

from parity_lightning.errors import SettingError


def block_length(n: int, k: int) -> int:
    """The length ``n' = n / k`` of the k disjoint blocks of n inputs.

    Raises:
        SettingError: If k does not divide n.

    Example:
        >>> block_length(21, 3)
        7
    """
    if n % k:
        raise SettingError("n", n, f"must be a multiple of k={k} to fall into blocks of equal length; try {n + -n % k}")
    return n // k


def check_one_per_block(support: Sequence[int], n: int, hint: str) -> None:
    """Refuses a sorted support that does not have one index in each of as many blocks.

    Args:
        support: Indices from 0 to n - 1, sorted.
        n: How many inputs there are.
        hint: What to give instead, after "must have one index in each block".

    Raises:
        SettingError: If it does not.
    """
    length = block_length(n, len(support))
    if [index // length for index in support] != list(range(len(support))):
        message = f"must have one index in each of {len(support)} blocks of {length}{hint}"
        raise SettingError("support", list(support), message)
