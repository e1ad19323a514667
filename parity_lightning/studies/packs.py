"""Packs: cells whose trials can share a stack."""

from __future__ import annotations

from collections.abc import Iterable

MOST_CELLS = 64
"""Cells of a pack at most: each is parsed where the pack is run, before its first step."""

Pack = tuple[int, ...]
"""The places of its cells in the plan."""


def packs_of(stacks: Iterable[str], most: int = MOST_CELLS) -> list[Pack]:
    """Puts cells together that can share a stack.

    Args:
        stacks: The name of each cell's stack, as `Settings.stack` has it.
        most: How many cells a pack has at most.

    Returns:
        The packs, in the order of their first cells.

    Example:
        >>> packs_of(["wide", "narrow", "wide", "wide"], most=2)
        [(0, 2), (1,), (3,)]
    """
    packs: list[list[int]] = []
    open_pack: dict[str, list[int]] = {}
    for place, stack in enumerate(stacks):
        pack = open_pack.get(stack)
        if pack is None or len(pack) >= most:
            pack = open_pack[stack] = []
            packs.append(pack)
        pack.append(place)
    return [tuple(pack) for pack in packs]
