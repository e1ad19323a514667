"""Leaving options out of a command line."""

from __future__ import annotations

from collections.abc import Sequence


def without_options(arguments: Sequence[str], *names: str) -> list[str]:
    """A command line without some options that have one value each.

    Example:
        >>> without_options(["fit", "--resume", "auto", "--data.n=5", "--ckpt_path=last"], "--resume", "--ckpt_path")
        ['fit', '--data.n=5']
    """
    kept: list[str] = []
    skip = False
    for argument in arguments:
        name, equals, _ = argument.partition("=")
        if not skip and name not in names:
            kept.append(argument)
        skip = not skip and name in names and not equals
    return kept
