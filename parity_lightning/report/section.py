"""A part of the page: what a thing was, and what came of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from parity_lightning.display.table import format_value
from parity_lightning.report.drawing import Drawing
from parity_lightning.report.markup import Child, Markup, joined, tag


class Section(Protocol):
    """What the page says of one path.

    A section has read all that it needs when it is made, so that nothing is written if something cannot be read.
    """

    @property
    def kind(self) -> str:
        """What it is: a run, trials, a sweep, an experiment."""
        ...

    @property
    def path(self) -> str:
        """Where it lies, as it was given."""
        ...

    @property
    def title(self) -> str:
        """What was run, in a line."""
        ...

    @property
    def outcome(self) -> str:
        """What came of it, in a line."""
        ...

    def body(self, drawing: Drawing) -> Markup:
        """All that is said of it, below its title.

        Args:
            drawing: Draws the figures of the page.
        """
        ...


def facts(pairs: Sequence[tuple[str, Child]]) -> Markup:
    """Names and what stands for them; pairs of which nothing is known are left out."""
    known = ((name, value) for name, value in pairs if value not in (None, ""))
    return tag("dl", *(tag("div", tag("dt", name), tag("dd", value)) for name, value in known), class_="facts")


def part(title: str, *children: Child) -> Markup:
    """A part of a section under a heading."""
    return joined(tag("h3", title), *children)


def folded(title: str, *children: Child) -> Markup:
    """What is seen once it is opened, and in print."""
    return tag("details", tag("summary", title), *children)


def command(line: str, about: Child = None) -> Markup:
    """A command line to repeat something."""
    return joined(tag("pre", tag("code", line), tabindex=0), tag("p", about, class_="note") if about else None)


def settings_list(values: Mapping[str, object]) -> Markup:
    """Settings by their paths, those without a value left out."""
    given = {name: value for name, value in values.items() if value is not None}
    return facts([(name.replace(".init_args", ""), tag("code", _setting(value))) for name, value in given.items()])


def _setting(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else format_value(value) if value != "" else '""'
