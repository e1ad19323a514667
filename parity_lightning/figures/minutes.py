"""How long figures took where they were measured, to say it before one begins."""

from __future__ import annotations

from parity_lightning.figures.scales import Scale

_OF_A_CORE: dict[Scale, dict[str, float]] = {
    "laptop": {
        "1-left": 0.6,
        "1-right": 8.2,
        "1-right-hypotheses": 21.1,
        "finding-1": 11.9,
        "2-left": 22.2,
        "2-center": 0.5,
        "2-right": 2.2,
        "3": 2.9,
        "4-left": 4.3,
        "4-right": 1.4,
        "6": 8.0,
        "10": 0.9,
        "12": 0.2,
        "13": 4.8,
        "15": 3.2,
        "16": 2.1,
        "17": 2.9,
    },
}
"""Minutes of one core, curves included: those that ``docs/paper.md`` has, rounded."""


def minutes_of(name: str, scale: Scale, cores: int) -> float | None:
    """How many minutes a figure takes, if it takes as long as where it was measured; None if it was not.

    Args:
        name: The figure's name.
        scale: At which scale.
        cores: On how many cores.
    """
    of_a_core = _OF_A_CORE.get(scale, {}).get(name)
    return None if of_a_core is None else of_a_core / cores
