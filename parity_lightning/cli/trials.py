"""The subcommand trials: many seeds side by side, one row each."""

from __future__ import annotations

import hashlib
import json
import os
import sys
import time
from argparse import ArgumentError
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import torch
from lightning.pytorch.callbacks.progress.tqdm_progress import Tqdm

import parity_lightning
from parity_lightning.callbacks.progress_bar import bar_stream
from parity_lightning.cli.command_tree import CommandParser, add_trial_options
from parity_lightning.cli.fit_once import fit_once
from parity_lightning.cli.given import GivenSettings
from parity_lightning.cli.option_types import Option, options_of
from parity_lightning.cli.quiet import quieten
from parity_lightning.cli.refusals import Walk, refusal
from parity_lightning.cli.trial_config import TrialConfigCLI
from parity_lightning.cli.trial_options import TrialOptions
from parity_lightning.cli.trial_report import report
from parity_lightning.cli.usage import usage_error
from parity_lightning.engine.library_cache import private_cache
from parity_lightning.engine.runner import StackRunner
from parity_lightning.engine.stack_size import default_stack_size
from parity_lightning.engine.trainable import Unstackable
from parity_lightning.engine.trial import MixedComputation, TrialResult, TrialSpec, computed_by
from parity_lightning.engine.trial_config import TrialConfig
from parity_lightning.errors import SettingError, check_int
from parity_lightning.studies.record import Record
from parity_lightning.studies.variations import Variation, as_text, combinations_of, parse_variation
from parity_lightning.studies.workers import Group, Job, Runner, WorkerFailed, run_job, spans_of

_DATA_SEED = ("data.seed", "data.init_args.seed")
_COMMIT_EVERY = 1.0

# Up to so many settings are all parsed before the first trial, at a tenth of a second each.
_MOST_CHECKED = 64


class Plan(NamedTuple):
    """What was asked for, in terms that every worker understands.

    Attributes:
        options: What goes to ``fit``.
        cells: The varied options of each setting.
        stack_size: How many trials at a time, if that was said.
        workers: How many processes.
        compiled: Whether steps are compiled, where that can be.
        computed: How rows of a setting that are on record were computed, by the setting's number.
    """

    options: tuple[str, ...]
    cells: tuple[dict[str, Any], ...]
    stack_size: int | None
    workers: int
    compiled: bool
    computed: dict[int, str] = {}  # noqa: RUF012, a new one comes with the record

    def options_that_matter(self) -> list[str]:
        """The varied options, for the configuration alone does not tell them."""
        return sorted({name for cell in self.cells for name in cell})

    def command_line(self, setting: int) -> list[str]:
        """The options of ``fit`` of a setting."""
        return [*self.options, *(f"--{name}={as_text(value)}" for name, value in self.cells[setting].items())]

    def make_runner(self, group: Group, worker: int) -> Runner:
        """Makes what runs the trials of a group: a stack if that can be, else one fit after another."""
        quieten()
        computed = next((self.computed[setting] for setting in group.settings if setting in self.computed), None)
        try:
            settings, kind = self._settings(group)
            device = _device(kind, worker)
            stack_size = self.stack_size or default_stack_size(settings[0], device, self.workers)
            return StackRunner(settings, stack_size, self.compiled, device, computed)
        except Unstackable as why:
            return _OneByOne([self.command_line(setting) for setting in group.settings], str(why))

    def _settings(self, group: Group) -> tuple[list[TrialConfig], str]:
        """The settings of a group, and the kind of device they train on."""
        made: dict[str, TrialConfigCLI] = {}
        settings = []
        for number in group.settings:
            key = _without_seed(self.cells[number])
            if key not in made:
                made[key] = TrialConfigCLI(self.command_line(number))
            seeds = [self.cells[number][name] for name in _DATA_SEED if name in self.cells[number]]
            setting = made[key].setting()
            settings.append(replace(setting, data_seed=seeds[0]) if seeds else setting)
        return settings, next(iter(made.values())).device


def _device(kind: str, worker: int) -> torch.device:
    if kind == "cuda":
        return torch.device("cuda", worker % torch.cuda.device_count())
    return torch.device("cpu")


