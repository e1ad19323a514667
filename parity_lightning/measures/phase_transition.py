"""When a run leaves its plateau and when it has solved its parity (Section 3.1, "Phase transitions")."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cache

PLATEAU_ERROR = 0.49
"""A run is on its plateau while its validation error is at least this (the error of Theorem 7)."""

SIGNIFICANCE_LEVEL = 0.001
"""How probable it is at most that guessing has as few errors as count as having left the plateau."""


@cache
def most_errors_off_plateau(examples: int) -> int:
    """The largest number of errors at which an evaluation counts as having left the plateau; -1 if none does.

    The error must be below `PLATEAU_ERROR`, and below one half by a one-sided exact binomial test: a network that
    guesses has so few errors, or fewer, with probability `SIGNIFICANCE_LEVEL` at most. (On 1,024 examples 0.49 alone is
    passed by one guess in four. The examples are the same at every evaluation, so waiting does not average this out.)

    Args:
        examples: On how many examples errors were counted.

    Example:
        >>> most_errors_off_plateau(1024), most_errors_off_plateau(8192), most_errors_off_plateau(9)
        (462, 3955, -1)
    """
    # Whole numbers: exact for any number of examples.
    allowed = Fraction(SIGNIFICANCE_LEVEL).limit_denominator(10**6) * 2**examples
    below_plateau = Fraction(PLATEAU_ERROR).limit_denominator(10**6) * examples
    ways, total, errors = 1, 0, 0
    while total + ways <= allowed and errors < below_plateau:
        total += ways
        ways = ways * (examples - errors) // (errors + 1)
        errors += 1
    return errors - 1


@dataclass
class PhaseTransitionState:
    """The steps of one run's phase transition, as far as they are known.

    - **convergence time** ``t_c``: the first evaluated step without a single validation error;
    - **onset**: the first evaluated step from which on, until ``t_c``, every evaluation has left the plateau; see
      `most_errors_off_plateau`;
    - **plateau share**: onset / ``t_c``.

    Attributes:
        onset: The onset in SGD steps, provisional until the run is solved; None while the run is on its plateau.
        convergence_time: In SGD steps; None while the run is unsolved.
        thresholds: Accuracies of which the first evaluated step is kept at which they are reached.
        reached: These steps; None where a threshold has not been reached.

    Example:
        >>> state = PhaseTransitionState()
        >>> for step, errors in [(100, 512), (200, 460), (300, 500), (400, 450), (500, 0)]:
        ...     state.observe(step, errors, examples=1024)
        >>> state
        PhaseTransitionState(onset=400, convergence_time=500, thresholds=(), reached=[])
        >>> state.plateau_share
        0.8
        >>> state = PhaseTransitionState(thresholds=(0.55, 0.9))
        >>> for step, errors in [(100, 512), (200, 460), (300, 470), (400, 200)]:
        ...     state.observe(step, errors, examples=1024)
        >>> state.reached
        [200, None]
    """

    onset: int | None = None
    convergence_time: int | None = None
    thresholds: Sequence[float] = ()
    reached: list[int | None] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.reached = self.reached or [None for _ in self.thresholds]

    @property
    def plateau_share(self) -> float | None:
        """Onset / convergence time; None while the run is unsolved."""
        if self.convergence_time is None or self.onset is None:
            return None
        return self.onset / self.convergence_time

    def observe(self, step: int, errors: float, examples: float) -> None:
        """Takes in an evaluation; once the run is solved, nothing changes any more.

        Args:
            step: After how many SGD steps.
            errors: The number of validation errors; NaN never counts as off the plateau.
            examples: Of how many examples.
        """
        if self.convergence_time is not None:
            return
        if errors == 0:
            self.convergence_time = step
        for place, threshold in enumerate(self.thresholds):
            if self.reached[place] is None and errors <= (1 - threshold) * examples:
                self.reached[place] = step
        if not (errors == 0 or errors <= most_errors_off_plateau(int(examples))):
            self.onset = None
        elif self.onset is None:
            self.onset = step
