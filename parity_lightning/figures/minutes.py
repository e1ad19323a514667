"""How long figures took where they were measured, to say it before one begins."""

from __future__ import annotations

from parity_lightning.figures.scales import Scale

_OF_A_CORE: dict[Scale, dict[str, float]] = {
    "laptop": {},
}
"""Minutes of one core of an AMD EPYC, curves and all, as `docs/paper.md` has them."""


def minutes_of(name: str, scale: Scale, cores: int) -> float | None:
    """How many minutes a figure takes, if it takes as long as where it was measured; None if it was not.

    Args:
        name: The figure's name.
        scale: At which scale.
        cores: On how many cores.
    """
    of_a_core = _OF_A_CORE.get(scale, {}).get(name)
    return None if of_a_core is None else of_a_core / cores
