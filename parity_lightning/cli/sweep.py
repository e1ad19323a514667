"""The subcommand sweep: the settings of a W&B sweep file, side by side, into one store."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from parity_lightning.cli.bayes_search import search
from parity_lightning.cli.executor_options import ExecutorOptions
from parity_lightning.cli.given import GivenSettings
from parity_lightning.cli.one_line_errors import one_line_errors
from parity_lightning.cli.paths import shown_path
from parity_lightning.cli.quiet import quieten
from parity_lightning.cli.results_report import record_of_results, report_results
from parity_lightning.cli.shipped_configs import announce, instead_of
from parity_lightning.cli.study_options import SweepOptions
from parity_lightning.cli.sweep_runs import SweepRuns
from parity_lightning.cli.trials import parse_options
from parity_lightning.engine.library_cache import private_cache
from parity_lightning.errors import SettingError
from parity_lightning.studies.agenda import MOST_FAILURES
from parity_lightning.studies.results import Results
from parity_lightning.studies.stored_study import StoredStudy
from parity_lightning.studies.sweep_file import SweepFile
from parity_lightning.terminal.output import complain, record, show
from parity_lightning.terminal.output import path as print_path


def run(options: Mapping[str, Any]) -> None:
    """Runs ``parity-lightning sweep``.

    Args:
        options: Its options, and ``file``.

    Raises:
        SystemExit: With 2 for a usage error, 1 if settings failed or the store cannot be written, 130 if interrupted.
    """
    quieten()
    given = dict(options)
    file = given.pop("file")
    executor = ExecutorOptions.taken_from(given)
    with one_line_errors("sweep", resumes=True):
        _run(file, SweepOptions(**given), executor)


def _run(file: str, options: SweepOptions, executor: ExecutorOptions) -> None:
    executor.check()
    instead = instead_of(file)
    announce([file] if instead else [])
    sweep = SweepFile.of(instead or file)
    sweep, trials, compiled = _of_trials(sweep, options)
    if compiled:
        private_cache()
    first_seed = sweep.seeds[0] if sweep.seeds else None
    runs = SweepRuns(sweep.name, sweep.words, options, executor, trials, first_seed, compiled)
    path = _store_path(options.store, sweep)
    lines: list[str] = []
    if sweep.method == "bayes":
        lines, failed = search(sweep, runs, path)
    else:
        failed = runs.run(sweep.cells(options.seed), path)
    study = StoredStudy(path)
    try:
        results = Results.of(study)
        for line in [*report_results(results), *lines]:
            show(line)
    finally:
        study.close()
    print_path("store", shown_path(path, options.store))
    record("sweep", {"store": path}, lambda: record_of_results(results), best=lines, failed=failed)
    if failed:
        message = f"{len(failed):,} settings failed {MOST_FAILURES} times ({failed[0]})"
        complain(f"parity-lightning sweep: {message}; run them again with --retry failed")
        raise SystemExit(1)


def _of_trials(sweep: SweepFile, options: SweepOptions) -> tuple[SweepFile, int, bool]:
    """How many trials each cell has, and the sweep with the options of ``fit`` alone."""
    count = len(sweep.seeds) or 1
    compiled = True
    if sweep.subcommand == "trials":
        given, words = parse_options(sweep.words)
        if given.vary or given.output:
            raise SettingError(f"{sweep.path}: command", "--vary and --output", "are what a sweep is; leave them out")
        count, compiled = given.trials, given.compile_after == 0
        sweep = replace(sweep, words=tuple(words))
    return sweep, options.trials or count, compiled


def _store_path(given: str | None, sweep: SweepFile) -> Path:
    if given is not None:
        return Path(given).expanduser().absolute()
    roots = GivenSettings.of(["fit", *sweep.words]).values("trainer.default_root_dir")
    return Path((roots and roots[-1]) or "runs").expanduser().absolute() / f"sweep-{sweep.path.stem}" / "study.sqlite"
