"""The subcommand theory: the paper's theory, an experiment at a time."""

from __future__ import annotations

import csv
import importlib
import inspect
import json
import math
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn

import jsonargparse
import numpy as np
import torch
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from parity_lightning import __version__
from parity_lightning.cli.usage import usage_error
from parity_lightning.errors import SettingError, nearest
from parity_lightning.experiments import EXPERIMENTS
from parity_lightning.experiments.findings import Findings, table
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


def parse(name: str, arguments: Sequence[str]) -> tuple[Callable[..., Findings], dict[str, Any]]:
    """An experiment by its name, and its options and ``runs``, the folder to write below."""
    experiment = importlib.import_module(f"parity_lightning.experiments.{EXPERIMENTS[name].module}").run
    parser = _Parser(prog=f"parity-lightning theory {name}", description=EXPERIMENTS[name].summary)
    parser.add_argument("--runs", type=str, default="runs", help="below which folder to write")
    parser.add_function_arguments(experiment, as_group=False)
    options = parser.parse_args(_with_lists(arguments, experiment), with_meta=False).as_dict()
    for option, value in options.items():
        if isinstance(value, (list, tuple)):
            # What is asked for twice is found once.
            options[option] = tuple(dict.fromkeys(value))
            if not value and inspect.signature(experiment).parameters[option].default:
                raise SettingError(f"--{option}", "[]", "give at least one")
    return experiment, options


def _run(name: str, arguments: list[str]) -> None:
    experiment, options = parse(name, arguments)
    runs = options.pop("runs")
    if "OMP_NUM_THREADS" not in os.environ:
        # Small networks side by side: several threads would wait for each other.
        torch.set_num_threads(1)
    started = time.monotonic()
    # Before minutes of work, so that it is not in vain.
    folder = RunFolder.new(Path(runs).absolute(), f"theory-{name}", "--runs")
    try:
        findings = experiment(**options)
    except BaseException:
        folder.discard()
        folder.release()
        raise
    try:
        with _as_long_as_somebody_reads():
            _tell(findings)
        write(folder.path, name, options, findings, time.monotonic() - started)
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
    print(table(findings.rows))
    for choice in findings.choices:
        print(f"our choice: {choice}")
    for claim in findings.claims:
        print(claim)


def _with_lists(arguments: Sequence[str], experiment: Callable[..., Findings]) -> list[str]:
    """Lets ``--n 15,31`` stand for ``--n [15,31]``."""
    several = {
        f"--{name}" for name, option in inspect.signature(experiment).parameters.items() if "tuple" in str(option)
    }
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


def write(folder: Path, name: str, options: dict[str, Any], findings: Findings, seconds: float) -> None:
    """Writes what was found.

    Args:
        folder: An empty folder; ``verdict.json``, ``data.csv``, a picture named after the experiment and a CSV file for
            each other table go there.
        name: The experiment's name.
        options: What it was run with.
        findings: What was found.
        seconds: How long it took.
    """
    for title, rows in {"data": findings.rows, **findings.more}.items():
        with (folder / f"{title}.csv").open("w", newline="") as file:
            writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
            writer.writeheader()
            writer.writerows(rows)
    figure = Figure(figsize=(8, 5), layout="constrained")
    FigureCanvasAgg(figure)
    findings.draw(figure)
    figure.savefig(folder / f"{name}.png", dpi=120)
    verdict = {
        "experiment": name,
        "version": __version__,
        "options": {option: _plain(value) for option, value in options.items()},
        "claims": [{name: _plain(value) for name, value in claim._asdict().items()} for claim in findings.claims],
        "holds": _all_hold([claim.holds for claim in findings.claims]),
        "our_choices": list(findings.choices),
        "seconds": round(seconds, 1),
    }
    (folder / "verdict.json").write_text(json.dumps(verdict, indent=2, allow_nan=False) + "\n")


def _all_hold(verdicts: Sequence[bool | None]) -> bool | None:
    """False if one claim does not hold, None if nothing can be told of any."""
    if False in verdicts:
        return False
    return True if True in verdicts else None


def _plain(value: Any) -> Any:
    """What JSON can hold: it knows no infinite numbers."""
    if isinstance(value, (np.generic, float)):
        number = value.item() if isinstance(value, np.generic) else value
        return str(number) if isinstance(number, float) and not math.isfinite(number) else number
    return value
