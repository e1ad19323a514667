"""The subcommand theory: the paper's theory, an experiment at a time."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from parity_lightning.cli.experiment_options import run_experiment
from parity_lightning.cli.findings_report import show_findings, tell_files
from parity_lightning.cli.one_line_errors import one_line_errors
from parity_lightning.cli.refusals import setting_error_message
from parity_lightning.experiments import EXPERIMENTS
from parity_lightning.experiments.findings import write_findings
from parity_lightning.run_dir.run_folder import RunFolder
from parity_lightning.run_dir.stopwatch import Stopwatch


def run(options: Mapping[str, Any]) -> None:
    """Runs an experiment of ``parity-lightning theory``.

    Args:
        options: ``experiment``, its name, and under that name its options.

    Raises:
        SystemExit: With 2 for a usage error, 1 if files cannot be written.
    """
    name = options["experiment"]
    run_named(name, options[name])


def run_named(name: str, options: Mapping[str, Any]) -> None:
    """Runs an experiment.

    Args:
        name: Its name.
        options: Its options, and ``runs``, the folder to write below.

    Raises:
        SystemExit: With 2 for a usage error, 1 if files cannot be written.
    """
    with one_line_errors(f"theory {name}", explain=lambda error: setting_error_message(error, {"": list(options)})):
        _run(name, dict(options))


def _run(name: str, given: dict[str, Any]) -> None:
    runs = given.pop("runs")
    if "OMP_NUM_THREADS" not in os.environ:
        # Small networks side by side: several threads would wait for each other.
        torch.set_num_threads(1)
    # Before minutes of work, so that it is not in vain.
    folder = RunFolder.new(Path(runs).expanduser().absolute(), f"theory-{name}", "--runs")
    try:
        with Stopwatch() as watch:
            options, findings = run_experiment(EXPERIMENTS[name].package, given)
    except BaseException:
        folder.discard()
        folder.release()
        raise
    try:
        show_findings(findings)
        write_findings(folder.path, name, options, findings, watch)
    finally:
        folder.release()
    tell_files("theory", folder.path, runs)
