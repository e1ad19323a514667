"""How convergence times depend on a number that varies: medians along it, one curve for all else that varies."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from parity_lightning.statistics.power_law import PowerLaw, fit_power_law


class ScalingCurve(NamedTuple):
    """Convergence times along a number, everything else being equal.

    Attributes:
        column: What the number is called.
        others: What else varies, with its values here.
        x: The number at each setting, ascending.
        times: The convergence times at each, infinite where a trial was not solved.
        law: The power law fitted to the medians; None where fewer than two settings have a median.
    """

    column: str
    others: dict[str, Any]
    x: list[float]
    times: list[np.ndarray]
    law: PowerLaw | None


def number_that_varies(settings: Sequence[Mapping[str, Any]], varied: Sequence[str]) -> str | None:
    """The column to draw times against: of those that hold numbers above 0, the one with the most values.

    Args:
        settings: Values by column, of each setting.
        varied: The columns that vary.

    Example:
        >>> settings = [{"k": k, "n": n, "loss": "hinge"} for k in (2, 3) for n in (10, 20, 30)]
        >>> number_that_varies(settings, ["loss", "k", "n"]), number_that_varies(settings, ["loss"])
        ('n', None)
    """
    best, most = None, 1
    for column in varied:
        values: list[Any] = [setting.get(column) for setting in settings]
        # A seed is a number and yet no quantity.
        if column == "data_seed" or any(type(value) not in (int, float) or value <= 0 for value in values):
            continue
        if len(set(values)) > most:
            best, most = column, len(set(values))
    return best


def scaling_curves(
    settings: Sequence[Mapping[str, Any]], varied: Sequence[str], times: Sequence[np.ndarray], column: str | None = None
) -> list[ScalingCurve]:
    """The curves of convergence times along a number that varies.

    Args:
        settings: Values by column, of each setting, ``max_steps`` among them.
        varied: The columns that vary.
        times: The convergence times of each setting, infinite where a trial was not solved.
        column: The number; by default `number_that_varies`.

    Returns:
        A curve for each combination of everything else that varies; none where no number varies.

    Example:
        >>> settings = [{"n": n, "max_steps": 999} for n in (10, 20)]
        >>> (curve,) = scaling_curves(settings, ["n"], [np.full(3, 5.0), np.full(3, 20.0)])
        >>> curve.x, str(curve.law)
        ([10, 20], '2.00 (2.00 to 2.00)')
    """
    column = column or number_that_varies(settings, varied)
    if column is None:
        return []
    groups: dict[str, list[int]] = {}
    others = [name for name in varied if name != column]
    for place, setting in enumerate(settings):
        groups.setdefault(repr([setting.get(name) for name in others]), []).append(place)
    curves = []
    for places in groups.values():
        ordered = sorted(places, key=lambda place: settings[place][column])
        x, own = [settings[place][column] for place in ordered], [times[place] for place in ordered]
        law = fit_power_law(x, own, [float(settings[place]["max_steps"]) for place in ordered])
        curves.append(ScalingCurve(column, {name: settings[places[0]].get(name) for name in others}, x, own, law))
    return curves
