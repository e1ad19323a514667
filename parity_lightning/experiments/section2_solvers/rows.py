"""The rows of the tables: what a solver does with its samples."""

from __future__ import annotations

from typing import NamedTuple


class Row(NamedTuple):
    """How many samples a solver needs, and what it does with them.

    Attributes:
        solver: Elimination over GF(2), or the set of k inputs that agrees best.
        assumes: What it may assume beside its samples.
        n: Number of inputs.
        noise: The probability that a label is wrong.
        samples: How many samples it got.
        success: The share of trials in which it found the support.
        low: The lower end of the interval of that share.
        high: Its upper end.
        enough: How many samples a law calls enough, if there is one.
        success_at_enough: The success of the best set from as many.
        ms: Milliseconds that a trial took, drawing the samples included.
    """

    solver: str
    assumes: str
    n: int
    noise: float
    samples: int
    success: float
    low: float
    high: float
    enough: int | None
    success_at_enough: float | None
    ms: float


class Point(NamedTuple):
    """The success rate of a solver from a number of samples, for the picture."""

    solver: str
    n: int
    k: int
    noise: float
    samples: int
    success: float
    low: float
    high: float
    seconds: float
