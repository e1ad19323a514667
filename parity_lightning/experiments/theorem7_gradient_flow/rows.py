"""The rows of the tables: when the error falls."""

from __future__ import annotations

from typing import NamedTuple

EPSILON = 0.49
"""The error that takes most of the time."""


class Row(NamedTuple):
    """When the error of a block length falls, in units of the flow's time.

    Attributes:
        k: Size of the support.
        block_length: The length n' of a block.
        weight: The relevant weight at error .49.
        early: The time T(.49) at which the error falls below .49.
        zero: The time T(0) at which it falls to zero.
        ratio: T(.49) / T(0).
        left: One less the ratio: the share of the time that is left.
        scaled: That share times n'^(k/2-1), which the theorem says is bounded.
        gaussian: The median ratio of Gaussian initializations, if any were drawn.
        low: The lower end of its interval.
        high: Its upper end.
    """

    k: int
    block_length: int
    weight: float
    early: float
    zero: float
    ratio: float
    left: float
    scaled: float
    gaussian: float | None
    low: float | None
    high: float | None


class Draw(NamedTuple):
    """The times of one Gaussian initialization, and whether the product of its relevant weights is positive."""

    k: int
    block_length: int
    draw: int
    positive: bool
    early: float
    zero: float
    ratio: float
