"""Files that the page brings with it, as links that need no server."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import NamedTuple

from parity_lightning.report.markup import Markup, joined, tag

MOST_BYTES = 32 * 2**20
"""Larger files stay where they are; the page says where."""

_KINDS = {
    ".csv": "text/csv",
    ".json": "application/json",
    ".png": "image/png",
    ".svg": "image/svg+xml",
    ".yaml": "text/yaml",
    ".parquet": "application/vnd.apache.parquet",
}


class Download(NamedTuple):
    """A file of the page.

    Attributes:
        name: Under which it is saved.
        content: What it holds; None if it is too large to be brought along.
        about: What it holds, in words.
    """

    name: str
    content: bytes | None
    about: str


def data_url(name: str, content: bytes) -> str:
    """The address of a file that holds all of it.

    Example:
        >>> data_url("a.csv", b"n")
        'data:text/csv;base64,bg=='
    """
    ending = name[name.rfind(".") :].lower()
    return f"data:{_KINDS.get(ending, 'application/octet-stream')};base64,{base64.b64encode(content).decode()}"


def download_list(files: Sequence[Download]) -> Markup:
    """The files as a list of links."""
    return tag("ul", *(tag("li", *_parts(file)) for file in files), class_="downloads")


def _parts(file: Download) -> tuple[Markup | str, ...]:
    if file.content is None:
        return tag("b", file.name), f": {file.about}"
    link = tag("a", file.name, href=data_url(file.name, file.content), download=file.name)
    return link, joined(f": {file.about} ", tag("span", f"({_size(len(file.content))})", class_="size"))


def _size(count: int) -> str:
    """A number of bytes in words.

    Example:
        >>> _size(900), _size(34_000), _size(5_400_000)
        ('900 bytes', '34 kB', '5.4 MB')
    """
    if count < 1000:
        return f"{count} bytes"
    return f"{count / 1000:.0f} kB" if count < 999_500 else f"{count / 1e6:.1f} MB"
