"""The one error that a wrong setting raises."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import Any


class SettingError(ValueError):
    """A setting has a value that cannot work.

    Its text is one line that names the option, the value and the mend; the command line prints
    that line and exits with 2.

    Args:
        option: The option's name, as it is spelled in Python (``"batch_size"``).
        value: The value it was given.
        mend: What to give instead.

    Example:
        >>> str(SettingError("batch_size", 0, "must be at least 1"))
        'batch_size=0: must be at least 1'
    """

    def __init__(self, option: str, value: Any, mend: str) -> None:
        super().__init__(f"{option}={value}: {mend}")
        self.option = option
        self.value = value
        self.mend = mend


def nearest(name: str, valid: Iterable[str]) -> str:
    """Says which names are valid, the one most like ``name`` first.

    Example:
        >>> nearest("hing", ["square", "hinge"])
        'did you mean hinge? Valid: hinge, square'
        >>> nearest("zzz", ["square", "hinge"])
        'valid: hinge, square'
    """
    names = sorted(valid)
    close = difflib.get_close_matches(name, names, n=1)
    listed = ", ".join(names)
    return f"did you mean {close[0]}? Valid: {listed}" if close else f"valid: {listed}"


def whole_number(option: str, value: Any, *, at_least: int) -> int:
    """Returns ``value`` if it is an int (and no bool) of at least ``at_least``.

    Raises:
        SettingError: If it is not.

    Example:
        >>> whole_number("batch_size", 32, at_least=1)
        32
    """
    if isinstance(value, bool) or not isinstance(value, int):
        raise SettingError(option, value, "must be a whole number")
    if value < at_least:
        raise SettingError(option, value, f"must be at least {at_least}")
    return value
