"""Paths as they are printed."""

from __future__ import annotations

import os
from pathlib import Path


def shown_path(path: Path, given: str | Path | None = None) -> str:
    """A path as it is printed: absolute if an absolute one was given, else relative to the current folder.

    Args:
        path: The path, absolute.
        given: The option that decided where it lies.

    Example:
        >>> shown_path(Path("/tmp/t.parquet"), "/tmp/t.parquet")
        '/tmp/t.parquet'
        >>> shown_path(Path.cwd() / "runs" / "t.parquet", "runs")
        'runs/t.parquet'
    """
    return str(path) if given is not None and Path(given).is_absolute() else os.path.relpath(path)
