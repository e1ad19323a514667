"""Progress on a terminal: a bar with count, rate and time left, and below it a table of what is known."""

from __future__ import annotations

import sys

from rich.console import Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from parity_lightning.terminal.progress import Progress
from parity_lightning.terminal.streams import is_terminal
from parity_lightning.terminal.style import console


class LiveProgress(Progress):
    """Redraws a few lines of the terminal ten times a second at most; what is printed meanwhile stands above them."""

    seconds_between = 0.1

    def begin(self) -> None:
        """Shows it for the first time."""
        self._live = Live(
            self._table(),
            # What is put above it has been broken into lines already.
            console=console(sys.stderr, soft_wrap=True),
            # A thread that draws might hold a lock at the moment when a process is forked.
            auto_refresh=False,
            # Of a file or a pipe nothing must come here.
            redirect_stdout=is_terminal(sys.stdout),
        )
        self._live.start(refresh=True)
        # Whatever kills the process, the terminal keeps its cursor.
        self._live.console.show_cursor(True)

    def draw(self) -> None:
        """Shows it anew."""
        self._live.update(self._table(), refresh=True)

    def end(self) -> None:
        """Leaves the last state standing."""
        self.draw()
        self._live.stop()

    def _table(self) -> Group:
        bar = Table.grid(padding=(0, 2), expand=True)
        bar.add_column(no_wrap=True)
        bar.add_column(ratio=1, min_width=4)
        for _ in range(3):
            bar.add_column(no_wrap=True, justify="right")
        bar.add_row(
            Text(self.what, "parity.head"),
            ProgressBar(total=self.total, completed=self.done, pulse=self.total is None),
            Text(self.count),
            Text(self.speed, "parity.rate"),
            Text(self.time),
        )
        known = Table.grid(padding=(0, 2))
        known.add_column(no_wrap=True, overflow="ellipsis")
        known.add_column(no_wrap=True, overflow="ellipsis")
        for name, value in self.values.items():
            known.add_row(Text(f"  {name}", "parity.name"), Text(value))
        for name, value in self.rows():
            known.add_row(Text(f"  {name}"), Text(value))
        return Group(bar, known)
