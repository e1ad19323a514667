"""The options of an experiment, from its dataclass ``Options``, and running it."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any

from jsonargparse import ArgumentParser

from parity_lightning.cli.typed_options import add_options
from parity_lightning.experiments.findings import Findings
from parity_lightning.experiments.options import BoundedOptions


def add_experiment_options(parser: ArgumentParser, module: str) -> None:
    """Adds the options of an experiment, and the folder to write below.

    Args:
        parser: Gets the options.
        module: The experiment's module in `parity_lightning.experiments`.
    """
    parser.add_argument("--runs", type=str, default="runs", help="below which folder to write (a text; default: runs)")
    add_options(parser, importlib.import_module(f"parity_lightning.experiments.{module}").Options)


def run_experiment(module: str, given: Mapping[str, Any]) -> tuple[BoundedOptions, Findings]:
    """Runs an experiment.

    Args:
        module: The experiment's module in `parity_lightning.experiments`.
        given: Its options by name.

    Returns:
        Its options and what it found.

    Raises:
        SettingError: If an option is out of bounds.
    """
    experiment = importlib.import_module(f"parity_lightning.experiments.{module}")
    options = experiment.Options(**given)
    return options, experiment.run(options)
