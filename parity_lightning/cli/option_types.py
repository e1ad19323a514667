"""The options of parsers and classes with their types, and types in words.

jsonargparse keeps an option's type in a private attribute, and the bounds of its restricted numbers, too; they are read
here only, and tests fail with a sentence of their own if a new version keeps them elsewhere.
"""

from __future__ import annotations

import argparse
import collections.abc
import inspect
import typing
from collections.abc import Callable, Iterable, Iterator, Mapping
from enum import Enum
from types import NoneType
from typing import Any, Literal, NamedTuple

from jsonargparse import ArgumentParser

# Modules whose classes are no use as a class's name in a configuration: values are given themselves.
_NOT_NAMED = ("datetime", "pathlib", "torch", "typing")

_PRIVATE_TYPE = "_typehint"
_PRIVATE_BOUNDS = "_restrictions"


class Option(NamedTuple):
    """An option of a parser or of a class.

    Attributes:
        hint: Its type; None if any text will do.
        default: Its default, in jsonargparse's form.
        convert: A function that makes its value of a text, where it has no type.
        takes_value: Whether a value belongs to it.
    """

    hint: Any
    default: Any
    convert: Callable[[Any], Any] | None = None
    takes_value: bool = True


class OneOf:
    """Takes one of a few texts.

    Args:
        choices: The texts.
    """

    def __init__(self, choices: Iterable[str]) -> None:
        self._choices = list(choices)

    def __call__(self, value: Any) -> Any:
        """Takes it.

        Raises:
            ValueError: If it is another one.
        """
        if value not in self._choices:
            raise ValueError(f"must be {' or '.join(self._choices)}")
        return value


def options_of(parser: ArgumentParser) -> dict[str, Option]:
    """The options of a parser by their paths without dashes."""
    found = {}
    for action in parser._actions:
        for name in action.option_strings:
            if name.startswith("--") and not name.endswith("+"):
                takes_value = action.nargs != 0 and not isinstance(action, argparse._HelpAction)
                convert = action.type if callable(action.type) else OneOf(action.choices) if action.choices else None
                option = Option(getattr(action, _PRIVATE_TYPE, None), action.default, convert, takes_value)
                found[name.removeprefix("--")] = option
    return found


def options_of_class(kind: Callable[..., Any], *, without_first: bool = False) -> dict[str, Option]:
    """The options of a class, those that it passes on by ``**kwargs`` among them.

    Args:
        kind: The class.
        without_first: Whether its first argument comes from elsewhere: parameters, or an optimizer.
    """
    parser = ArgumentParser(exit_on_error=False)
    skip: set[str | int] = {1} if without_first else set()
    try:
        if inspect.isclass(kind):
            parser.add_class_arguments(kind, fail_untyped=False, skip=skip)
        else:
            parser.add_function_arguments(kind, fail_untyped=False, skip=skip)
    except Exception:
        # A class whose arguments cannot be read has no options.
        return {}
    return {name: option for name, option in options_of(parser).items() if name != "help"}


def required_of_class(kind: Callable[..., Any]) -> list[str]:
    """The arguments that a class has no default for, its own only."""
    try:
        parameters = list(inspect.signature(kind).parameters.values())
    except (TypeError, ValueError):
        return []
    variadic = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    return [each.name for each in parameters if each.default is each.empty and each.kind not in variadic]


def alternatives(hint: Any) -> Iterator[Any]:
    """The members of a union, or the type itself.

    Example:
        >>> list(alternatives(int | str | None))
        [<class 'int'>, <class 'str'>, <class 'NoneType'>]
    """
    if typing.get_origin(hint) in (typing.Union, type(int | str)):
        for member in typing.get_args(hint):
            yield from alternatives(member)
    else:
        yield hint


def makes_from_first(hint: Any) -> bool:
    """Whether a type is that of a function which makes something of one argument: of parameters, an optimizer."""
    return any(collections.abc.Callable in (each, typing.get_origin(each)) for each in alternatives(hint))


