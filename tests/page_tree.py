"""The elements of an HTML page, read by the parser of the standard library."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from html.parser import HTMLParser

VOID = {"img", "link", "meta", "br", "wbr"}


@dataclass
class Element:
    """An element with what it holds."""

    name: str
    attributes: dict[str, str | None]
    parts: list[Element | str] = field(default_factory=list)

    @property
    def text(self) -> str:
        return "".join(part if isinstance(part, str) else part.text for part in self.parts)

    def every(self, name: str | None = None, **attributes: str) -> list[Element]:
        """All elements below of a name and with attributes, ``class_`` among them."""
        wanted = {key.rstrip("_").replace("_", "-"): value for key, value in attributes.items()}
        return [
            each
            for each in self._below()
            if name in (None, each.name) and all(each.attributes.get(key) == value for key, value in wanted.items())
        ]

    def one(self, name: str | None = None, **attributes: str) -> Element:
        (found,) = self.every(name, **attributes)
        return found

    def _below(self) -> Iterator[Element]:
        for part in self.parts:
            if isinstance(part, Element):
                yield part
                yield from part._below()

    def facts(self) -> dict[str, str]:
        """Names and values of the definition lists below."""
        return {
            each.one("dt").text: each.one("dd").text
            for each in self.every("div")
            if each.every("dt") and len(each.every("dt")) == 1
        }

    def rows(self) -> list[list[str]]:
        """The cells of a table, its head first."""
        return [[cell.text for cell in [*row.every("th"), *row.every("td")]] for row in self.every("tr")]


class _Parser(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.open = [Element("", {})]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        element = Element(tag, dict(attrs))
        self.open[-1].parts.append(element)
        if tag not in VOID:
            self.open.append(element)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop().name == tag

    def handle_data(self, data: str) -> None:
        self.open[-1].parts.append(data)


def parse(page: str) -> Element:
    """The page; every element must be closed where it belongs."""
    parser = _Parser()
    parser.feed(page)
    parser.close()
    (root,) = parser.open
    return root
