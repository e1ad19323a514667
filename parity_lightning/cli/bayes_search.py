"""A bayes search: settings suggested from what came of earlier ones, and the best run again on fresh seeds."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from parity_lightning.cli.sweep_runs import SweepRuns
from parity_lightning.display.table import format_value
from parity_lightning.errors import SettingError
from parity_lightning.statistics.survival import quantile_of
from parity_lightning.studies.cells import Cell
from parity_lightning.studies.stored_study import StoredStudy
from parity_lightning.studies.suggestions import Suggestions, name_of
from parity_lightning.studies.sweep_file import SweepFile
from parity_lightning.terminal.output import note

_AT_ONCE = 4


def search(sweep: SweepFile, runs: SweepRuns, path: Path) -> tuple[list[str], list[str]]:
    """Runs up to ``run_cap`` cells, a few at a time, each suggested from all before it.

    The objective is the median convergence time over the seeds of a cell; one that is not reached counts as max_steps.
    Cells of the store are known from the start, so a search goes on where it was stopped.

    Args:
        sweep: The sweep.
        runs: How cells are run.
        path: The store.

    Returns:
        Lines about the best cell, and why cells were set aside.

    Raises:
        SettingError: If the sweep is after anything else than a small convergence time.
    """
    if (sweep.metric, sweep.goal or "minimize") != ("convergence_time", "minimize"):
        hint = "a bayes search minimizes the median convergence_time; give name: convergence_time, goal: minimize"
        raise SettingError(f"{sweep.path}: metric", f"{sweep.goal} {sweep.metric}", hint)
    suggestions = Suggestions(sweep.axes, runs.options.seed)
    cells = _stored(path)
    failed: list[str] = []
    told: dict[str, float] = {}
    cap = sweep.run_cap or 0
    while True:
        if cells:
            failed = runs.run(cells, path, with_plan=not told)
            for cell, objective in zip(cells, _objectives(path), strict=True):
                if name_of(cell) not in told:
                    told[name_of(cell)] = objective
                    suggestions.tell(cell, objective)
        suggested = [suggestions.ask(told) for _ in range(min(_AT_ONCE, cap - len(cells)))]
        new = [cell for cell in suggested if cell is not None]
        if not new:
            break
        cells = [*cells, *new]
    return list(_of_the_best(cells, runs, path)), failed


def _stored(path: Path) -> list[Cell]:
    if not path.exists():
        return []
    study = StoredStudy(path)
    try:
        return study.options()
    finally:
        study.close()


def _times(path: Path) -> tuple[list[np.ndarray], list[int]]:
    """The convergence times of each cell, and how many steps its trials were given."""
    study = StoredStudy(path)
    try:
        limits = [int({**study.shared, **own}["max_steps"]) for own in study.own]
        return study.times(), limits
    finally:
        study.close()


def _objectives(path: Path) -> list[float]:
    # A cell that was set aside has no times; it is no better than one that is never solved.
    return [
        float(min(quantile_of(times).value, limit)) if len(times) else float(limit)
        for times, limit in zip(*_times(path), strict=True)
    ]


def _of_the_best(cells: list[Cell], runs: SweepRuns, path: Path) -> Iterator[str]:
    """Runs the best cell on seeds that had no part in its choice."""
    objectives = _objectives(path)
    best = int(np.argmin(objectives))
    times = _times(path)[0][best]
    if not len(times):
        return
    values = ", ".join(f"{option}={format_value(value)}" for option, value in cells[best].items())
    yield f"best of {len(cells):,}: {values}"
    note("the best setting again, on fresh seeds")
    study = StoredStudy(path)
    fresh_seed = study.extent.first_seed + study.extent.trials
    study.close()
    fresh = path.with_name(f"{path.stem}-best{path.suffix}")
    # Another best one than before has a file of its own values.
    if fresh.exists() and _stored(fresh) != [cells[best]]:
        fresh = path.with_name(f"{path.stem}-best-{best}{path.suffix}")
    runs._replace(first_seed=fresh_seed).run([cells[best]], fresh, with_plan=False)
    again = _times(fresh)[0][0]
    yield f"  median t_c {quantile_of(times).in_words()} on the {len(times)} seeds that it was chosen by,"
    yield f"  median t_c {quantile_of(again).in_words()} on {len(again)} fresh ones: the number to quote"