def classes_in(hint: Any) -> list[type]:
    """The classes that an option expects an object of, itself, in a list or made by a function."""
    found: list[type] = []
    for each in alternatives(hint):
        origin, arguments = typing.get_origin(each), typing.get_args(each)
        if collections.abc.Callable in (origin, each):
            found += classes_in(arguments[-1]) if arguments else []
        elif origin in (list, tuple, collections.abc.Sequence, collections.abc.Iterable):
            found += [kind for argument in arguments for kind in classes_in(argument)]
        elif origin is None and inspect.isclass(each) and each.__module__ != "builtins" and each is not NoneType:
            plain = issubclass(each, (Enum, int, float, str)) or each.__module__ in _NOT_NAMED
            found += [] if plain or hasattr(each, _PRIVATE_BOUNDS) else [each]
    return found


def fits(option: Option, value: Any, *, is_text: bool) -> bool:
    """Whether an option takes a value, by the parser's own judgement.

    Args:
        option: The option.
        value: Its value.
        is_text: Whether the value is a text of the command line.
    """
    if option.hint is None:
        if option.convert is None:
            return True
        try:
            option.convert(value)
        except (TypeError, ValueError):
            return False
        return True
    probe = ArgumentParser(exit_on_error=False)
    try:
        probe.add_argument("--value", type=option.hint)
        if is_text:
            probe.parse_args([f"--value={value}"])
        else:
            probe.parse_object({"value": value})
    except Exception:
        return False
    return True


def in_words(hint: Any) -> str:
    """What values a type has, for a sentence that begins with "must be".

    Example:
        >>> in_words(int | None), in_words(Literal["auto"] | bool)
        ('a whole number or null', 'auto or true, false')
    """
    words = [word for each in alternatives(hint) for word in _words(each)]
    words = list(dict.fromkeys(sorted(words, key=lambda word: word == "null")))
    return " or ".join([", ".join(words[:-1]), words[-1]]) if len(words) > 1 else "".join(words) or "another value"


def several_in_words(element: Any) -> str:
    """What several values of a type are.

    Example:
        >>> several_in_words(int)
        'whole numbers, 15,31 for example'
    """
    bounds = getattr(element, _PRIVATE_BOUNDS, None)
    is_int = inspect.isclass(element) and issubclass(element, int)
    ends = " and ".join(f"{_BOUNDS.get(compare.__name__, '')} {end:,}" for compare, end in bounds or ())
    numbers, example = ("whole numbers", "15,31") if is_int else ("numbers", "0.1,0.3")
    return f"{numbers}{ends and f' {ends}'}, {example} for example"


def _words(kind: Any) -> list[str]:
    if typing.get_origin(kind) is Literal:
        return [str(choice) for choice in typing.get_args(kind)]
    if bounds := getattr(kind, _PRIVATE_BOUNDS, None):
        base = "a whole number" if issubclass(kind, int) else "a number"
        return [
            " ".join([base, " and ".join(f"{_BOUNDS.get(compare.__name__, '')} {end:,}" for compare, end in bounds)])
        ]
    origin = typing.get_origin(kind) or kind
    if inspect.isclass(origin):
        if issubclass(origin, Enum):
            return list(origin.__members__)
        if origin in _WORDS:
            return [_WORDS[origin]]
        if issubclass(origin, Mapping):
            return ["options by name, {name: value}"]
        if issubclass(origin, (list, tuple, collections.abc.Sequence)) or origin is collections.abc.Iterable:
            elements = typing.get_args(kind)[:1]
            return ["a list, [1,2,3]" if elements and elements[0] is int else "a list, [a,b,c]"]
    return ["the name of a class"] if classes_in(kind) else []


_BOUNDS = {"gt": "above", "ge": "of at least", "lt": "below", "le": "of at most"}
_WORDS = {int: "a whole number", float: "a number", bool: "true, false", str: "a text", NoneType: "null"}
