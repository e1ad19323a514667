"""The subcommand sweep: the settings of a W&B sweep file, side by side, into one store."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from parity_lightning.cli.fit_settings import FitSettings
from parity_lightning.cli.make_runner import MakeRunner
from parity_lightning.cli.paths import shown_path
from parity_lightning.cli.probe import probe
from parity_lightning.cli.quiet import quieten
from parity_lightning.cli.refusals import refusal
from parity_lightning.cli.results_report import report_results
from parity_lightning.cli.shipped_configs import announce, instead_of
from parity_lightning.cli.study_options import SweepOptions
from parity_lightning.cli.study_progress import cores, run_under_bar, terminal_bar
from parity_lightning.cli.trials import parse_options
from parity_lightning.cli.usage import usage_error
from parity_lightning.engine.library_cache import private_cache
from parity_lightning.engine.trial import MixedComputation
from parity_lightning.errors import SettingError, UsageError
from parity_lightning.studies.agenda import MOST_FAILURES
from parity_lightning.studies.cells import Extent
from parity_lightning.studies.executors import WorkerFailed
from parity_lightning.studies.packs import packs_of
from parity_lightning.studies.results import Results
from parity_lightning.studies.store import Store
from parity_lightning.studies.stored_study import StoredStudy
from parity_lightning.studies.sweep_file import SweepFile


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
    try:
        _run(file, SweepOptions(**given))
    except UsageError as error:
        usage_error("sweep", str(error))
    except SettingError as error:
        usage_error("sweep", refusal(error))
    except KeyboardInterrupt:
        print("\ninterrupted; the same command goes on from here", file=sys.stderr)
        raise SystemExit(130) from None
    except (MixedComputation, WorkerFailed) as error:
        print(f"parity-lightning sweep: {error}; the same command goes on from here", file=sys.stderr)
        raise SystemExit(1) from None
    except OSError as error:
        message = f"{error.filename} cannot be written ({error.strerror}); what was written before is whole"
        print(f"parity-lightning sweep: {message}", file=sys.stderr)
        raise SystemExit(1) from None


def _run(file: str, options: SweepOptions) -> None:
    instead = instead_of(file)
    announce([file] if instead else [])
    sweep = SweepFile.of(instead or file)
    sweep, trials, compiled = _of_trials(sweep, options)
    if sweep.method == "bayes":
        raise SettingError(f"{file}: method", "bayes", "is not supported yet; use grid or random")
    cells = sweep.cells(options.seed)
    workers = options.workers or cores()
    if compiled:
        private_cache()
    began = time.monotonic()
    planned = FitSettings(sweep.words, cells, compiled)
    took = time.monotonic() - began
    # An overlay may have a seed of its own; that of the file's seeds prevails.
    extent = Extent(trials, sweep.seeds[0] if sweep.seeds else planned.first.seed, options.decided_at)
    if options.decided_at is not None and options.decided_at > trials:
        raise SettingError("--decided_at", options.decided_at, f"must be at most the number of trials, {trials}")
    packs = packs_of(each.stack for each in planned.settings)
    path = _store_path(options.store, planned, sweep)
    make_runner = MakeRunner(sweep.words, options.stack_size, workers, compiled, planned.parsed)
    store = Store(path, cells, planned.settings, extent, varied=planned.columns)
    try:
        if options.retry == "failed":
            store.retry_failed()
        left = store.total - len(store)
        print(f"{sweep.name}: {len(cells):,} settings x {trials:,} trials = {store.total:,}, parsed in {took:.0f} s")
        if left:
            print(f"{left:,} to run in {len(packs):,} packs that share a stack, {workers} processes")
            for line in probe(make_runner, cells, planned.settings, packs, left):
                print(line)
            sys.stdout.flush()
            run_under_bar(store, make_runner, cells, packs, options.threads, terminal_bar(store.total))
        failed = [error for failures, error in store.failures().values() if failures >= MOST_FAILURES]
    finally:
        store.close()
    study = StoredStudy(path)
    try:
        for line in report_results(Results.of(study)):
            print(line)
    finally:
        study.close()
    print(f"store: {shown_path(path, options.store)}", flush=True)
    if failed:
        message = f"{len(failed):,} of {len(cells):,} settings failed {MOST_FAILURES} times ({failed[0]})"
        print(f"parity-lightning sweep: {message}; run them again with --retry failed", file=sys.stderr)
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


def _store_path(given: str | None, planned: FitSettings, sweep: SweepFile) -> Path:
    if given is not None:
        return Path(given).expanduser().absolute()
    return Path(planned.first.root).absolute() / f"sweep-{sweep.path.stem}" / "study.sqlite"
