"""Options of a parser from the signature of a function or of a dataclass: names, types, defaults and docstring."""

from __future__ import annotations

import inspect
import typing
from collections.abc import Callable
from types import NoneType
from typing import Any

from docstring_parser import parse as parse_docstring
from jsonargparse import ArgumentParser

from parity_lightning.cli.option_types import alternatives, in_words, several_in_words


class Several:
    """Reads several values, ``15,31``, ``[15,31]`` or one alone, as a tuple without repetitions.

    Args:
        element: The type of a value.
        nullable: Whether null stands for none at all.

    Example:
        >>> Several(int)("15,31,15"), Several(float)(0.5)
        ((15, 31), (0.5,))
    """

    def __init__(self, element: Callable[[Any], Any], nullable: bool = False) -> None:
        self.element = element
        self.nullable = nullable
        self.words = several_in_words(element) + (", or null" if nullable else "")

    def __call__(self, value: Any) -> tuple[Any, ...] | None:
        """Reads them.

        Raises:
            ValueError: If there are none, or one is of another type.
        """
        if self.nullable and value in (None, "null"):
            return None
        if isinstance(value, str):
            value = [part.strip() for part in value.strip().strip("[]()").split(",") if part.strip()]
        values = value if isinstance(value, (list, tuple)) else [value]
        if not values:
            raise ValueError("give at least one")
        try:
            return tuple(dict.fromkeys(map(self._read, values)))
        except (TypeError, ValueError):
            raise ValueError(f"must be {self.words}") from None

    def _read(self, value: Any) -> Any:
        if isinstance(value, bool) or (isinstance(value, float) and issubclass(typing.cast(type, self.element), int)):
            raise ValueError
        return self.element(value)


def add_options(parser: ArgumentParser, source: Callable[..., Any]) -> None:
    """Adds an option for every parameter of a function or field of a dataclass.

    A parameter of type ``tuple[T, ...]`` takes several values at once, one of type ``list[str]`` is given once for
    each.

    Args:
        parser: Gets the options.
        source: The function or dataclass, with annotations and Google's style of docstring.
    """
    explained = {each.arg_name: each.description or "" for each in parse_docstring(source.__doc__ or "").params}
    hints = typing.get_type_hints(source if inspect.isfunction(source) else source.__init__)
    for name, parameter in inspect.signature(source).parameters.items():
        hint, default = hints[name], parameter.default
        text = " ".join(explained.get(name, "").split()).replace("%", "%%")
        members = [member for member in alternatives(hint) if member is not NoneType]
        if typing.get_origin(members[0]) is tuple:
            several = Several(typing.get_args(members[0])[0], nullable=members != list(alternatives(hint)))
            shown = "null" if default is None else ",".join(map(str, default))
            about = f"({several.words}; default: {shown})"
            parser.add_argument(f"--{name}", type=several, default=default, metavar="A,B,...", help=f"{text} {about}")
        elif typing.get_origin(hint) is list:
            parser.add_argument(f"--{name}", action="append", default=[], metavar="TEXT", help=text)
        elif default is parameter.empty:
            parser.add_argument(f"--{name}", type=hint, required=True, help=f"{text} ({in_words(hint)}; required)")
        else:
            shown = "null" if default is None else str(default).lower() if isinstance(default, bool) else str(default)
            about = f"({in_words(hint)}; default: {shown})"
            parser.add_argument(f"--{name}", type=hint, default=default, help=f"{text} {about}")
