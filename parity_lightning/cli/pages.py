"""Pages of help."""

from __future__ import annotations

from parity_lightning.terminal.streams import silent_on_closed_pipe


def print_page(text: str) -> None:
    """Prints a page of help."""
    with silent_on_closed_pipe():
        print(text)
