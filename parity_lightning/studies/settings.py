"""What decides the trials of a cell: every setting, by its path in the configuration, and a name made of them all."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

# What trials of one stack may have for themselves.
_OWN = re.compile(
    r"model\.init_args\.(optimizer\.init_args\.(lr|weight_decay|decay|momentum|eps|betas)|initialization)"
    r"|data\.init_args\.(support|label_noise|seed)"
)

# Options without a column: what each trial has for itself, in a column of its own kind; what affects speed alone; and
# n and k of a model, which repeat those of the data.
_NO_COLUMN = re.compile(
    r"data\.init_args\.(seed|support|num_workers)|(model|data)\.class_path|model\.init_args\.(n|k|compile_after)"
    r"|.*\.(foreach|fused|capturable|differentiable)"
)

# Every row has its own already.
_OF_EACH_TRIAL = ("data.init_args.seed", "data.init_args.support")

# Of the trainer's fifty options those that say something about a trial, as long as no other is varied.
_OF_TRAINER = ("max_steps", "val_check_interval", "precision", "gradient_clip_val", "accumulate_grad_batches")


def is_own(path: str) -> bool:
    """Whether trials of one stack may have different values of a setting."""
    return _OWN.fullmatch(path) is not None


class Settings(NamedTuple):
    """What decides the trials of a cell.

    Attributes:
        base: Plain values by the paths of their settings, shared with other cells.
        own: Those that this cell has instead.
        columns: What else stands beside its trials, such as the name of the architecture.
    """

    base: Mapping[str, Any]
    own: Mapping[str, Any]
    columns: Mapping[str, Any]

    @property
    def values(self) -> dict[str, Any]:
        """All values by their paths."""
        return {**self.base, **self.own}

    @property
    def key(self) -> str:
        """A name of the cell: the same on every machine, and another one if anything that decides it differs.

        Example:
            >>> key = Settings({"data.init_args.n": 10}, {}, {}).key
            >>> key == Settings({}, {"data.init_args.n": 10}, {}).key, len(key)
            (True, 16)
        """
        return _digest(self.values)

    @property
    def stack(self) -> str:
        """A name of the stacks that its trials can be in: the same for cells whose trials can share one.

        Example:
            >>> base = {"data.init_args.n": 10, "data.init_args.label_noise": 0.0}
            >>> noisy = Settings(base, {"data.init_args.label_noise": 0.1}, {})
            >>> noisy.stack == Settings(base, {}, {}).stack, noisy.key == Settings(base, {}, {}).key
            (True, False)
        """
        return _digest({path: value for path, value in self.values.items() if not is_own(path)})

    def beside(self, common: Mapping[str, Any]) -> dict[str, Any]:
        """The values that not all cells have."""
        return {path: value for path, value in self.values.items() if path not in common}

    def row(self, varied: Sequence[str] = ()) -> dict[str, Any]:
        """What stands beside each of its trials, by short names of columns.

        Args:
            varied: Paths of settings that must have a column.
        """
        row = dict(self.columns)
        # The parity first.
        for path, value in sorted(self.values.items(), key=lambda item: not item[0].startswith("data.")):
            name = column_of(path)
            if name is None and path in varied and path not in _OF_EACH_TRIAL:
                name = path.rpartition(".")[2]
            if name is not None:
                plain = isinstance(value, (int, float, str, type(None)))
                row.setdefault(name, value if plain else json.dumps(value, default=str))
        return row


def _digest(values: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(values, sort_keys=True, default=str).encode()).hexdigest()[:16]


def flat(values: Mapping[str, Any], path: str = "") -> dict[str, Any]:
    """Nested settings by their paths; lists, empty mappings and those with dotted names are values.

    Example:
        >>> flat({"model": {"class_path": "MLP", "init_args": {"width": 3, "param_groups": []}}})
        {'model.class_path': 'MLP', 'model.init_args.width': 3, 'model.init_args.param_groups': []}
        >>> flat({"model": {"initialization_factors": {"hidden.bias": 2.0}}})
        {'model.initialization_factors': {'hidden.bias': 2.0}}
    """
    found: dict[str, Any] = {}
    for name, value in values.items():
        here = f"{path}.{name}" if path else str(name)
        # A path could not tell a dotted name of a parameter from two names.
        if isinstance(value, Mapping) and value and not any("." in str(each) for each in value):
            found |= flat(value, here)
        else:
            found[here] = value
    return found


def nested(values: Mapping[str, Any]) -> dict[str, Any]:
    """Settings by their paths as they stand in a configuration, what `flat` makes paths of.

    Example:
        >>> nested({"model.class_path": "MLP", "model.init_args.width": 3, "compiled": True})
        {'model': {'class_path': 'MLP', 'init_args': {'width': 3}}, 'compiled': True}
    """
    found: dict[str, Any] = {}
    for path, value in values.items():
        *groups, name = path.split(".")
        within = found
        for group in groups:
            within = within.setdefault(group, {})
        within[name] = value
    return found


def column_of(path: str) -> str | None:
    """The short name of a setting's column; None if it has none.

    Example:
        >>> names = ("width", "optimizer.init_args.lr", "optimizer.class_path")
        >>> [column_of(f"model.init_args.{name}") for name in names]
        ['width', 'lr', 'optimizer']
        >>> column_of("model.init_args.lr_scheduler.init_args.gamma"), column_of("trainer.max_steps")
        ('lr_scheduler.gamma', 'max_steps')
        >>> column_of("data.init_args.seed") is column_of("trainer.profiler") is None
        True
    """
    if _NO_COLUMN.fullmatch(path):
        return None
    group, _, rest = path.partition(".")
    rest = rest.replace("init_args.", "").replace("optimizer.class_path", "optimizer").removesuffix(".class_path")
    if group == "trainer":
        return rest if rest in _OF_TRAINER else None
    if group not in ("model", "data"):
        return None
    return rest.removeprefix("optimizer.")


def common_of(settings: Iterable[Settings]) -> dict[str, Any]:
    """The values that all cells have.

    Example:
        >>> common_of([Settings({"a": 1, "b": 2}, {}, {}), Settings({"a": 1, "b": 2}, {"b": 3}, {})])
        {'a': 1}
    """
    common: dict[str, Any] | None = None
    known: set[tuple[int, tuple[str, ...]]] = set()
    for each in settings:
        # Cells that share a base have its values but for those of their own.
        if common is not None and (id(each.base), tuple(each.own)) in known:
            common = {path: value for path, value in common.items() if each.own.get(path, value) == value}
            continue
        values = each.values
        known.add((id(each.base), tuple(each.own)))
        if common is None:
            common = values
        else:
            common = {path: value for path, value in common.items() if path in values and values[path] == value}
    return common or {}


def differences(there: Mapping[str, Any], here: Mapping[str, Any]) -> list[str]:
    """How settings on record differ from others, a line for each.

    Example:
        >>> differences({"model.init_args.width": 10, "code": ""}, {"model.init_args.width": 20, "code": ""})
        ['model.width is 10 there and 20 here']
    """
    lines = []
    for path in dict.fromkeys([*there, *here]):
        missing = object()
        first, second = there.get(path, missing), here.get(path, missing)
        if first != second:
            words = ["not set" if value is missing else _in_words(value) for value in (first, second)]
            lines.append(f"{path.replace('.init_args', '')} is {words[0]} there and {words[1]} here")
    return lines


def _in_words(value: Any) -> str:
    return value if isinstance(value, str) and value else json.dumps(value, default=str)
