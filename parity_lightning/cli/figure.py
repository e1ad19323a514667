"""The subcommand figure: a figure of the paper, run as far as it has not been, drawn, and its claims decided."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any

from parity_lightning.cli.executor_options import ExecutorOptions
from parity_lightning.cli.figure_curves import curve_file, missing_curves, read_curve, run_curves
from parity_lightning.cli.figure_options import FigureOptions
from parity_lightning.cli.figure_store import FigureStore, config_name
from parity_lightning.cli.findings_report import show_findings, tell_files
from parity_lightning.cli.one_line_errors import one_line_errors
from parity_lightning.cli.quiet import quieten
from parity_lightning.engine.library_cache import private_cache
from parity_lightning.errors import SettingError
from parity_lightning.experiments.findings import Findings, write_findings
from parity_lightning.figures import figure_of
from parity_lightning.figures.figure import PaperFigure, no_more
from parity_lightning.figures.minutes import minutes_of
from parity_lightning.figures.runs import Runs
from parity_lightning.figures.scales import Scale
from parity_lightning.run_dir.stopwatch import Stopwatch
from parity_lightning.terminal.output import show

# From so many settings on, parsing takes so long that one wonders.
_MANY = 100


def run(options: Mapping[str, Any]) -> None:
    """Runs ``parity-lightning figure``.

    Args:
        options: Its options, and ``name``, that of the figure.

    Raises:
        SystemExit: With 2 for a usage error, 1 if settings failed or files cannot be written, 130 if interrupted.
    """
    given = dict(options)
    name, executor = given.pop("name"), ExecutorOptions.taken_from(given)
    with one_line_errors("figure", resumes=True):
        executor.check()
        run_figure(name, FigureOptions(**given), executor)


def run_figure(
    name: str, options: FigureOptions, executor: ExecutorOptions | None = None, compiled: bool = True
) -> Path:
    """Runs what is missing of a figure, prints its table and its claims, and writes its files.

    Args:
        name: The figure's name.
        options: How to run it.
        executor: Who runs its trials; by default this machine.
        compiled: Whether steps are compiled, where that can be.

    Returns:
        The folder with the picture, the data behind it and ``verdict.json``.

    Raises:
        UsageError: If options cannot work.
        SettingError: If there is no such figure, or its folder cannot be used.
        SettingsFailed: If a setting fails three times.
        OSError: If files cannot be written.
    """
    quieten()
    if compiled:
        private_cache()
    figure = figure_of(name)
    home = Path(options.output).expanduser().absolute() / f"figure-{name}"
    folder = home / options.scale
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SettingError(
            "--output", options.output, f"cannot be written ({error.strerror}); name a folder that can"
        ) from None
    show(f"Figure {name}, {options.scale}: {figure.title}")
    executor = executor or ExecutorOptions()
    minutes = minutes_of(name, options.scale, executor.on_a_machine)
    if minutes is not None:
        show(f"about {max(minutes, 1):.0f} min as a whole, by what it took where it was measured")
    with Stopwatch(home / f"time-{options.scale}.json") as watch:
        store, runs, anything = _run(figure, home, options, executor, compiled)
        if not anything:
            watch.forget()
    tables = dict(figure.tables(runs))
    findings = Findings(
        rows=tables.pop("data"),
        claims=figure.claims(runs),
        draw=partial(figure.draw, runs),
        choices=figure.choices,
        more=tables,
        size=figure.size,
        notes=figure.notes(runs),
        configs=sorted({config_name(cell["config"]) for cell in runs.cells}),
    )
    show_findings(findings)
    command = f"parity-lightning figure {name} --scale {options.scale}"
    command += f" --seed {options.seed}" if options.seed else ""
    write_findings(
        folder,
        name,
        _Asked(options.scale, options.seed),
        findings,
        watch,
        command,
        options.scale,
        ("png", "svg"),
    )
    store.export(folder / "trials.parquet")
    tell_files("figure", folder, options.output)
    return folder


def _run(
    figure: PaperFigure, home: Path, options: FigureOptions, executor: ExecutorOptions, compiled: bool
) -> tuple[FigureStore, Runs, bool]:
    """Runs what is missing of the plan, and of all that follows from what came of it.

    Returns:
        The trials, what came of them, and whether any was run, or a curve.
    """
    plan = figure.plan(options.scale)
    # What follows from the trials of one scale may not follow from those of another.
    file = home / ("study.sqlite" if figure.then is no_more else f"study-{options.scale}.sqlite")
    store = FigureStore(file, plan, options.seed, executor, compiled)
    store.check_seed()
    if len(plan.cells) > _MANY:
        show(f"parsing {len(plan.cells):,} settings, up to a fifth of a second each")
    anything = False
    while True:
        trials, curves = store.missing(), missing_curves(home / "curves", store.keys, _seeds(store))
        for line in chain(store.run(trials), run_curves(home / "curves", store.cells, store.keys, curves, compiled)):
            show(line)
        anything = anything or trials > 0 or bool(curves)
        runs = _read(store, home, options.scale)
        more = figure.then(runs)
        if not more:
            return store, runs, anything
        store = replace(store, plan=replace(store.plan, cells=[*store.plan.cells, *more]), before=store)


def _seeds(store: FigureStore) -> range:
    """The seeds of the runs whose curves are kept."""
    return range(store.seed, store.seed + store.plan.curves)


def _read(store: FigureStore, home: Path, scale: Scale) -> Runs:
    """What came of the runs of a store."""
    curves = [[read_curve(curve_file(home / "curves", key, seed)) for seed in _seeds(store)] for key in store.keys]
    return Runs(store.plan.cells, store.outcomes(), store.limits, curves, scale)


@dataclass(frozen=True)
class _Asked:
    """The options that decide what is found."""

    scale: str
    seed: int
