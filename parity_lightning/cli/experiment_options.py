"""The options of an experiment, without importing what it computes with.

Help and a wrong option are answered at once: only the part of an experiment's module that declares its options is run,
its dataclass ``Options`` and what that refers to.
"""

from __future__ import annotations

import ast
import importlib
import sys
from collections.abc import Mapping
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from jsonargparse import ArgumentParser

from parity_lightning.cli.typed_options import add_options
from parity_lightning.experiments.options import BoundedOptions

if TYPE_CHECKING:
    from parity_lightning.experiments.findings import Findings

_OPTIONS = "Options"

# What a declaration of options may need, all of it quick to import.
_LIGHT_MODULES = (
    *("collections", "dataclasses", "functools", "jsonargparse", "math", "types", "typing"),
    *("parity_lightning.errors", "parity_lightning.experiments.options"),
)


def add_experiment_options(parser: ArgumentParser, module: str) -> None:
    """Adds the options of an experiment, and the folder to write below.

    Args:
        parser: Gets the options.
        module: The experiment's module in `parity_lightning.experiments`.
    """
    parser.add_argument("--runs", type=str, default="runs", help="below which folder to write (a text; default: runs)")
    add_options(parser, declared_options(module))


def declared_options(module: str) -> type[BoundedOptions]:
    """The dataclass ``Options`` of an experiment, or one with the same fields.

    Args:
        module: The experiment's module in `parity_lightning.experiments`.
    """
    name = f"parity_lightning.experiments.{module}"
    spec = find_spec(name)
    if name not in sys.modules and spec is not None and spec.origin is not None:
        declared = _declarations(Path(spec.origin).read_text(), f"{name}_options")
        if declared is not None:
            return declared
    options: type[BoundedOptions] = getattr(importlib.import_module(name), _OPTIONS)
    return options


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


def _declarations(source: str, name: str) -> type[BoundedOptions] | None:
    """Runs the declarations of a module's source; None if they need more than quick imports."""
    module = ModuleType(name)
    # Dataclasses look their module up by its name.
    sys.modules[name] = module
    try:
        for node in ast.parse(source).body:
            if _is_light(node) or (isinstance(node, ast.ClassDef) and node.name == _OPTIONS):
                with suppress(NameError, AttributeError):
                    exec(compile(ast.Module([node], []), name, "exec", dont_inherit=True), module.__dict__)
        declared: type[BoundedOptions] | None = module.__dict__.get(_OPTIONS)
        return declared
    finally:
        del sys.modules[name]


def _is_light(node: ast.stmt) -> bool:
    if isinstance(node, ast.ImportFrom):
        return (node.module or "").startswith(_LIGHT_MODULES)
    if isinstance(node, ast.Import):
        return all(alias.name.partition(".")[0] in _LIGHT_MODULES for alias in node.names)
    return isinstance(node, (ast.Assign, ast.AnnAssign))
