"""HTML and SVG that is escaped by the way it is made: a text becomes markup only through `tag`."""

from __future__ import annotations

from html import escape


class Markup(str):
    """A piece of HTML or SVG, as opposed to a text."""

    __slots__ = ()


Child = str | int | float | None
"""What an element may hold: markup, a text, which is escaped, a number, or nothing."""

_VOID = {"img", "link", "meta", "br", "wbr"}


def tag(name: str, /, *children: Child, **attributes: str | int | float | bool | None) -> Markup:
    """An element; whatever is not markup is escaped.

    Args:
        name: Its name.
        children: What it holds.
        attributes: Its attributes: ``_`` stands for ``-`` in their names, and one at the end is left out. True is an
            attribute without a value; False and None are none.

    Example:
        >>> tag("p", "1 < 2 & ", tag("b", "yes"), class_="note", data_n=3, hidden=False)
        '<p class="note" data-n="3">1 &lt; 2 &amp; <b>yes</b></p>'
        >>> tag("img", alt='a "name"')
        '<img alt="a &quot;name&quot;">'
    """
    words = [name]
    for key, value in attributes.items():
        if value is None or value is False:
            continue
        attribute = key.rstrip("_").replace("_", "-")
        words.append(attribute if value is True else f'{attribute}="{escape(str(value))}"')
    opening = f"<{' '.join(words)}>"
    return Markup(opening if name in _VOID else f"{opening}{joined(*children)}</{name}>")


def joined(*children: Child) -> Markup:
    """Elements and texts one after another.

    Example:
        >>> joined("a < b", tag("br"), None)
        'a &lt; b<br>'
    """
    return Markup("".join(_of(child) for child in children))


def _of(child: Child) -> str:
    if child is None:
        return ""
    return child if isinstance(child, Markup) else escape(str(child))
