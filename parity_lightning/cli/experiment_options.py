"""The options of an experiment, which do not need what it computes with, and how it is run."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from jsonargparse import ArgumentParser

from parity_lightning.cli.typed_options import add_options
from parity_lightning.experiments.options import BoundedOptions

if TYPE_CHECKING:
    from parity_lightning.experiments.findings import Findings


def add_experiment_options(parser: ArgumentParser, package: str) -> None:
    """Adds the options of an experiment, and the folder to write below.

    Args:
        parser: Gets the options.
        package: The experiment's package in `parity_lightning.experiments`.
    """
    parser.add_argument("--runs", type=str, default="runs", help="below which folder to write (a text; default: runs)")
    add_options(parser, options_class(package))


def options_class(package: str) -> type[BoundedOptions]:
    """The dataclass ``Options`` of an experiment.

    Args:
        package: The experiment's package in `parity_lightning.experiments`.
    """
    options: type[BoundedOptions] = importlib.import_module(f"parity_lightning.experiments.{package}.options").Options
    return options


def run_experiment(package: str, given: Mapping[str, Any]) -> tuple[BoundedOptions, Findings]:
    """Runs an experiment.

    Args:
        package: The experiment's package in `parity_lightning.experiments`.
        given: Its options by name.

    Returns:
        Its options and what it found.

    Raises:
        SettingError: If an option is out of bounds.
    """
    options = options_class(package)(**given)
    experiment = importlib.import_module(f"parity_lightning.experiments.{package}.experiment")
    return options, experiment.run(options)
