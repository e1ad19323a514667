"""The option that a wrong name was probably meant for."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


def nearest_option(wrong: str, paths: Iterable[str]) -> str | None:
    """The full path most like a wrong one.

    Args:
        wrong: What was given, without dashes.
        paths: All options.

    Example:
        >>> paths = ["data.n", "model.width", "model.optimizer.lr", "trainer.max_steps", "model"]
        >>> nearest_option("lr", paths), nearest_option("trainer.max_step", paths), nearest_option("modle", paths)
        ('model.optimizer.lr', 'trainer.max_steps', 'model')
        >>> nearest_option("widht", paths), nearest_option("qqq", paths)
        ('model.width', None)
    """
    # A group of options is no answer to a wrong name in it.
    known = sorted(
        {path for path in paths if not wrong.startswith(f"{path}.")}, key=lambda path: (path.count("."), path)
    )
    last = wrong.rpartition(".")[2]
    if same := [path for path in known if path.rpartition(".")[2] == last and path != wrong]:
        return difflib.get_close_matches(wrong, same, n=1, cutoff=0)[0]
    if close := difflib.get_close_matches(wrong, known, n=1, cutoff=0.7):
        return close[0]
    by_end = {path.rpartition(".")[2]: path for path in reversed(known)}
    close = difflib.get_close_matches(last, by_end, n=1, cutoff=0.7)
    return by_end[close[0]] if close else None
