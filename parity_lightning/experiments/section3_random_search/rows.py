"""The rows of the tables: the times of a search."""

from __future__ import annotations

from typing import NamedTuple

LANGEVIN = "Langevin"
"""The name of a search by moving at random."""


class Row(NamedTuple):
    """The times of a search, and the p values of tests of them.

    Attributes:
        search: What searched.
        n: Inputs of the parity.
        k: Size of the support.
        trials: How many trials.
        solved: How many of them were solved.
        mean: The mean time, where unsolved trials count by what they waited.
        first: The time of the fastest trial.
        spread: Standard deviation over mean.
        p_law: The p value of so large a deviation from the law, if one is known.
        p_early: The p value of no success before the fastest trial's, if times have no memory.
        p_narrow: The p value of so small a spread, if times have no memory.
        p_wide: The p value of so large a spread, if times have no memory.
    """

    search: str
    n: int
    k: int
    trials: int
    solved: int
    mean: float | None
    first: float | None
    spread: float
    p_law: float | None
    p_early: float
    p_narrow: float
    p_wide: float


class Time(NamedTuple):
    """The time of a trial; None if it was not solved."""

    search: str
    n: int
    k: int
    time: float | None
