"""The subcommand new: a module, a configuration and a test to begin with."""

from __future__ import annotations

import keyword
import re
import sys
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from parity_lightning.cli.one_line_errors import one_line_errors
from parity_lightning.cli.starter_files import Starter
from parity_lightning.errors import SettingError
from parity_lightning.run_dir.new_files import write_new_files
from parity_lightning.terminal.output import record, show


def run(options: Mapping[str, Any]) -> None:
    """Runs ``parity-lightning new NAME``.

    Args:
        options: ``name``, that of the network.

    Raises:
        SystemExit: With 2 if there can be no module of that name, or a file is in the way; 1 if one cannot be written.
    """
    with one_line_errors("new"):
        starter = begin(options["name"])
    module = starter.module
    show(f"wrote {module}.py, {module}.yaml and test_{module}.py; to train it and to test it:")
    show(f"  parity-lightning fit --config {module}.yaml")
    show(f"  python -m pytest test_{module}.py")
    names = {"module": f"{module}.py", "config": f"{module}.yaml", "test": f"test_{module}.py"}
    record("new", {what: Path(file) for what, file in names.items()})


def begin(name: str) -> Starter:
    """Writes the files of a new network into the current folder.

    Args:
        name: The name of its module, ``my_network``, or of its class, ``MyNetwork``.

    Raises:
        SettingError: If there can be no module of that name, or a file is in the way.
        OSError: If one cannot be written.
    """
    if not re.fullmatch(r"[A-Za-z]\w*", name, re.ASCII):
        raise SettingError(name, None, "must be letters, digits and underscores, my_network for example")
    starter = Starter.of(name)
    texts = {Path(file): text for file, text in starter.texts().items()}
    in_the_way = any(path.exists() for path in texts)
    if not in_the_way and (keyword.iskeyword(starter.module) or _is_known(starter.module)):
        raise SettingError(name, None, "is a name of Python's or of an installed package; choose another")
    write_new_files(texts)
    return starter


def _is_known(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except (ImportError, ValueError):
        return module in sys.modules
