"""The subcommand paper: every figure and experiment, and one page on all their claims."""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from parity_lightning.cli import theory
from parity_lightning.cli.executor_options import ExecutorOptions
from parity_lightning.cli.experiment_options import options_class
from parity_lightning.cli.figure import run_figure
from parity_lightning.cli.figure_options import FigureOptions, PaperOptions
from parity_lightning.cli.one_line_errors import one_line_errors
from parity_lightning.cli.paths import shown_path
from parity_lightning.display.style import draw_to
from parity_lightning.errors import SettingError
from parity_lightning.experiments import EXPERIMENTS
from parity_lightning.figures import FIGURES
from parity_lightning.figures.forest import draw_forest, size_of
from parity_lightning.figures.page import FOREST, page_of
from parity_lightning.figures.verdicts import Verdict, ratios
from parity_lightning.run_dir.atomic_write import atomic_write
from parity_lightning.terminal.output import path, record

_LARGEST_SVG = 2**20


def run(options: Mapping[str, Any]) -> None:
    """Runs ``parity-lightning paper``.

    Args:
        options: Its options.

    Raises:
        SystemExit: With 2 for a usage error, 1 if settings failed or files cannot be written, 130 if interrupted.
    """
    with one_line_errors("paper", resumes=True):
        given = dict(options)
        executor = ExecutorOptions.taken_from(given)
        executor.check()
        run_paper(PaperOptions(**given), executor)


def run_paper(options: PaperOptions, executor: ExecutorOptions | None = None) -> Path:
    """Runs what is missing, and writes the page.

    Args:
        options: How.
        executor: Who runs the trials of figures; by default this machine.

    Returns:
        The page.
    """
    output = Path(options.output).expanduser().absolute()
    page = Path(options.page).expanduser().absolute() if options.page else output / "paper.md"
    if options.run == "missing":
        given = {field.name: getattr(options, field.name) for field in dataclasses.fields(FigureOptions)}
        for name in FIGURES:
            run_figure(name, FigureOptions(**given), executor)
        # Experiments have one size, which takes minutes.
        for name, entry in EXPERIMENTS.items() if options.scale != "smoke" else ():
            if _newest(output, name) is None:
                theory.run_named(name, {**dataclasses.asdict(options_class(entry.package)()), "runs": str(output)})
    found = {name: output / f"figure-{name}" / options.scale for name in FIGURES}
    found |= {name: folder for name in EXPERIMENTS if (folder := _newest(output, name))}
    for name, folder in found.items():
        if (folder / "verdict.json").is_file():
            _copy(folder, page.with_suffix("") / name, name)
    write_page(page)
    path("page", shown_path(page, options.page or options.output))
    record("paper", {"page": page, "folder": page.with_suffix("")}, shown=list(found))
    return page


def write_page(page: Path) -> None:
    """Writes the page on what lies in the folder beside it that has its name.

    Args:
        page: The file.

    Raises:
        SettingError: If a file there is no verdict, or of what this version does not know.
    """
    folder = page.with_suffix("")
    folder.mkdir(parents=True, exist_ok=True)
    order = [*FIGURES, *EXPERIMENTS]
    verdicts = [_read(file, order) for file in sorted(folder.glob("*/verdict.json"))]
    verdicts.sort(key=lambda verdict: order.index(verdict.name))
    if shown := list(ratios(verdicts)):
        for ending in ("png", "svg"):
            draw_to(folder / f"{FOREST}.{ending}", partial(draw_forest, shown), size_of(shown))
    with atomic_write(page) as new:
        new.write_text(page_of(verdicts, folder.name))


def _read(file: Path, known: Sequence[str]) -> Verdict:
    verdict = Verdict.of(file)
    if verdict.name not in known:
        hint = f"is of {verdict.name}, which this version has not; remove its folder"
        raise SettingError("verdict", file, hint)
    return verdict


def _newest(output: Path, name: str) -> Path | None:
    """The newest folder of an experiment that has a verdict."""
    folders = sorted(file.parent for file in output.glob(f"*-theory-{name}/verdict.json"))
    return folders[-1] if folders else None


def _copy(source: Path, target: Path, name: str) -> None:
    target.mkdir(parents=True, exist_ok=True)
    # Of experiments on the theory the other tables are single trials and trajectories: large, and drawn.
    tables = sorted(source.glob("*.csv")) if name in FIGURES else [source / "data.csv"]
    for file in (source / "verdict.json", *tables, source / f"{name}.png", source / f"{name}.svg"):
        # The page shows the PNG files; curves of thousands of points make a vector picture of several megabytes.
        if file.is_file() and (file.suffix != ".svg" or file.stat().st_size < _LARGEST_SVG):
            shutil.copyfile(file, target / file.name)
