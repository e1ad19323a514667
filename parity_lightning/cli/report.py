"""The subcommand report: one HTML page of runs, trials, sweeps and experiments."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from parity_lightning.cli.one_line_errors import one_line_errors
from parity_lightning.cli.paths import shown_path
from parity_lightning.errors import SettingError
from parity_lightning.run_dir.atomic_write import atomic_write
from parity_lightning.run_dir.run_folder import unused
from parity_lightning.terminal.output import complain, path, record

_DEFAULT = "report.html"


def run(options: Mapping[str, Any]) -> None:
    """Runs ``parity-lightning report``.

    Args:
        options: ``paths`` and ``output``.

    Raises:
        SystemExit: With 2 for a usage error, 1 if the page cannot be written.
    """
    with one_line_errors("report"):
        _run(options["paths"], options["output"])


def _run(paths: list[str], output: str | None) -> None:
    target = _target(output)
    # Matplotlib's colours take a moment to import.
    from parity_lightning.report.page import page_of
    from parity_lightning.report.recognition import sections_of

    sections, unknown = sections_of(paths)
    for why in unknown:
        complain(f"skipped {why.value}: {why.hint}")
    page = page_of(sections)
    if output is None:
        # One that was made meanwhile stays, too.
        target = unused(target)
    target.parent.mkdir(parents=True, exist_ok=True)
    with atomic_write(target) as new:
        new.write_text(page, encoding="utf-8")
    path("report", shown_path(target, output))
    record("report", {"report": target}, skipped={why.value: why.hint for why in unknown})


def _target(output: str | None) -> Path:
    """The file to write: one that was named must be new, report.html gets a number if there is one."""
    if output is None:
        return unused(Path(_DEFAULT).absolute())
    path = Path(output).expanduser().absolute()
    if path.suffix not in (".html", ".htm"):
        raise SettingError("--output", output, "must end with .html")
    if path.exists():
        raise SettingError("--output", output, "is there already; name another file")
    return path