class _OneByOne:
    """Runs trials as fits of their own, for want of a better way.

    Args:
        options: What goes to ``fit``, for each setting.
        why: Why they cannot be stacked.
    """

    def __init__(self, options: Sequence[Sequence[str]], why: str) -> None:
        self._options = options
        self.note: str | None = f"trials run one by one, for {why}"

    def run(self, specs: Iterator[TrialSpec]) -> Iterator[list[TrialResult]]:
        """Runs trials."""
        for spec in specs:
            yield [self._fit(spec)]

    def _fit(self, spec: TrialSpec) -> TrialResult:
        summary = fit_once(self._options[spec.setting], spec.seed)
        names = [name for name in TrialResult._fields if name not in ("number", "support", "computed")]
        # Of steps that were to be compiled and could not be.
        how = "one by one, without a compiler" if summary["compiled"] is False else "one by one"
        values = {name: summary[name] for name in names}
        return TrialResult(
            spec.number,
            tuple(summary["support"]),
            **values,
            computed=computed_by(how, torch.device(summary["device"])),
        )


def _group(variations: Sequence[Variation], cells: Sequence[dict[str, Any]]) -> list[Group]:
    """Puts settings together that can share a stack."""
    groups: dict[str, list[int]] = {}
    apart = [variation.option for variation in variations if not variation.shares_stack]
    for number, cell in enumerate(cells):
        groups.setdefault(json.dumps([cell[name] for name in apart], default=str), []).append(number)
    return [Group(tuple(numbers)) for numbers in groups.values()]


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
    parser = CommandParser(fill=add_trial_options)
    try:
        config = parser.parse_args([word for setting in own for word in setting.words])
    except ArgumentError:
        Walk(replace(given, settings=tuple(own)), options_of(parser), required=("trials",)).check()
        raise
    return TrialOptions(**config.as_dict()), given.words_without(*names)[1:]


def _own_options() -> dict[str, Option]:
    parser = CommandParser()
    add_trial_options(parser)
    return options_of(parser)


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def run(arguments: Sequence[str]) -> None:
    """Runs ``parity-lightning trials``.

    Args:
        arguments: The subcommand and its options.

    Raises:
        SystemExit: With 2 for a usage error, 1 if a worker failed.
    """
    quieten()
    try:
        given, options = parse_options(arguments[1:])
        _run(given, options)
    except SettingError as error:
        usage_error("trials", refusal(error))
    except KeyboardInterrupt:
        print("\ninterrupted; the same command goes on from here", file=sys.stderr)
        raise SystemExit(130) from None
    except MixedComputation as error:
        print(f"parity-lightning trials: {error}", file=sys.stderr)
        raise SystemExit(1) from None
    except WorkerFailed as error:
        print(f"parity-lightning trials: {error}; the same command goes on from here", file=sys.stderr)
        raise SystemExit(1) from None
    except OSError as error:
        message = f"{error.filename} cannot be written ({error.strerror})"
        print(f"parity-lightning trials: {message}; what was written before is whole", file=sys.stderr)
        print("to go on: the same command", file=sys.stderr)
        raise SystemExit(1) from None


def _run(given: TrialOptions, options: list[str]) -> None:
    trials, workers = given.trials, given.workers or _cores()
    variations = [parse_variation(text) for text in given.vary]
    cells = combinations_of(variations)
    plan = Plan(tuple(options), tuple(cells), given.stack_size, workers, compiled=given.compile_after == 0)
    groups = _group(variations, cells)
    if plan.compiled:
        private_cache()
    # Everything is made once before hours of trials, so that a mistake is refused at once.
    known = [TrialConfigCLI(plan.command_line(group.settings[0]), _own_options()) for group in groups]
    _check(plan, variations, [group.settings[0] for group in groups])
    if known[0].seed + trials > 2**32:
        raise SettingError("--trials", trials, f"their seeds, from {known[0].seed} on, must be below 2^32")
    rows = [_row(known[place], cell) for cell, place in zip(cells, _places(groups), strict=True)]
    code = [parity_lightning.__version__, plan.compiled, *(cli.own_code() for cli in known)]
    decisive = [known[0].whole_config(), plan.options_that_matter(), rows, code]
    about = json.dumps(decisive, sort_keys=True, default=str)
    path = _output(given.output, known[0], about, trials)
    record = Record(path, rows, about, known[0].seed, trials)
    try:
        _work(record, plan, groups, given.threads)
    finally:
        record.close()
    report(record, [_column(variation.option, rows[0]) for variation in variations], given.output)


