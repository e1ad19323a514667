"""Which evaluations of a long run are kept, so that its records stay small."""

from __future__ import annotations

_ALL = 10_000


def is_recorded(step: int, every: int) -> bool:
    """Whether the evaluation after so many steps is kept.

    The first 10,000 evaluations are; of the next 10,000 every second one, of the next 20,000 every fourth one, and so
    on: 5,000 whenever the run doubles. A pure function of the step, so a run that is resumed keeps the same.

    Args:
        step: After how many SGD steps.
        every: Steps between evaluations.

    Example:
        >>> sum(is_recorded(step, every=1) for step in range(1, 40_001))
        20000
    """
    number = step // every
    return number % 2 ** ((number - 1) // _ALL).bit_length() == 0 if number > _ALL else True
