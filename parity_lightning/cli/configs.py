"""The subcommand configs: the configurations that come with the package, listed or copied."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from parity_lightning.cli.one_line_errors import one_line_errors
from parity_lightning.cli.shipped_configs import named, shipped_names, summary
from parity_lightning.errors import SettingError, nearest_one
from parity_lightning.run_dir.new_files import write_new_files
from parity_lightning.terminal.output import answer, record


def listing() -> str:
    """A line for each configuration: its name, and what it says of itself."""
    width = max(map(len, shipped_names()))
    lines = [f"  {name:<{width}}  {summary(name)}" for name in shipped_names()]
    return "\n".join(
        [*lines, "", "parity-lightning fit --config NAME takes one as it is; configs copy NAME writes it here."]
    )


def run(options: Mapping[str, Any]) -> None:
    """Runs ``parity-lightning configs``, or ``configs copy`` with a name.

    Args:
        options: ``action``, None to list them all, or copy, whose ``name`` is that of the configuration to copy into
            the current folder.

    Raises:
        SystemExit: With 2 if there is none of that name, or a file is in the way; 1 if it cannot be written.
    """
    if options["action"] is None:
        answer(listing())
        record("configs", configs=[{"name": each, "summary": summary(each)} for each in shipped_names()])
        return
    with one_line_errors("configs copy"):
        written = copy(options["copy"]["name"])
    answer(f"wrote {written}")
    record("configs copy", {"config": written})


def copy(name: str) -> Path:
    """Copies a shipped configuration into the current folder.

    Args:
        name: Its name, with or without its ending.

    Returns:
        The new file.

    Raises:
        SettingError: If there is none of that name, or a file is in the way.
        OSError: If the file cannot be written.
    """
    source = named(name)
    if source is None:
        close = nearest_one(name, shipped_names())
        hint = f"did you mean {close}?" if close else "parity-lightning configs lists them"
        raise SettingError(name, None, f"no such configuration; {hint}")
    target = Path(source.name)
    write_new_files({target: source.read_text(encoding="utf-8")})
    return target
