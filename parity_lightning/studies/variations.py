"""Options that take several values, one after another: ``--vary OPTION=VALUES``."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, NamedTuple

import yaml

from parity_lightning.errors import SettingError
from parity_lightning.studies.cells import Grid

_RANGE = re.compile(r"(-?\d+)\.\.(-?\d+)")
_MOST_SETTINGS = 1_000_000


class Variation(NamedTuple):
    """An option and the values it takes."""

    option: str
    values: tuple[Any, ...]


def parse_variation(text: str) -> Variation:
    """Parses ``OPTION=[VALUE,VALUE,...]`` or, for whole numbers, ``OPTION=FIRST..LAST``.

    Raises:
        SettingError: If it is neither.

    Example:
        >>> parse_variation("model.optimizer.lr=[0.01, 0.1]")
        Variation(option='model.optimizer.lr', values=(0.01, 0.1))
        >>> parse_variation("model.optimizer.lr=[1e-3]").values
        (0.001,)
        >>> parse_variation("data.seed=1..3").values
        (1, 2, 3)
    """
    option, sign, listed = text.partition("=")
    option = option.removeprefix("--")
    values: Any = None
    if span := _RANGE.fullmatch(listed.strip()):
        values = range(int(span[1]), int(span[2]) + 1)
        if len(values) > _MOST_SETTINGS:
            raise SettingError("--vary", text, f"{len(values):,} values are more than {_MOST_SETTINGS:,}; give fewer")
        values = list(values)
    elif sign:
        try:
            values = yaml.safe_load(listed)
        except yaml.YAMLError:
            values = None
    if not option or not isinstance(values, list) or not values:
        raise SettingError("--vary", text, "give OPTION=[VALUE,VALUE] or, for whole numbers, OPTION=FIRST..LAST")
    values = tuple(map(_as_number, values))
    if len(set(map(as_text, values))) < len(values):
        raise SettingError("--vary", text, "has a value twice; give each once, and more --trials for more seeds")
    return Variation(option, values)


def _as_number(value: Any) -> Any:
    """What YAML takes for a text and everybody else for a number: 1e-3."""
    if isinstance(value, str):
        with suppress(ValueError):
            return float(value)
    return value


def as_text(value: Any) -> str:
    """A value as it is given on the command line.

    Example:
        >>> as_text(None), as_text(0.1), as_text("gaussian"), as_text([1, 2])
        ('null', '0.1', 'gaussian', '[1, 2]')
    """
    return value if isinstance(value, str) else json.dumps(value, default=str)


def combinations_of(variations: Sequence[Variation]) -> Grid:
    """Every combination of values, the last option's changing fastest.

    Raises:
        SettingError: If an option is varied twice, or if there are too many combinations.

    Example:
        >>> list(combinations_of([parse_variation("data.k=[2,3]"), parse_variation("data.n=[10]")]))
        [{'data.k': 2, 'data.n': 10}, {'data.k': 3, 'data.n': 10}]
    """
    names = [variation.option for variation in variations]
    for name in names:
        if names.count(name) > 1:
            raise SettingError("--vary", name, "is varied twice; give all its values at once")
    count = math.prod(len(variation.values) for variation in variations)
    if count > _MOST_SETTINGS:
        raise SettingError("--vary", f"{count:,} settings", f"are more than {_MOST_SETTINGS:,}; give fewer values")
    return Grid({variation.option: variation.values for variation in variations})
