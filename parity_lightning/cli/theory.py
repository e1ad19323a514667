"""The subcommand theory: the paper's theory, an experiment at a time."""

from __future__ import annotations

import importlib
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn, get_type_hints

import jsonargparse
import torch

from parity_lightning.cli.usage import usage_error
from parity_lightning.errors import SettingError, nearest
from parity_lightning.experiments import EXPERIMENTS
from parity_lightning.experiments.findings import Findings, write_findings
from parity_lightning.experiments.options import BoundedOptions
from parity_lightning.run_dir.run_folder import RunFolder

_HELP = """\
usage: parity-lightning theory --list
       parity-lightning theory NAME [--runs FOLDER] [OPTIONS]

Run an experiment on the paper's theory: print a table and which of the paper's claims hold, and write verdict.json,
data.csv and a picture into a new folder below runs/. Its options: parity-lightning theory NAME --help

experiments:
{listed}"""


class _Parser(jsonargparse.ArgumentParser):
    def error(self, message: str, ex: Exception | None = None) -> NoReturn:
        name = self.prog.rpartition(" ")[2]
        lines = [line.strip() for line in message.splitlines() if line.strip()]
        usage_error(f"theory {name}", f"{' '.join(lines)}; see parity-lightning theory {name} --help")


def run(arguments: Sequence[str]) -> None:
    """Runs ``parity-lightning theory``.

    Args:
        arguments: The experiment's name and its options.

    Raises:
        SystemExit: With 2 for a usage error.
    """
    name = arguments[0] if arguments else "--help"
    listed = "\n".join(f"  {each:<16} {entry.summary}" for each, entry in EXPERIMENTS.items())
    if name in ("-h", "--help"):
        print(_HELP.format(listed=listed))
        raise SystemExit(0)
    elif name == "--list":
        print(listed)
    elif name not in EXPERIMENTS:
        usage_error("theory", f"{name}: no such experiment; {nearest(name, EXPERIMENTS)}")
    else:
        try:
            _run(name, list(arguments[1:]))
        except SettingError as error:
            usage_error(f"theory {name}", str(error))


def parse(name: str, arguments: Sequence[str]) -> tuple[Callable[[Any], Findings], BoundedOptions, str]:
    """An experiment by its name, its options, and the folder to write below.

    Raises:
        SettingError: If an option is out of bounds.
    """
    module = importlib.import_module(f"parity_lightning.experiments.{EXPERIMENTS[name].module}")
    parser = _Parser(prog=f"parity-lightning theory {name}", description=EXPERIMENTS[name].summary)
    parser.add_argument("--runs", type=str, default="runs", help="below which folder to write")
    parser.add_class_arguments(module.Options, as_group=False)
    given = parser.parse_args(_with_lists(arguments, module.Options), with_meta=False).as_dict()
    runs = given.pop("runs")
    return module.run, module.Options(**given), runs


def _run(name: str, arguments: list[str]) -> None:
    experiment, options, runs = parse(name, arguments)
    if "OMP_NUM_THREADS" not in os.environ:
        # Small networks side by side: several threads would wait for each other.
        torch.set_num_threads(1)
    started = time.monotonic()
    # Before minutes of work, so that it is not in vain.
    folder = RunFolder.new(Path(runs).absolute(), f"theory-{name}", "--runs")
    try:
        findings = experiment(options)
    except BaseException:
        folder.discard()
        folder.release()
        raise
    try:
        with _as_long_as_somebody_reads():
            _tell(findings)
        write_findings(folder.path, name, options, findings, time.monotonic() - started)
    except OSError as error:
        message = f"{error.filename or folder.path} cannot be written ({error.strerror})"
        print(f"parity-lightning theory {name}: {message}", file=sys.stderr)
        raise SystemExit(1) from None
    finally:
        folder.release()
    with _as_long_as_somebody_reads():
        for file in sorted(folder.path.iterdir()):
            print(f"{file.stem}: {os.path.relpath(file)}", flush=True)


@contextmanager
def _as_long_as_somebody_reads() -> Iterator[None]:
    """Goes on in silence when the other end of a pipe is closed, as by ``head``."""
    try:
        yield
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _tell(findings: Findings) -> None:
    print(findings.table())
    for choice in findings.choices:
        print(f"our choice: {choice}")
    for claim in findings.claims:
        print(claim)


def _with_lists(arguments: Sequence[str], options: type[BoundedOptions]) -> list[str]:
    """Lets ``--n 15,31`` stand for ``--n [15,31]``."""
    several = {f"--{option}" for option, kind in get_type_hints(options).items() if "tuple" in str(kind)}
    joined: list[str] = []
    for argument in arguments:
        name, equals, value = argument.partition("=")
        if not equals and joined and joined[-1] in several:
            joined[-1], name, value = "", joined[-1], argument
        if name in several and value not in ("", "null") and not value.startswith(("[", "(")):
            joined.append(f"{name}=[{value}]")
        else:
            joined.append(f"{name}={value}" if name in several and value else argument)
    return [argument for argument in joined if argument]
