"""The page: one HTML file with all that it needs, which asks for nothing from elsewhere."""

from __future__ import annotations

import base64
import hashlib
import time
from collections.abc import Sequence
from importlib import resources

import parity_lightning
from parity_lightning.report.drawing import Drawing
from parity_lightning.report.markup import Markup, joined, tag
from parity_lightning.report.section import Section
from parity_lightning.report.tables import table


def page_of(sections: Sequence[Section], made: time.struct_time | None = None) -> str:
    """The page.

    Args:
        sections: What it shows, at least one.
        made: When it was made; now by default.

    Returns:
        The HTML of the whole file.
    """
    drawing = Drawing()
    title = sections[0].title if len(sections) == 1 else f"{len(sections)} results"
    when = time.strftime("%Y-%m-%d %H:%M", made or time.localtime())
    about = f"A report made {when} by parity-lightning {parity_lightning.__version__}."
    style, script = _resource("style.css"), _resource("script.js")
    body = tag(
        "body",
        tag("a", "To the results", href="#results", class_="skip"),
        tag("header", tag("h1", title), tag("p", about, class_="note"), _contents(sections)),
        tag("main", *(_shown(section, number, drawing) for number, section in enumerate(sections, 1)), id="results"),
        tag("script", Markup(script)),
    )
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", http_equiv="Content-Security-Policy", content=_policy(style, script)),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("title", f"{title} - parity-lightning"),
        # Without it browsers ask the server for one.
        tag("link", rel="icon", href="data:,"),
        tag("style", Markup(style)),
    )
    return f"<!doctype html>\n{tag('html', head, body, lang='en')}\n"


def _contents(sections: Sequence[Section]) -> Markup | None:
    if len(sections) == 1:
        return None
    rows = [
        [section.kind, tag("a", section.title, href=f"#{_id(number)}"), section.outcome, section.path]
        for number, section in enumerate(sections, 1)
    ]
    return tag("nav", table("What this page shows", ["kind", "what", "outcome", "path"], rows), aria_label="Contents")


def _shown(section: Section, number: int, drawing: Drawing) -> Markup:
    name = _id(number)
    heading = tag("h2", tag("span", section.kind, class_="kind"), " ", section.title, id=f"{name}-title")
    path = tag("p", tag("code", section.path), class_="path")
    return tag("section", joined(heading, path, section.body(drawing)), id=name, aria_labelledby=f"{name}-title")


def _id(number: int) -> str:
    return f"result-{number}"


def _resource(name: str) -> str:
    return (resources.files("parity_lightning.report") / name).read_text(encoding="utf-8")


def _policy(style: str, script: str) -> str:
    """What a browser may do for the page: show its pictures, its style and its script, and ask nobody for anything."""
    return (
        f"default-src 'none'; img-src data:; style-src '{_hash(style)}'; script-src '{_hash(script)}'; "
        "base-uri 'none'; form-action 'none'"
    )


def _hash(text: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"
