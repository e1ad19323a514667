"""The command line at a terminal: a real pseudo-terminal, whose screen a terminal emulator draws."""

from __future__ import annotations

import os
import pty
import select
import struct
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pyte

_PATIENCE = 300.0


@dataclass
class Session:
    """What a command did at a terminal.

    Attributes:
        status: Its exit status.
        written: All that the terminal was sent.
        stdout: What went to standard output, if that was no terminal.
        screens: What stood on the screen after each portion that came, without empty lines.
        screen: The screen in the end.
    """

    status: int
    written: str
    stdout: str
    screens: list[list[str]] = field(repr=False)
    screen: pyte.Screen = field(repr=False)

    @property
    def lines(self) -> list[str]:
        """All lines that stand there in the end, those that were scrolled away, too."""
        return self.screens[-1]


@contextmanager
def _terminal(columns: int) -> Iterator[tuple[int, int]]:
    # Only where there are terminals are these modules.
    import fcntl
    import termios

    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 50, columns, 0, 0))
    try:
        yield ours, theirs
    finally:
        os.close(ours)


def at_terminal(
    arguments: Sequence[str],
    cwd: Path,
    *,
    columns: int = 80,
    environment: Mapping[str, str] | None = None,
    output: Path | None = None,
    interrupt_at: str | None = None,
) -> Session:
    """Runs the command line at a terminal until it ends.

    Args:
        arguments: Those of the command line.
        cwd: The folder to run in.
        columns: How wide the terminal is.
        environment: Variables of the environment to set.
        output: A file that gets standard output; by default the terminal does.
        interrupt_at: A text; once it stands on the screen, Ctrl-C is pressed.
    """
    known = {name: value for name, value in os.environ.items() if name not in ("NO_COLOR", "COLUMNS", "LINES")}
    known |= {"TERM": "xterm-256color", **(environment or {})}
    screen = pyte.HistoryScreen(columns, 50, history=10_000)
    stream = pyte.ByteStream(screen)
    screens: list[list[str]] = []
    written = b""
    with _terminal(columns) as (ours, theirs):
        target = theirs if output is None else os.open(output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        command = [sys.executable, "-m", "parity_lightning", *arguments]
        process = subprocess.Popen(
            command, cwd=cwd, env=known, stdin=theirs, stdout=target, stderr=theirs, start_new_session=True
        )
        os.close(theirs)
        if output is not None:
            os.close(target)
        end = time.monotonic() + _PATIENCE
        while True:
            assert time.monotonic() < end, written.decode(errors="replace")
            ready, _, _ = select.select([ours], [], [], 1.0)
            if not ready:
                continue
            try:
                part = os.read(ours, 1 << 16)
            except OSError:
                # The other end is closed.
                break
            if not part:
                break
            written += part
            stream.feed(part)
            screens.append(_lines(screen))
            if interrupt_at is not None and any(interrupt_at in line for line in screens[-1]):
                process.send_signal(2)
                interrupt_at = None
        status = process.wait(60)
    told = "" if output is None else output.read_text()
    return Session(status, written.decode(), told, screens or [[]], screen)


def _lines(screen: pyte.HistoryScreen) -> list[str]:
    gone = ["".join(line[place].data for place in range(screen.columns)) for line in screen.history.top]
    return [line.rstrip() for line in [*gone, *screen.display] if line.strip()]
