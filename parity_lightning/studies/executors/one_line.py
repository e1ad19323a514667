"""An error in one line, wherever it was raised."""

from __future__ import annotations


def in_a_line(error: Exception | str) -> str:
    r"""An error in a line, with its class.

    Example:
        >>> in_a_line(ValueError("too\n wide"))
        'ValueError: too wide'
    """
    text = error if isinstance(error, str) else f"{type(error).__name__}: {error}"
    return " ".join(text.split())
