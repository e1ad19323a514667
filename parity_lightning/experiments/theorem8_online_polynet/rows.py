"""The rows of the tables: what the trials of a setting did."""

from __future__ import annotations

from typing import NamedTuple


class Row(NamedTuple):
    """What the trials of a setting did.

    Attributes:
        rates: How learning rates adapt.
        k: Size of the support.
        block_length: The length n' of a block.
        theorem_steps: The steps T of the theorem.
        taken: The steps that each trial took.
        right: How many trials from right signs got to the error, and how many there were.
        wrong: The same from wrong signs.
        steps: The median steps to the error, of trials from right signs.
        low: The lower end of its interval.
        high: Its upper end.
        drift_steps: The steps if weights moved by their mean increments only.
    """

    rates: str
    k: int
    block_length: int
    theorem_steps: int
    taken: int
    right: str
    wrong: str
    steps: float | None
    low: float | None
    high: float | None
    drift_steps: float


class Trial(NamedTuple):
    """A trial of a setting; ``steps`` is None if it did not get to the error."""

    rates: str
    k: int
    length: int
    theorem: int
    horizon: int
    trial: int
    right: bool
    steps: float | None
    taken: int
    error: float
    irrelevant_moved: float
