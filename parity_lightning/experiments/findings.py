"""What an experiment found: rows, a picture, and which of the paper's claims hold."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

from matplotlib.figure import Figure


class Claim(NamedTuple):
    """A claim of the paper beside what was found.

    Attributes:
        claim: What the paper says, and where: "Proposition 5: the k largest gradients are the support".
        paper: Its value, or what it says in words.
        ours: The value found.
        holds: Whether the claim holds here; None if this experiment cannot tell.
        low: The lower end of the 95 % interval of ``ours``; None where nothing is random.
        high: Its upper end.
    """

    claim: str
    paper: float | str
    ours: float | str
    holds: bool | None
    low: float | None = None
    high: float | None = None

    def __str__(self) -> str:
        verdict = {True: "holds", False: "DOES NOT HOLD", None: "cannot tell"}[self.holds]
        interval = "" if self.low is None or self.high is None else f" ({shown(self.low)} to {shown(self.high)})"
        return f"{verdict}: {self.claim}\n    paper: {shown(self.paper)}; here: {shown(self.ours)}{interval}"


class Findings(NamedTuple):
    """What an experiment found.

    Attributes:
        rows: The table, the same columns in each row; all of it goes to ``data.csv``.
        claims: What the paper says about it, and what was found.
        draw: Draws the picture into an empty figure.
        choices: Settings that the paper does not state: ours.
        more: Other tables for files of their own, by name, such as single trials or trajectories.
    """

    rows: Sequence[dict[str, Any]]
    claims: Sequence[Claim]
    draw: Callable[[Figure], None]
    choices: Sequence[str] = ()
    more: Mapping[str, Sequence[dict[str, Any]]] = MappingProxyType({})


def shown(value: object) -> str:
    """A value as a table shows it.

    Example:
        >>> shown(0.00012345), shown(1234567), shown(True), shown("x"), shown(None)
        ('0.0001234', '1,234,567', 'yes', 'x', '-')
    """
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def table(rows: Sequence[dict[str, Any]]) -> str:
    """Rows as a table for a terminal.

    Example:
        >>> print(table([{"n": 15, "gap": 0.20947}, {"n": 1001, "gap": None}]))
        n       gap
        15      0.2095
        1,001   -
    """
    cells = [list(rows[0]), *([shown(value) for value in row.values()] for row in rows)]
    widths = [max(len(row[place]) for row in cells) for place in range(len(cells[0]))]
    return "\n".join(
        "   ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in cells
    )
