"""What a command says: what came of it on standard output, how it goes and what is wrong on standard error.

With ``--quiet`` only paths, answers that were asked for, and what is wrong are left. With ``--json`` standard output
has nothing but records, a JSON object a line, and all else goes to standard error.
"""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

from parity_lightning.terminal.streams import is_terminal, silent_on_closed_pipe

OPTIONS = {
    "--quiet": "say nothing but the paths of what was written, answers, and what is wrong",
    "--json": "print what came of it as JSON, an object a line; all else goes to standard error",
}
"""What every subcommand takes."""


@dataclass
class _Voice:
    is_quiet: bool = False
    records: TextIO | None = None


# Of the process, not of a context: whatever thread says something says it in the voice of the command.
_voice = _Voice()


@contextmanager
def speaking(*, quiet: bool = False, as_json: bool = False) -> Iterator[None]:
    """Sets how much is said, and in which form.

    Args:
        quiet: Whether only paths, answers and what is wrong are told.
        as_json: Whether standard output gets records alone.
    """
    before = (_voice.is_quiet, _voice.records)
    _voice.is_quiet, _voice.records = quiet, sys.stdout if as_json else None
    try:
        with redirect_stdout(sys.stderr) if as_json else nullcontext():
            yield
    finally:
        _voice.is_quiet, _voice.records = before


def is_quiet() -> bool:
    """Whether progress is not to be shown."""
    return _voice.is_quiet


def show(text: str) -> None:
    """Prints what came of a command in words: a table, the first ``head`` lines of it names of columns, or a claim."""
    if not _voice.is_quiet:
        _print(text)


def answer(text: str) -> None:
    """Prints what a command does nothing else for than to say it."""
    if not _voice.is_quiet or _voice.records is None:
        _print(text)


def path(name: str, shown: str) -> None:
    """Prints where something was written, on a line of its own that scripts can rely on."""
    answer(f"{name}: {shown}")


def note(text: str) -> None:
    """Prints on standard error how it goes."""
    if not _voice.is_quiet:
        complain(text)


def complain(text: str) -> None:
    """Prints on standard error what is wrong."""
    _print(text, sys.stderr)


def record(
    command: str,
    files: Mapping[str, Path] | None = None,
    tell: Callable[[], Mapping[str, Any]] = dict,
    **facts: Any,
) -> None:
    """Writes what came of a command as a JSON object on one line, if that was asked for.

    Args:
        command: The subcommand.
        files: What was written, by what it is.
        tell: Returns more of what came of it; called only if there is to be an object.
        facts: What came of it: numbers in full, null for those that are infinite or unknown.
    """
    if _voice.records is None:
        return
    paths = {name: str(file.absolute()) for name, file in (files or {}).items()}
    line = json.dumps(_plain({"command": command, **facts, **tell(), "files": paths}), allow_nan=False)
    with silent_on_closed_pipe(_voice.records):
        print(line, file=_voice.records, flush=True)


def _print(text: str, stream: TextIO | None = None) -> None:
    stream = sys.stdout if stream is None else stream
    with silent_on_closed_pipe(stream):
        if is_terminal(stream):
            _print_in_style(text, stream)
        else:
            print(text, file=stream, flush=True)


def _print_in_style(text: str, stream: TextIO) -> None:
    # A terminal alone is worth the time that it takes to import rich.
    from parity_lightning.terminal.style import styled

    # While progress is drawn, what is written to the stream is put above it; a console would write past that.
    stream.write(styled(text, stream, getattr(text, "head", 0)))
    stream.flush()


def _plain(value: Any) -> Any:
    """A value as JSON has it."""
    if isinstance(value, Mapping):
        return {str(name): _plain(part) for name, part in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_plain(part) for part in value]
    if hasattr(value, "tolist"):
        # A number or an array of NumPy's, or a tensor.
        return _plain(value.tolist())
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value if value is None or isinstance(value, (bool, int, float, str)) else str(value)
