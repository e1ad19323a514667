"""Options of experiments: frozen dataclasses whose annotations state the bounds."""

from __future__ import annotations

import math
import operator
from dataclasses import dataclass, fields
from typing import Annotated, Any, NamedTuple, get_args, get_type_hints

from parity_lightning.errors import SettingError, check_int


class Bounds(NamedTuple):
    """What an option's value, or each of its values, must keep to.

    Attributes:
        at_least: The smallest value allowed.
        above: What the value must be larger than.
        at_most: The largest value allowed.
        below: What the value must be smaller than.
    """

    at_least: float | None = None
    above: float | None = None
    at_most: float | None = None
    below: float | None = None

    def check(self, option: str, value: Any) -> None:
        """Refuses a value out of bounds, and a number that is not whole where the bounds are.

        Raises:
            SettingError: If so.

        Example:
            >>> Bounds(above=0, at_most=1).check("horizon", 0.5)
            >>> Bounds(above=0, at_most=1).check("horizon", 2.0)
            Traceback (most recent call last):
            ...
            parity_lightning.errors.SettingError: horizon=2.0: must be above 0 and at most 1
        """
        limits = [(name.replace("_", " "), limit) for name, limit in self._asdict().items() if limit is not None]
        if not isinstance(value, int | float) or isinstance(value, bool):
            raise SettingError(option, value, "must be a number")
        if not all(_KEPT[name](value, limit) for name, limit in limits):
            words = (f"{name} {limit:g}" if math.isfinite(limit) else "finite" for name, limit in limits)
            raise SettingError(option, value, f"must be {' and '.join(words)}")


_KEPT = {"at least": operator.ge, "at most": operator.le, "above": operator.gt, "below": operator.lt}

Seed = Annotated[int, Bounds(at_least=0, at_most=2**62)]
"""A seed, from which the seeds of trials are counted."""

Count = Annotated[int, Bounds(at_least=1)]
"""A number of things, at least one."""


@dataclass(frozen=True)
class BoundedOptions:
    """The base of every experiment's ``Options``: checks each option against the `Bounds` in its annotation.

    An option that takes several values is a tuple; a value given twice counts once, and there must be one at least
    unless the annotation allows None. What several options must keep to together is checked in the subclass, in
    ``__post_init__`` after a call of this one.

    Raises:
        SettingError: If an option is out of bounds.

    Example:
        >>> @dataclass(frozen=True)
        ... class Options(BoundedOptions):
        ...     n: Annotated[tuple[int, ...], Bounds(at_least=2)] = (10, 20)
        >>> Options(n=(5, 5, 7)).n
        (5, 7)
        >>> Options(n=(1,))
        Traceback (most recent call last):
        ...
        parity_lightning.errors.SettingError: n=1: must be at least 2
    """

    def __post_init__(self) -> None:
        hints = get_type_hints(type(self), include_extras=True)
        for field in fields(self):
            kind, value = hints[field.name], getattr(self, field.name)
            if isinstance(value, list | tuple):
                value = tuple(dict.fromkeys(value))
                object.__setattr__(self, field.name, value)
                if not value and type(None) not in get_args(_plain(kind)):
                    raise SettingError(field.name, "[]", "give at least one")
            for bounds in getattr(kind, "__metadata__", ()):
                for each in value if isinstance(value, tuple) else () if value is None else (value,):
                    _check(field.name, each, bounds, whole="int" in str(_plain(kind)))

    def check_at_most(self, **most: int) -> None:
        """Refuses an option that is larger than another one allows.

        Args:
            most: The largest value allowed, by the option's name.

        Raises:
            SettingError: If an option is larger.
        """
        for option, limit in most.items():
            if (value := getattr(self, option)) > limit:
                raise SettingError(option, value, f"must be at most {limit:,}")


def _plain(kind: Any) -> Any:
    """An annotation without its bounds."""
    return get_args(kind)[0] if hasattr(kind, "__metadata__") else kind


def _check(option: str, value: Any, bounds: Bounds, whole: bool) -> None:
    if whole:
        least = 0 if bounds.at_least is None else int(bounds.at_least)
        most = 2**64 - 1 if bounds.at_most is None else int(bounds.at_most)
        check_int(option, value, at_least=least, at_most=most)
    else:
        bounds.check(option, value)
