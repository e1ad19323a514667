"""A part of the page: what a thing was, and what came of it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Protocol

import yaml

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


def facts(pairs: Sequence[tuple[Child, Child]]) -> Markup:
    """Names and what stands for them; pairs of which nothing is known are left out."""
    known = ((name, value) for name, value in pairs if value not in (None, ""))
    return tag("dl", *(tag("div", tag("dt", name), tag("dd", value)) for name, value in known), class_="facts")


def part(title: str, *children: Child) -> Markup:
    """A part of a section under a heading."""
    return joined(tag("h3", title), *children)


def folded(title: str, *children: Child, is_record: bool = False) -> Markup:
    """What is seen once it is opened.

    Args:
        title: What is always seen.
        children: What is folded.
        is_record: Whether it is on paper in any case.
    """
    return tag("details", tag("summary", title), *children, class_="record" if is_record else None)


def command(line: str, about: Child = None) -> Markup:
    """A command line to repeat something."""
    return joined(tag("pre", tag("code", line), tabindex=0), tag("p", about, class_="note") if about else None)


def settings(title: str, values: Mapping[str, object]) -> Markup | None:
    """Settings by their paths, folded; those without a value are left out, and nothing is made of none."""
    given = {name: value for name, value in values.items() if value is not None}
    pairs = [(_path(name), tag("code", _setting(value))) for name, value in given.items()]
    return folded(title, facts(pairs), is_record=True) if pairs else None


def _path(name: str) -> Markup:
    """A setting's path, which may be broken where its parts end and nowhere else."""
    parts = name.replace(".init_args", "").replace("_", "_\0").replace(".", ".\0").split("\0")
    return joined(parts[0], *(child for part in parts[1:] for child in (tag("wbr"), part)))


def _setting(value: object) -> str:
    """A value, of objects the short names of their classes with their arguments."""
    if not isinstance(value, list) or not value or not all(isinstance(each, dict) for each in value):
        return in_yaml(value)
    words = []
    for each in value:
        arguments = each.get("init_args") or {}
        name = str(each.get("class_path", "")).rpartition(".")[2]
        words.append(f"{name} {in_yaml(arguments)}" if name and arguments else name or in_yaml(each))
    return ", ".join(words)


def in_yaml(value: object) -> str:
    """A value as a configuration has it, in a line.

    Example:
        >>> [in_yaml(value) for value in (100000, True, "relu", [1, 2], {"lr": 0.1})]
        ['100000', 'true', 'relu', '[1, 2]', '{lr: 0.1}']
    """
    return yaml.safe_dump(value, default_flow_style=True, width=math.inf).removesuffix("...\n").strip()
