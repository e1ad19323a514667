"""The errors whose text is the one line that the command line prints."""

from __future__ import annotations

import difflib
import operator
import re
from collections.abc import Iterable
from typing import Any


class SettingError(ValueError):
    """A setting has a value that cannot work.

    Its text is one line that names the option, the value and the mend; the command line prints
    that line and exits with 2.

    Args:
        option: The option's name, as it is spelled in Python (``"batch_size"``).
        value: The value it was given.
        hint: What to give instead.

    Example:
        >>> str(SettingError("batch_size", 0, "must be at least 1"))
        'batch_size=0: must be at least 1'
    """

    def __init__(self, option: str, value: Any, hint: str) -> None:
        super().__init__(f"{option}={value}: {hint}")
        self.option = option
        self.value = value
        self.hint = hint


class RunError(RuntimeError):
    """A command cannot go on; its text is one line that says why.

    Attributes:
        repeatable: Whether the same command can do better another time.
    """

    repeatable = True


class UsageError(ValueError):
    """Options cannot work; its text is one line that says why, with the options' full names."""


def nearest(name: object, valid: Iterable[str]) -> str:
    """Says which names are valid, the one most like ``name`` first.

    Example:
        >>> nearest("hing", ["square", "hinge"])
        'did you mean hinge? Valid: hinge, square'
        >>> nearest("zzz", ["square", "hinge"])
        'valid: hinge, square'
    """
    names = sorted(valid, key=_with_numbers)
    close = difflib.get_close_matches(str(name), names, n=1)
    listed = ", ".join(names)
    return f"did you mean {close[0]}? Valid: {listed}" if close else f"valid: {listed}"


def _with_numbers(name: str) -> list[tuple[int, int, str]]:
    """A key to sort names by in which numbers count as such: 10 comes after 2-left."""
    parts = [part for part in re.split(r"(\d+)", name) if part]
    return [(0, int(part), "") if part.isdecimal() else (1, 0, part) for part in parts]


def nearest_one(name: object, valid: Iterable[str]) -> str:
    """The valid name most like ``name``; an empty text if none is like it.

    Example:
        >>> nearest_one("hing", ["square", "hinge"]), nearest_one("zzz", ["square", "hinge"])
        ('hinge', '')
    """
    return "".join(difflib.get_close_matches(str(name), list(valid), n=1))


def check_int(option: str, value: Any, *, at_least: int, at_most: int = 2**64 - 1) -> int:
    """Returns ``value`` as an int if it is a whole number (no bool) within bounds.

    Raises:
        SettingError: If it is not.

    Example:
        >>> check_int("batch_size", 32, at_least=1)
        32
    """
    try:
        number = operator.index(value)
    except TypeError:
        number = None
    if number is None or isinstance(value, bool):
        raise SettingError(option, value, "must be a whole number")
    if number < at_least:
        raise SettingError(option, value, f"must be at least {at_least}")
    if number > at_most:
        raise SettingError(option, value, f"must be at most {at_most:,}")
    return number
