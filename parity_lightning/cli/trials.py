"""The subcommand trials: many seeds side by side, one row each."""

from __future__ import annotations

import hashlib
from argparse import ArgumentError
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from parity_lightning.cli.command_tree import CommandParser
from parity_lightning.cli.cores import cores
from parity_lightning.cli.fit_settings import FitSettings
from parity_lightning.cli.given import GivenSettings
from parity_lightning.cli.make_runner import MakeRunner
from parity_lightning.cli.one_line_errors import one_line_errors
from parity_lightning.cli.option_types import Option, options_of
from parity_lightning.cli.quiet import quieten
from parity_lightning.cli.refusals import UsageExplainer
from parity_lightning.cli.study_progress import run_under_bar
from parity_lightning.cli.subcommands import SUBCOMMANDS
from parity_lightning.cli.trial_options import TrialOptions
from parity_lightning.cli.trial_report import report
from parity_lightning.engine.library_cache import private_cache
from parity_lightning.errors import SettingError
from parity_lightning.studies.cells import Extent
from parity_lightning.studies.coordinator import check_none_failed
from parity_lightning.studies.packs import packs_of
from parity_lightning.studies.trials_file import TrialsFile
from parity_lightning.studies.variations import combinations_of, parse_variation
from parity_lightning.terminal.output import show
from parity_lightning.terminal.show_progress import show_progress


def parse_options(arguments: Sequence[str]) -> tuple[TrialOptions, list[str]]:
    """Takes the options of ``trials`` out of a command line; the others are those of ``fit``.

    Args:
        arguments: The options of a command line.

    Raises:
        SettingError: If one is wrong.

    Example:
        >>> options, others = parse_options(["--trials", "1_000", "--data.n=20", "--workers=2"])
        >>> options.trials, options.workers, others
        (1000, 2, ['--data.n=20'])
    """
    given = GivenSettings.of(["trials", *arguments])
    names = list(TrialOptions.__dataclass_fields__)
    own = [setting for setting in given.settings if setting.option in names]
    for setting in own:
        if setting.file is not None:
            raise SettingError("--config", setting.file, f"has {setting.option}; give --{setting.option} beside it")
    parser = CommandParser(fill=SUBCOMMANDS["trials"].fill)
    try:
        config = parser.parse_args([word for setting in own for word in setting.words])
    except ArgumentError:
        UsageExplainer(replace(given, settings=tuple(own)), options_of(parser), required=("trials",)).check()
        raise
    return TrialOptions(**config.as_dict()), given.words_without(*names)[1:]


def _own_options() -> dict[str, Option]:
    parser = CommandParser()
    SUBCOMMANDS["trials"].fill(parser)
    return options_of(parser)


def run(arguments: Sequence[str]) -> None:
    """Runs ``parity-lightning trials``.

    Args:
        arguments: The subcommand and its options.

    Raises:
        SystemExit: With 2 for a usage error, 1 if a worker failed.
    """
    quieten()
    with one_line_errors("trials", resumes=True):
        given, options = parse_options(arguments[1:])
        _run(given, options)


def _run(given: TrialOptions, options: list[str]) -> None:
    workers, compiled = given.workers or cores(), given.compile_after == 0
    cells = combinations_of([parse_variation(text) for text in given.vary])
    if compiled:
        private_cache()
    # Everything is made once before hours of trials, so that a mistake is refused at once.
    planned = FitSettings(options, cells, compiled, _own_options())
    extent = Extent(given.trials, planned.first.seed)
    if extent.first_seed + extent.trials > 2**32:
        raise SettingError("--trials", given.trials, f"their seeds, from {extent.first_seed} on, must be below 2^32")
    path = _output(given.output, planned)
    file = TrialsFile(path, cells, planned.settings, extent, list(planned.paths.values()))
    if file.is_complete:
        show(f"{file.path} holds these trials already")
    else:
        store = file.store()
        try:
            trials = store.total - len(store)
            parsed = planned.parsed
            make_runner = MakeRunner(tuple(options), given.stack_size, workers, compiled, trials, parsed)
            packs = packs_of(each.stack for each in planned.settings)
            run_under_bar(
                store, make_runner, cells, packs, given.threads, show_progress("trials", "trials", store.total)
            )
            check_none_failed(store)
            file.finish(store)
        finally:
            store.close()
    report(file, [planned.varied_in(cell) for cell in cells], given.output)


def _output(given: str | None, planned: FitSettings) -> Path:
    """The file to write; the same for the same settings, however many trials."""
    if given is not None:
        path = Path(given).expanduser().absolute()
        if path.suffix != ".parquet":
            raise SettingError("--output", given, "must end with .parquet")
        return path
    cli = planned.first
    about = " ".join([str(cli.seed), *(each.key for each in planned.settings)])
    digest = hashlib.sha256(about.encode()).hexdigest()[:8]
    rows = [each.row() for each in planned.settings]
    # What varies is in no name.
    parts = [f"{name}{rows[0][name]}" for name in ("n", "k") if all(row[name] == rows[0][name] for row in rows)]
    name = "-".join(["trials", type(cli.model).__name__, *parts, digest])
    return Path(cli.root).absolute() / name / "trials.parquet"
