"""Held-out examples, which decide whether a run has solved its parity."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from parity_lightning.data.batches import Block

HELD_OUT = 2**13
"""How many held-out examples decide whether a run has solved its parity (Section 3.1)."""


class HeldOut:
    """A sized iterable of batches, which Lightning takes as one loader; it would take a list for several."""

    def __init__(self, batches: Sequence[Block]) -> None:
        self._batches = batches

    def __len__(self) -> int:
        return len(self._batches)

    def __iter__(self) -> Iterator[Block]:
        return iter(self._batches)
