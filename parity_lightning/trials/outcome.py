"""What a trial is asked for by, and what comes of it."""

from __future__ import annotations

from typing import NamedTuple


class Ticket(NamedTuple):
    """A trial that is to be run.

    Attributes:
        number: Its number among all.
        setting: Which of the settings that share a stack it has.
        seed: Its seed, as of ``fit --seed_everything``.
    """

    number: int
    setting: int
    seed: int


class Outcome(NamedTuple):
    """What came of a trial; see ``summary.json`` for the meaning of the names."""

    number: int
    support: tuple[int, ...]
    data_seed: int
    convergence_time: int | None
    onset: int | None
    steps: int
    val_accuracy: float
    hidden_progress: float | None
    stop_reason: str
