"""An experiment of the theory, or a figure of the paper, on the page: claims, verdicts, pictures and data."""

from __future__ import annotations

import csv
import json
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from parity_lightning.display.table import format_value
from parity_lightning.errors import SettingError
from parity_lightning.report.downloads import MOST_BYTES, Download, data_url, download_list
from parity_lightning.report.drawing import Drawing
from parity_lightning.report.markup import Child, Markup, joined, tag
from parity_lightning.report.section import command, facts, folded, part, settings_list
from parity_lightning.report.tables import Cell, table

_SIGNS = {"holds": "✓", "does not hold": "✗", "cannot tell": "?", "not attempted": "-"}
_READ_OFF = " (read off a figure)"
_MOST_ROWS = 200


class VerdictSection:
    """The folder that ``theory`` or ``figure`` wrote.

    Args:
        folder: The folder, with ``verdict.json``.
        given: How it was named.

    Raises:
        SettingError: If a file cannot be read, or is none that these commands write.
    """

    kind = "experiment"

    def __init__(self, folder: Path, given: str) -> None:
        self.path = given
        content = (folder / "verdict.json").read_bytes()
        try:
            self._verdict: dict[str, Any] = json.loads(content)
            self._claims: list[dict[str, Any]] = self._verdict["claims"]
            self._counts = Counter(str(claim["verdict"]) for claim in self._claims)
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            hint = "verdict.json holds something else than claims and their verdicts; leave this folder out"
            raise SettingError("PATH", given, hint) from error
        self._tables = {file.name: file.read_bytes() for file in sorted(folder.glob("*.csv"))}
        self._pictures = {file.name: file.read_bytes() for file in sorted(folder.glob("*.png"))}
        self._files = {"verdict.json": content, **self._tables}

    @property
    def title(self) -> str:
        """The experiment's name."""
        name = self._verdict.get("experiment") or self._verdict.get("figure") or Path(self.path).name
        return f"{'Figure' if 'figure' in self._verdict else 'Experiment'} {name}"

    @property
    def outcome(self) -> str:
        """How many claims have which verdict."""
        return ", ".join(f"{count} {verdict}" for verdict, count in self._counts.items()) or "no claims"

    def body(self, drawing: Drawing) -> Markup:
        """All that is said of it."""
        verdict = self._verdict
        choices = verdict.get("our_choices") or []
        line = verdict.get("command")
        return joined(
            facts(
                [
                    ("verdicts", self.outcome),
                    ("scale", verdict.get("scale")),
                    ("took", f"{verdict['seconds']:,} s" if isinstance(verdict.get("seconds"), (int, float)) else None),
                    ("computed", verdict.get("computed")),
                    ("version of parity-lightning", verdict.get("version")),
                ]
            ),
            part("Claims", tag("ol", *(_claim(claim) for claim in self._claims), class_="claims")),
            part("Pictures", *map(self._picture, self._pictures)) if self._pictures else None,
            part("Settings that the paper does not state", tag("ul", *(tag("li", each) for each in choices)))
            if choices
            else None,
            *(self._table(name) for name in self._tables),
            part("Run it again", command(str(line))) if line else None,
            folded("All options", settings_list(verdict.get("options") or {})),
            part("Data", download_list([_download(name, content) for name, content in self._files.items()])),
        )

    def _picture(self, name: str) -> Markup:
        claims = "; ".join(f"{claim['verdict']}: {claim.get('claim', claim.get('id'))}" for claim in self._claims)
        alt = f"Picture of {self.title}. What it shows, as claims: {claims or 'none'}. The numbers are in the tables."
        return tag("img", src=data_url(name, self._pictures[name]), alt=alt, class_="picture")

    def _table(self, name: str) -> Markup | None:
        try:
            headers, *rows = csv.reader(self._tables[name].decode().splitlines())
        except (ValueError, csv.Error):
            return None
        cells = [[_value(text) for text in row] for row in rows if len(row) == len(headers)]
        shown = table(f"{name}, {len(rows):,} rows", headers, cells, most=_MOST_ROWS, where=name)
        return part("Rows", shown) if name == "data.csv" else folded(f"{name}, {len(rows):,} rows", shown)


def _claim(claim: Mapping[str, Any]) -> Markup:
    verdict = str(claim["verdict"])
    kind = verdict.replace(" ", "-") if verdict in _SIGNS else "cannot-tell"
    badge = tag(
        "strong", tag("span", _SIGNS.get(verdict, "?"), aria_hidden="true"), " ", verdict, class_=f"badge {kind}"
    )
    quote = claim.get("quote")
    low, high = claim.get("low"), claim.get("high")
    interval = "" if low is None or high is None else f" ({_words(low)} to {_words(high)})"
    tolerance = claim.get("tolerance")
    found: list[tuple[str, Child]] = [
        ("paper", _words(claim.get("paper")) + (_READ_OFF if claim.get("paper_value") == "digitised" else "")),
        ("here", f"{_words(claim.get('ours'))}{interval}"),
        ("observations", _count(claim)),
        ("rule", claim.get("rule")),
        ("tolerance", None if tolerance is None else _words(tolerance)),
    ]
    return tag(
        "li",
        tag("p", badge, " ", claim.get("claim") or claim.get("id")),
        tag("blockquote", tag("p", quote), tag("footer", claim.get("section"))) if quote else None,
        facts(found),
    )


def _count(claim: Mapping[str, Any]) -> str | None:
    n, censored = claim.get("n"), claim.get("censored")
    if n is None:
        return None
    return f"{_words(n)}" + (f", {_words(censored)} of them censored" if censored else "")


def _words(value: object) -> str:
    return format_value(value)


def _value(text: str) -> object:
    """A field of a CSV file as a number, if it is one."""
    if not text:
        return None
    for kind in (int, float):
        try:
            number = kind(text)
        except ValueError:
            continue
        return Cell(format_value(number), number)
    return text


def _download(name: str, content: bytes) -> Download:
    about = "claims, rules and verdicts" if name.endswith(".json") else "a table"
    return Download(name, content if len(content) <= MOST_BYTES else None, about)
