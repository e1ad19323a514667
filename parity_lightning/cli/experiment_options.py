"""The options of an experiment, without importing what it computes with.

Help and a wrong option are answered at once: only the part of an experiment's module that declares its options is run,
which is a dataclass called ``Options`` or else the signature of ``run``.
"""

from __future__ import annotations

import ast
import dataclasses
import importlib
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any

from jsonargparse import ArgumentParser

from parity_lightning.cli.typed_options import add_options

_OPTIONS, _RUN = "Options", "run"

# What a declaration of options may need, all of it quick to import.
_LIGHT_MODULES = ("collections", "dataclasses", "jsonargparse", "math", "types", "typing", "parity_lightning.errors")


def add_experiment_options(parser: ArgumentParser, module: str) -> None:
    """Adds the options of an experiment, and the folder to write below.

    Args:
        parser: Gets the options.
        module: The experiment's module in `parity_lightning.experiments`.
    """
    parser.add_argument("--runs", type=str, default="runs", help="below which folder to write (a text; default: runs)")
    add_options(parser, declared_options(module))


def declared_options(module: str) -> Callable[..., Any]:
    """What declares the options of an experiment: its dataclass ``Options``, or a function with the signature of ``run``.

    Args:
        module: The experiment's module in `parity_lightning.experiments`.
    """
    name = f"parity_lightning.experiments.{module}"
    spec = find_spec(name)
    if name not in sys.modules and spec is not None and spec.origin is not None:
        declared = _declarations(Path(spec.origin).read_text(), f"{name}_options")
        if declared is not None:
            return declared
    experiment = importlib.import_module(name)
    options: Callable[..., Any] = getattr(experiment, _OPTIONS, None) or getattr(experiment, _RUN)
    return options


def run_experiment(module: str, options: Mapping[str, Any]) -> Any:
    """Runs an experiment.

    Args:
        module: The experiment's module in `parity_lightning.experiments`.
        options: Its options by name.

    Returns:
        What it found.
    """
    experiment = importlib.import_module(f"parity_lightning.experiments.{module}")
    if dataclasses.is_dataclass(kind := getattr(experiment, _OPTIONS, None)):
        return getattr(experiment, _RUN)(kind(**options))  # type: ignore[operator]
    return getattr(experiment, _RUN)(**options)


def _declarations(source: str, name: str) -> Callable[..., Any] | None:
    """Runs the declarations of a module's source; None if they need more than quick imports."""
    module = ModuleType(name)
    # Dataclasses look their module up by its name.
    sys.modules[name] = module
    body = ast.parse(source).body
    wanted = _OPTIONS if any(isinstance(node, ast.ClassDef) and node.name == _OPTIONS for node in body) else _RUN
    try:
        for node in body:
            if isinstance(node, ast.FunctionDef) and node.name == wanted:
                node.body, node.returns, node.decorator_list = node.body[:1], None, []
            elif not _is_light(node) and not (isinstance(node, ast.ClassDef) and node.name == wanted):
                continue
            with suppress(NameError, AttributeError):
                exec(compile(ast.Module([node], []), name, "exec", dont_inherit=True), module.__dict__)
        declared: Callable[..., Any] | None = module.__dict__.get(wanted)
        return declared
    finally:
        del sys.modules[name]


def _is_light(node: ast.stmt) -> bool:
    if isinstance(node, ast.ImportFrom):
        return (node.module or "").startswith(_LIGHT_MODULES)
    if isinstance(node, ast.Import):
        return all(alias.name.partition(".")[0] in _LIGHT_MODULES for alias in node.names)
    return isinstance(node, (ast.Assign, ast.AnnAssign))
