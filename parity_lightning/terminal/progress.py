"""How far something has come, counted and told in lines."""

from __future__ import annotations

import sys
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence

_SECONDS_BETWEEN_LINES = 30.0

Rows = Callable[[], Sequence[tuple[str, str]]]
"""Names and what is told of each; called when they are shown."""


def no_rows() -> Sequence[tuple[str, str]]:
    """Nothing is running that has a name."""
    return ()


class Progress:
    """Counts what is done; shows nothing itself.

    Args:
        what: What is running, in a word.
        unit: What is counted.
        total: How many there are to be; None if nobody knows.
        window: Over how many of the last seconds the rate is taken.
    """

    seconds_between = float("inf")

    def __init__(self, what: str, unit: str, total: int | None, window: float = float("inf")) -> None:
        self.what, self.unit, self.total = what, unit, total
        self.done = 0
        self.values: Mapping[str, str] = {}
        self.rows: Rows = no_rows
        self._window = window
        self._seen: deque[tuple[float, int]] = deque()
        self._shown_at: float | None = None
        self._is_open = True

    def update(self, done: int, values: Mapping[str, str] | None = None, rows: Rows = no_rows) -> None:
        """Takes note of how far it has come, and shows it if it is time to.

        Args:
            done: How many are done; what the first call says was done before has no bearing on the rate.
            values: What is known by now, by name; None for what it was.
            rows: What is running.
        """
        self.done = done
        if values is not None:
            self.values, self.rows = values, rows
        now = time.monotonic()
        if self._shown_at is None:
            self._shown_at = self._began = now
            self._seen.append((now, done))
            self.begin()
        elif now - self._shown_at >= self.seconds_between:
            self._shown_at = now
            self._note(now)
            self.draw()

    def close(self) -> None:
        """Shows how it has ended."""
        if self._is_open and self._shown_at is not None:
            self._is_open = False
            self._note(time.monotonic())
            self.end()

    def begin(self) -> None:
        """Called with the first update."""

    def draw(self) -> None:
        """Shows how far it has come."""

    def end(self) -> None:
        """Called once, after the last update."""

    def write(self, text: str) -> None:
        """Prints a line on standard error that stays."""
        print(text, file=sys.stderr, flush=True)

    def _note(self, now: float) -> None:
        self._seen.append((now, self.done))
        while len(self._seen) > 2 and self._seen[1][0] < now - self._window:
            self._seen.popleft()

    @property
    def rate(self) -> float | None:
        """How many are done in a second; None if that is not known yet."""
        (began, before), (now, done) = self._seen[0], self._seen[-1]
        return (done - before) / (now - began) if now > began and done > before else None

    @property
    def count(self) -> str:
        """How many are done, of how many."""
        return f"{self.done:,}/{self.total:,} {self.unit}" if self.total else f"{self.done:,} {self.unit}"

    @property
    def speed(self) -> str:
        """The rate in words."""
        rate = self.rate
        return "" if rate is None else f"{rate:,.0f}/s" if rate >= 100 else f"{rate:.3g}/s"

    @property
    def time(self) -> str:
        """How long it may take yet, in words; in the end, how long it took."""
        if not self._is_open:
            return f"in {clock(self._seen[-1][0] - self._began)}"
        if self.rate is None or self.total is None:
            return ""
        return f"{clock(max(0, self.total - self.done) / self.rate)} left"


class ProgressLines(Progress):
    """A line on standard error every half minute, and one in the end."""

    seconds_between = _SECONDS_BETWEEN_LINES

    def draw(self) -> None:
        """Prints a line."""
        self.write(self.line())

    def end(self) -> None:
        """Prints the last line."""
        self.draw()

    def line(self) -> str:
        """All that is known, in a line."""
        share = f"{100 * self.done / self.total:.0f} %" if self.total else ""
        values = [f"{name} {value}" for name, value in self.values.items()]
        parts = (self.count, share, self.speed, self.time, *values)
        return f"{self.what}: " + ", ".join(part for part in parts if part)


def clock(seconds: float) -> str:
    """A time span as a clock shows it.

    Example:
        >>> clock(69.2), clock(7_325), clock(200_000)
        ('1:09', '2:02:05', '2 days 7:33:20')
    """
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    shown = f"{hours}:{minutes:02}:{rest:02}" if hours or days else f"{minutes}:{rest:02}"
    return f"{days:,} day{'' if days == 1 else 's'} {shown}" if days else shown
