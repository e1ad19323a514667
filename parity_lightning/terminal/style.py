"""The one style of terminals: which words of a text have which look. The text itself is the same everywhere."""

from __future__ import annotations

import re
from typing import TextIO

from rich.console import Console
from rich.highlighter import RegexHighlighter
from rich.text import Text
from rich.theme import Theme

THEME = Theme(
    {
        "parity.name": "dim",
        "parity.good": "bold green",
        "parity.bad": "bold red",
        "parity.open": "yellow",
        "parity.file": "cyan",
        "parity.aside": "dim",
        "parity.head": "bold",
        "parity.rate": "magenta",
        "bar.complete": "blue",
        "bar.finished": "green",
        "bar.back": "bright_black",
    },
    inherit=True,
)


_PATH = re.compile(r"^(?P<name>[\w.-]+:) (?P<file>\S+\.\w+|/\S+)$")


class Results(RegexHighlighter):
    """Finds verdicts, paths, intervals and errors in what a command prints."""

    base_style = "parity."
    highlights = [  # noqa: RUF012  # rich's name for it, a list there
        _PATH.pattern,
        r"(?m)^  (?P<name>[a-z][a-z ]+?)  ",
        r"(?m)^  solved +(?P<good>yes)",
        r"(?m)^  solved +(?P<open>no)\b",
        r"(?m)^(?:(?P<good>holds)|(?P<bad>DOES NOT HOLD)|(?P<open>cannot tell|not attempted)):",
        r"(?P<open>\bunsolved\b)",
        r"(?P<aside>\((?:95 % interval )?-?[\d.,]+ to (?:-?[\d.,]+|unsolved)\))",
        r"(?P<bad>\berror:)",
    ]


def console(stream: TextIO, *, soft_wrap: bool = False) -> Console:
    """A console that writes to a terminal, without colours where ``NO_COLOR`` is set.

    Args:
        stream: The terminal.
        soft_wrap: Whether lines that are too wide are left to the terminal.
    """
    return Console(file=stream, theme=THEME, highlight=False, markup=False, emoji=False, soft_wrap=soft_wrap)


def styled(text: str, stream: TextIO, head: int = 0) -> str:
    """A text with its looks, as a terminal takes them; sentences that are wider are broken between words.

    Args:
        text: The text.
        stream: The terminal.
        head: How many of its lines, from the top, are the names of columns.
    """
    whole = Results()(Text(text))
    if head:
        whole.stylize("parity.head", 0, len("\n".join(text.split("\n")[:head])))
    own = console(stream)
    with own.capture() as found:
        for line in whole.split("\n", allow_blank=True):
            # Rows of tables, and paths: a terminal may break them, but who copies them gets them whole.
            is_whole = "  " in line.plain.strip() or _PATH.fullmatch(line.plain) is not None
            own.print(line, soft_wrap=is_whole)
    return found.get()
