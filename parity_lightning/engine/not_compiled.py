"""The exception for what cannot be compiled."""

from __future__ import annotations


class NotCompiled(Exception):
    """A function cannot be compiled; the text is the reason, in one line."""
