"""The configuration and the command line that make the trials of a study once more."""

from __future__ import annotations

import json
import math
import shlex
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import yaml

from parity_lightning.studies.cells import Extent
from parity_lightning.studies.settings import Settings, common_of, nested

CONFIGURATION = "settings.yaml"

# What decides trials and is no option.
_NO_OPTION = ("version", "compiled", "code")

# Filled in from those of the data.
_LINKED = ("model.init_args.n", "model.init_args.k")


class Repeat(NamedTuple):
    """How to make the trials of a study once more.

    Attributes:
        common: The settings that all cells share, by their paths.
        line: The command line; None where cells are no combinations of values of options.
    """

    common: dict[str, Any]
    line: str | None

    @classmethod
    def of(cls, settings: Sequence[Settings], extent: Extent) -> Repeat:
        """Finds it.

        Args:
            settings: Of each cell.
            extent: How many trials each has.

        Example:
            >>> cells = [Settings({"data.init_args.k": 3}, {"data.init_args.n": n}, {}) for n in (10, 20)]
            >>> Repeat.of(cells, Extent(5)).line
            "parity-lightning trials --config settings.yaml --seed_everything 0 --trials 5 --vary 'data.n=[10, 20]'"
        """
        shared = common_of(settings)
        common = {path: value for path, value in shared.items() if _is_option(path)}
        axes = _axes([{path: value for path, value in each.values.items() if path not in shared} for each in settings])
        if axes is None or shared.get("code"):
            return cls(common, None)
        words = ["--config", CONFIGURATION, "--seed_everything", str(extent.first_seed), "--trials", str(extent.trials)]
        if shared.get("compiled") is False:
            words += ["--compile_after", "null"]
        for path, values in axes.items():
            words += ["--vary", f"{path.replace('.init_args', '')}={json.dumps(values)}"]
        return cls(common, shlex.join(["parity-lightning", "trials", *words]))

    @property
    def configuration(self) -> bytes:
        """The common settings as a file for ``--config``."""
        given = {path: value for path, value in self.common.items() if value is not None or path[:8] != "trainer."}
        return yaml.safe_dump(nested(given), sort_keys=False).encode()


def _is_option(path: str) -> bool:
    return path not in (*_NO_OPTION, *_LINKED)


def _axes(own: Sequence[Mapping[str, Any]]) -> dict[str, list[Any]] | None:
    """The values of each option that varies, if cells are all their combinations; else None."""
    paths = [path for path in (own[0] if own else {}) if path not in _LINKED]
    values: dict[str, dict[str, Any]] = {path: {} for path in paths}
    seen = set()
    for each in own:
        if any(path not in each for path in paths) or len(each) != len(own[0]):
            return None
        texts = [json.dumps(each[path], default=str) for path in paths]
        seen.add(tuple(texts))
        for path, text in zip(paths, texts, strict=True):
            if not _is_option(path) or path.endswith("class_path"):
                return None
            values[path].setdefault(text, each[path])
    if len(seen) != len(own) or len(own) != math.prod(len(found) for found in values.values()):
        return None
    return {path: list(found.values()) for path, found in values.items()}
