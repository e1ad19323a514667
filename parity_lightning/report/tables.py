"""Tables of the page: numbers that line up, and what they are sorted by."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Sequence
from typing import NamedTuple

from parity_lightning.display.table import format_value
from parity_lightning.report.markup import Markup, tag


class Cell(NamedTuple):
    """A cell that says something else than its value.

    Attributes:
        text: What it says.
        value: By what it is sorted, and what stands in files.
    """

    text: str
    value: object


def table(
    caption: str, headers: Sequence[str], rows: Sequence[Sequence[object]], *, most: int = 500, where: str = ""
) -> Markup:
    """Rows as a table, which a script makes one that sorts.

    Args:
        caption: What it holds.
        headers: The names of columns.
        rows: Values, `Cell`s or markup.
        most: How many rows are shown; of more the first.
        where: Where the others are, if there are more.
    """
    numeric = [all(_is_number(row[place]) for row in rows) and bool(rows) for place in range(len(headers))]
    head = [
        tag("th", name, scope="col", class_="number" if is_number else None)
        for name, is_number in zip(headers, numeric, strict=True)
    ]
    body = [
        tag("tr", *(_cell(value, is_number=numeric[place]) for place, value in enumerate(row))) for row in rows[:most]
    ]
    more = f"The first {most:,} of {len(rows):,} rows{where and f'; all are in {where}'}." if len(rows) > most else None
    listed = tag("table", tag("caption", caption), tag("thead", tag("tr", *head)), tag("tbody", *body))
    # What is wider than the page scrolls by itself, also with the keyboard.
    scrolled = tag("div", listed, class_="scrolled", tabindex=0, role="region", aria_label=caption)
    return tag("div", scrolled, tag("p", more, class_="note") if more else None, class_="table")


def csv_of(headers: Sequence[str], rows: Sequence[Sequence[object]]) -> bytes:
    r"""Rows as a CSV file, numbers in full.

    Example:
        >>> csv_of(["n", "median"], [[10, Cell("50 (40 to 60)", 50.0)], [20, None]])
        b'n,median\n10,50.0\n20,\n'
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(headers)
    writer.writerows([value.value if isinstance(value, Cell) else value for value in row] for row in rows)
    return text.getvalue().encode()


def _is_number(value: object) -> bool:
    plain = value.value if isinstance(value, Cell) else value
    return plain is None or (isinstance(plain, (int, float)) and not isinstance(plain, bool))


def _cell(value: object, *, is_number: bool) -> Markup:
    plain = value.value if isinstance(value, Cell) else value
    shown = value.text if isinstance(value, Cell) else value if isinstance(value, Markup) else format_value(value)
    key: str | None = None
    if is_number:
        # What is missing comes last.
        number = math.inf if plain is None else float(plain)  # type: ignore[arg-type]
        key = repr(number) if math.isfinite(number) else "1e999"
        key = key.removesuffix(".0")
    return tag("td", shown, class_="number" if is_number else None, data_key=key)
