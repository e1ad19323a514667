"""Tables for terminals: the one printer of `fit`, `trials` and `theory`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tabulate import tabulate

WIDTH = 80
"""Columns of a terminal that tables fit where they can."""


def format_value(value: object) -> str:
    """A value as a table has it: four digits of a float, commas in whole numbers, a dash for None.

    Example:
        >>> format_value(0.00012345), format_value(1234567), format_value(True), format_value("x"), format_value(None)
        ('0.0001234', '1,234,567', 'yes', 'x', '-')
    """
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def short_value(value: object) -> str:
    """A value of a setting: a configuration by the name of its file, a class by its own.

    Example:
        >>> short_value("configs/architectures/xv.yaml"), short_value("torch.optim.SGD"), short_value(0.1)
        ('xv', 'SGD', '0.1')
    """
    text = format_value(value)
    if text.endswith((".yaml", ".yml")):
        return Path(text).stem
    return text.rpartition(".")[2] if isinstance(value, str) and value.count(".") and " " not in value else text


class Table(str):
    """A table as text.

    Attributes:
        head: How many of its lines, from the top, are the names of columns.
    """

    head: int

    def __new__(cls, text: str, head: int = 0) -> Table:
        """A text, and how many lines of it are names."""
        table = super().__new__(cls, text)
        table.head = head
        return table


def format_table(rows: Sequence[Sequence[object]], headers: Sequence[str] = (), indent: int = 0) -> Table:
    """Rows as a table, columns left-aligned and two spaces apart.

    A header is broken at its spaces and underscores into several lines where a line would make the table wider than a
    terminal of 80 columns.

    Args:
        rows: The cells, formatted by `format_value`.
        headers: The columns' names; none for a table without a header.
        indent: How many spaces stand before each line.

    Example:
        >>> print(format_table([[15, 0.20947], [1001, None]], headers=["n", "gap"]))
        n      gap
        15     0.2095
        1,001  -
        >>> print(format_table([["solved", "yes"]], indent=2))
          solved  yes
    """
    cells = [[format_value(value) for value in row] for row in rows]
    names = list(headers)
    if names and _width(cells, names) > WIDTH:
        names = [_broken(name, max((len(row[place]) for row in cells), default=0)) for place, name in enumerate(names)]
    # Names as a row of cells: tabulate makes each column with a header of its own two spaces wider.
    text = tabulate([names, *cells] if names else cells, tablefmt="plain", disable_numparse=True)
    lines = [" " * indent + line.rstrip() for line in text.splitlines()]
    return Table("\n".join(lines), max((name.count("\n") + 1 for name in names), default=0))


def _width(cells: Sequence[Sequence[str]], names: Sequence[str]) -> int:
    columns = zip(names, *cells, strict=True)
    return sum(max(map(len, column)) for column in columns) + 2 * (len(names) - 1)


def _broken(name: str, width: int) -> str:
    """A header in lines no longer than its column is wide, as far as its words allow."""
    lines = [""]
    for word in name.replace("_", " ").split():
        joined = f"{lines[-1]} {word}".strip()
        lines[-1:] = [joined] if len(joined) <= width or not lines[-1] else [lines[-1], word]
    return "\n".join(lines)
