"""W&B sweep files: the same file makes the same cells here as `wandb sweep` makes runs."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from parity_lightning.errors import SettingError, check_int, nearest
from parity_lightning.studies.cells import Grid, Sampled
from parity_lightning.studies.distributions import Choice, Number, distribution_of

METHODS = ("grid", "random", "bayes")

# What W&B keeps beside a sweep, and what it shows.
_TOLD = ("name", "description", "project", "entity")
_KEYS = (*_TOLD, "program", "method", "metric", "parameters", "command", "run_cap")
_SEED = "seed_everything"
_DEFAULT_COMMAND = ("${env}", "${interpreter}", "${program}", "${args}")
_BEFORE = ("${env}", "${interpreter}", "${program}", "/usr/bin/env", "python", "python3", "-m", "parity_lightning")


@dataclass(frozen=True)
class SweepFile:
    """A sweep.

    Attributes:
        path: Its file.
        name: Its name; that of the file by default.
        method: ``grid``, ``random`` or ``bayes``.
        axes: What the values of each option are, or are drawn from; seeds are none of them.
        seeds: The seeds of each cell's trials, which count on by one; none if the file has none.
        words: What every cell gives to ``fit`` or ``trials``.
        subcommand: Which of them.
        run_cap: How many cells are drawn at most.
        goal: Whether the metric is to be ``minimize`` or ``maximize``; None without a metric.
        metric: What a bayes search looks at.
    """

    path: Path
    name: str
    method: str
    axes: dict[str, Choice | Number]
    seeds: range
    words: tuple[str, ...]
    subcommand: str
    run_cap: int | None = None
    metric: str | None = None
    goal: str | None = None

    @classmethod
    def of(cls, path: str | Path) -> SweepFile:
        """Reads a file.

        Raises:
            SettingError: If it is none, or has what is not supported; nothing is left out silently.
        """
        path = Path(path)
        content = _content(path)
        for key in content:
            if key not in _KEYS:
                raise SettingError(f"{path}: {key}", content[key], f"is not supported; {nearest(key, _KEYS)}")
        method = content.get("method")
        if method not in METHODS:
            raise SettingError(f"{path}: method", method, f"must be one of {', '.join(METHODS)}")
        axes = {name: distribution_of(name, given) for name, given in _parameters(path, content)}
        if "config" in axes and next(iter(axes)) != "config":
            hint = "must be the first parameter, for a configuration replaces what stands before it"
            raise SettingError(f"{path}: parameters", "config", hint)
        seeds = _seeds(path, axes.pop(_SEED, None))
        subcommand, words = _command(path, content.get("command", _DEFAULT_COMMAND))
        cap = content.get("run_cap")
        if method == "grid" and cap is not None:
            raise SettingError(f"{path}: run_cap", cap, "is for random and bayes; a grid is run whole")
        if method != "grid" and cap is None:
            raise SettingError(f"{path}: run_cap", None, f"missing; a {method} search needs an end")
        if cap is not None:
            check_int(f"{path}: run_cap", cap, at_least=1)
        metric = content.get("metric") or {}
        name = str(content.get("name") or path.stem)
        sweep = cls(path, name, method, axes, seeds, words, subcommand, cap, metric.get("name"), metric.get("goal"))
        if method == "grid":
            # Refused here, if a parameter has values without an end.
            sweep.cells()
        return sweep

    def cells(self, seed: int = 0) -> Grid | Sampled:
        """The cells of a grid or of a random search.

        Args:
            seed: Decides which cells a random search has.

        Raises:
            SettingError: If a grid has a parameter whose values cannot be enumerated, or there are not enough cells.
        """
        if self.method != "grid":
            return Sampled(self.axes, self.run_cap or 0, seed)
        values = {}
        for name, distribution in self.axes.items():
            every = list(distribution.values) if isinstance(distribution, Choice) else distribution.all
            if every is None:
                assert isinstance(distribution, Number)
                raise SettingError(f"parameters.{name}", distribution.kind, "has no end in a grid; give values: [...]")
            values[name] = every
        return Grid(values)


def _content(path: Path) -> dict[str, Any]:
    try:
        content = yaml.safe_load(path.read_text())
    except FileNotFoundError:
        raise SettingError("FILE", path, "no such file; give the path of a W&B sweep file") from None
    except (OSError, UnicodeDecodeError, RecursionError) as error:
        raise SettingError("FILE", path, f"cannot be read ({error}); give the path of a W&B sweep file") from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f" at line {mark.line + 1}" if mark else ""
        raise SettingError(
            "FILE", path, f"not valid YAML{where}: {getattr(error, 'problem', error)}; mend the file"
        ) from None
    if not isinstance(content, dict) or not isinstance(content.get("parameters"), dict):
        raise SettingError("FILE", path, "is no W&B sweep file, which has method: and parameters:; give another")
    return content


def _parameters(path: Path, content: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """The parameters by their dotted names; nested ones have ``parameters`` of their own."""
    for name, given in content["parameters"].items():
        full = f"{before}{name}"
        if not isinstance(given, dict):
            raise SettingError(f"{path}: parameters.{full}", given, "must have value, values, or min and max")
        if isinstance(given.get("parameters"), dict):
            yield from _parameters(path, given, f"{full}.")
        else:
            yield full, {key: _numbers(value) for key, value in given.items()}


def _numbers(value: Any) -> Any:
    """What YAML takes for a text and everybody else for a number: 1e-3."""
    if isinstance(value, list):
        return [_numbers(each) for each in value]
    if isinstance(value, str) and re.fullmatch(r"[+-]?\d+(\.\d*)?[eE][+-]?\d+", value):
        return float(value)
    return value


def _seeds(path: Path, given: Choice | Number | None) -> range:
    if given is None:
        return range(0)
    option = f"{path}: parameters.{_SEED}"
    every = list(given.values) if isinstance(given, Choice) else given.all
    if every is None or any(type(seed) is not int for seed in every):
        raise SettingError(option, every, "must be whole numbers: seeds are replicates, no hyperparameter")
    if every != list(range(every[0], every[0] + len(every))):
        raise SettingError(option, every, "must count on by one, as 0, 1, 2: seeds are replicates")
    return range(every[0], every[0] + len(every))


def _command(path: Path, command: Sequence[str]) -> tuple[str, tuple[str, ...]]:
    """The subcommand of a command, and the words between it and the parameters."""
    option = f"{path}: command"
    words = [_expanded(option, str(word)) for word in command]
    if not words or words[-1] != "${args}":
        raise SettingError(option, " ".join(words), "must end with ${args}, for later options replace earlier ones")
    words = words[:-1]
    for word in words:
        if "${args" in word:
            raise SettingError(option, word, "is not supported; end the command with ${args}")
    while words and (words[0] in _BEFORE or "=" in words[0] or words[0].endswith(("parity-lightning", "__main__.py"))):
        words.pop(0)
    if not words or words[0] not in ("fit", "trials"):
        shown = words[0] if words else "${program} ${args}"
        raise SettingError(option, shown, "must run parity-lightning fit or trials")
    return words[0], tuple(words[1:])


def _expanded(option: str, word: str) -> str:
    if match := re.fullmatch(r"(.*)\$\{envvar:(\w+)\}(.*)", word):
        if match[2] not in os.environ:
            raise SettingError(option, word, f"the environment has no {match[2]}")
        return f"{match[1]}{os.environ[match[2]]}{match[3]}"
    return word