def _check(plan: Plan, variations: Sequence[Variation], known: Sequence[int]) -> None:
    """Makes every setting once or, of very many, every value."""
    for variation in variations:
        if variation.option == "seed_everything":
            hint = "is every trial's own; give --seed_everything and --trials, or vary data.seed"
            raise SettingError("--vary", variation.option, hint)
        if variation.option in _DATA_SEED:
            for value in variation.values:
                check_int(f"--vary {variation.option}", value, at_least=0, at_most=2**64 - 1)
    seen = {_without_seed(plan.cells[number]) for number in known}
    different = {_without_seed(cell): number for number, cell in reversed(list(enumerate(plan.cells)))}
    if len(different) > _MOST_CHECKED:
        first = plan.cells[0]
        different = {
            key: number
            for key, number in different.items()
            if sum(value != first[name] for name, value in plan.cells[number].items()) <= 1
        }
    for key, number in different.items():
        if key not in seen:
            TrialConfigCLI(plan.command_line(number), _own_options())


def _without_seed(cell: dict[str, Any]) -> str:
    # The seed of the data is no matter of the command line: there may be thousands.
    return json.dumps({name: value for name, value in cell.items() if name not in _DATA_SEED}, default=str)


def _places(groups: Sequence[Group]) -> list[int]:
    """The group of each setting."""
    place_of = {setting: place for place, group in enumerate(groups) for setting in group.settings}
    return [place_of[setting] for setting in sorted(place_of)]


def _column(option: str, row: dict[str, Any]) -> str:
    """The column of a varied option: that of the settings if they have one of this name."""
    name = option.rpartition(".")[2]
    return name if name in row else option.replace(".init_args", "")


def _row(cli: TrialConfigCLI, cell: dict[str, Any]) -> dict[str, Any]:
    """What stands beside the trials of a setting."""
    row = cli.settings()
    for option, value in cell.items():
        row[_column(option, row)] = value if isinstance(value, (int, float, str, type(None))) else as_text(value)
    return row


def _output(given: str | None, cli: TrialConfigCLI, about: str, trials: int) -> Path:
    """The file to write; the same for the same trials."""
    if given is not None:
        path = Path(given).expanduser().absolute()
        if path.suffix != ".parquet":
            raise SettingError("--output", given, "must end with .parquet")
        return path
    digest = hashlib.sha256(f"{about} {cli.seed} {trials}".encode()).hexdigest()[:8]
    parity = cli.datamodule.parity
    name = f"trials-{type(cli.model).__name__}-n{parity.n}-k{parity.k}-{digest}"
    return Path(cli.root).absolute() / name / "trials.parquet"


def _work(record: Record, plan: Plan, groups: Sequence[Group], threads: int) -> None:
    """Runs the trials that have no row yet."""
    if record.is_complete:
        print(f"{record.path} holds these trials already")
        return
    record.begin()
    if record.damaged:
        rows = "row was" if record.damaged == 1 else "rows were"
        print(f"{record.damaged:,} {rows} damaged and will be run again", file=sys.stderr)
    done, solved = record.count()
    job = Job(
        plan._replace(computed=record.computed).make_runner,
        groups,
        spans_of(record.missing(), groups, record.trials),
        record.trials,
        record.first_seed,
        threads,
    )
    bar = Tqdm(
        total=record.total,
        initial=done,
        desc="trials",
        unit=" trials",
        dynamic_ncols=True,
        file=bar_stream(),
        smoothing=0,
        mininterval=0.2 if sys.stderr.isatty() else 30,
    )
    printed: set[str] = set()

    def print_once(note: str) -> None:
        # Each process sends its notes, most of them the same.
        if note not in printed:
            printed.add(note)
            bar.write(note, file=sys.stderr)

    waiting: list[TrialResult] = []
    written = time.monotonic()
    try:
        for results in run_job(job, plan.workers, print_once):
            waiting += results
            done += len(results)
            solved += sum(result.convergence_time is not None for result in results)
            if waiting and time.monotonic() - written > _COMMIT_EVERY:
                record.add(waiting)
                waiting, written = [], time.monotonic()
            if results:
                bar.set_postfix_str(f"solved {solved / done:.1%}", refresh=False)
                bar.update(len(results))
    finally:
        bar.close()
        record.add(waiting)
    record.finish()
