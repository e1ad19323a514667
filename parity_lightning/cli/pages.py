"""Printing to a pipe whose other end may be closed, as by ``head``."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def silent_on_closed_pipe() -> Iterator[None]:
    """Discards further output when the other end of standard output is closed."""
    try:
        yield
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def print_page(text: str) -> None:
    """Prints a page of help."""
    with silent_on_closed_pipe():
        print(text)
