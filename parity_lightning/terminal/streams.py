"""The streams that a command writes to."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO


def is_terminal(stream: TextIO) -> bool:
    """Whether a stream is a terminal that can move its cursor and show styles."""
    return stream.isatty() and os.environ.get("TERM") not in ("dumb", "unknown")


@contextmanager
def silent_on_closed_pipe(stream: TextIO | None = None) -> Iterator[None]:
    """Discards further output when the other end of a stream is closed, as by ``head``.

    Args:
        stream: The stream; standard output by default.
    """
    target = sys.stdout if stream is None else stream
    try:
        yield
        target.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), target.fileno())
