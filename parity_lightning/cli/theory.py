"""The subcommand theory: the paper's theory, an experiment at a time."""

from __future__ import annotations

import csv
import json
import math
import os
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from parity_lightning import __version__
from parity_lightning.cli.experiment_options import run_experiment
from parity_lightning.cli.paths import shown_path
from parity_lightning.cli.refusals import setting_error_message
from parity_lightning.cli.usage import usage_error
from parity_lightning.errors import SettingError
from parity_lightning.experiments import EXPERIMENTS
from parity_lightning.experiments.findings import Findings, table
from parity_lightning.run_dir.run_folder import RunFolder


def run(name: str, options: Mapping[str, Any]) -> None:
    """Runs an experiment of ``parity-lightning theory``.

    Args:
        name: The experiment's name.
        options: Its options, and ``runs``, the folder to write below.

    Raises:
        SystemExit: With 2 for a usage error, 1 if files cannot be written.
    """
    try:
        _run(name, dict(options))
    except SettingError as error:
        usage_error(f"theory {name}", setting_error_message(error, {"": list(options)}))


def _run(name: str, options: dict[str, Any]) -> None:
    runs = options.pop("runs")
    if "OMP_NUM_THREADS" not in os.environ:
        # Small networks side by side: several threads would wait for each other.
        torch.set_num_threads(1)
    started = time.monotonic()
    # Before minutes of work, so that it is not in vain.
    folder = RunFolder.new(Path(runs).expanduser().absolute(), f"theory-{name}", "--runs")
    try:
        findings = run_experiment(EXPERIMENTS[name].module, options)
    except BaseException:
        folder.discard()
        folder.release()
        raise
    try:
        with _silent_on_closed_pipe():
            _print_findings(findings)
        write(folder.path, name, options, findings, time.monotonic() - started)
    except OSError as error:
        message = f"{error.filename or folder.path} cannot be written ({error.strerror})"
        print(f"parity-lightning theory {name}: {message}", file=sys.stderr)
        raise SystemExit(1) from None
    finally:
        folder.release()
    with _silent_on_closed_pipe():
        for file in sorted(folder.path.iterdir()):
            print(f"{file.stem}: {shown_path(file, runs)}", flush=True)


@contextmanager
def _silent_on_closed_pipe() -> Iterator[None]:
    """Discards further output when the other end of a pipe is closed, as by ``head``."""
    try:
        yield
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _print_findings(findings: Findings) -> None:
    print(table(findings.rows))
    for choice in findings.choices:
        print(f"our choice: {choice}")
    for claim in findings.claims:
        print(claim)


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
