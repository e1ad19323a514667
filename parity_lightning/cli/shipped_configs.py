"""The configurations that come with the package: each is found by its name where there is no such file."""

from __future__ import annotations

import os
from collections.abc import Iterable
from functools import cache
from pathlib import Path, PurePath

import parity_lightning
from parity_lightning.errors import nearest_one
from parity_lightning.terminal.output import note

_PREFIX = "configs/"


@cache
def folder() -> Path:
    """Where they lie: in an installed package, or beside it in a checkout."""
    package = Path(parity_lightning.__file__).parent
    inside = package / "configs"
    return inside if inside.is_dir() else package.parent / "configs"


@cache
def shipped_names() -> tuple[str, ...]:
    """Their names, ``online.yaml`` or ``architectures/xiv.yaml``; those in no folder first.

    Example:
        >>> "architectures/xiv.yaml" in shipped_names()
        True
    """
    names = [path.relative_to(folder()).as_posix() for path in folder().rglob("*.yaml")]
    return tuple(sorted(names, key=lambda name: (name.count("/"), name)))


def named(name: str) -> Path | None:
    """The shipped configuration of a name, with or without ``configs/`` and ``.yaml``; None if there is none.

    Example:
        >>> named("online") == named("configs/online.yaml") == folder() / "online.yaml"
        True
    """
    plain = PurePath(name).as_posix().removeprefix(_PREFIX)
    return next((folder() / each for each in (plain, f"{plain}.yaml") if each in shipped_names()), None)


def instead_of(file: str) -> Path | None:
    """The shipped configuration to take for a file that does not exist; None if it does, or there is none.

    Args:
        file: What was given for a configuration.
    """
    return None if os.path.lexists(file) else named(file)


def summary(name: str) -> str:
    """What a configuration says of itself in its first line.

    Example:
        >>> summary("online.yaml")
        'The online regime: fresh examples at every step.'
    """
    with (folder() / name).open(encoding="utf-8") as file:
        return file.readline().strip("# \n")


def advice(file: str) -> str:
    """What to say of a file that neither exists nor is a shipped configuration.

    Example:
        >>> advice("onlin.yaml")
        'no such file, here or in the list of parity-lightning configs; did you mean online.yaml?'
    """
    close = nearest_one(PurePath(file).as_posix().removeprefix(_PREFIX), shipped_names())
    return f"no such file, here or in the list of parity-lightning configs{close and f'; did you mean {close}?'}"


def announce(names: Iterable[str]) -> None:
    """Says in one line, on standard error, which shipped configurations are taken.

    Args:
        names: As they were given.
    """
    found = list(dict.fromkeys(names))
    if found:
        more = f" and {len(found) - 3} more" if len(found) > 3 else ""
        listed = ", ".join(found[:3])
        note(f"{listed}{more}: no such file here; taken from those of parity-lightning, {folder()}")
