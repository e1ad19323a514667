"""What a command line and its configuration files set, as plain values, before any of it is given a type.

This is the only place where words of the command line are read; every check that comes before the parser, or explains
what the parser refused, works on these settings.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml
from jsonargparse import get_loader

from parity_lightning.cli.shipped_configs import advice, instead_of
from parity_lightning.errors import SettingError

# argparse takes such a word for a value although it begins with a dash.
_NEGATIVE_NUMBER = re.compile(r"-\d+$|-\d*\.\d+$")

_PYTHONS_NULL = re.compile(r"--[\w.]+=None")

# Keys of a configuration that an option's path leaves out: model.init_args.width is --model.width.
_TRANSPARENT = ("init_args", "dict_kwargs")


@dataclass(frozen=True)
class Setting:
    """One option and the value it is set to.

    Attributes:
        option: The option's path without dashes and without ``init_args``: ``model.optimizer.lr``.
        value: The text on the command line (None if there is none), or a plain value of a file.
        file: The configuration file that has it; None if it stands on the command line.
        words: Its words on the command line.
    """

    option: str
    value: Any
    file: str | None = None
    words: tuple[str, ...] = ()

    @property
    def plain(self) -> Any:
        """The value; a text that is YAML for a list or a mapping is read as such."""
        if not isinstance(self.value, str) or not self.value.lstrip().startswith(("{", "[")):
            return self.value
        try:
            return load_yaml(self.value)
        except (yaml.YAMLError, ValueError, RecursionError):
            return self.value

    @property
    def is_null(self) -> bool:
        """Whether the value is null, as a configuration or a command line has it."""
        return self.value is None or (self.file is None and self.value in ("null", "Null", "NULL", "~", ""))


@dataclass(frozen=True)
class GivenSettings:
    """What a command line and its configuration files set.

    Attributes:
        subcommands: The words before the first option: ``("theory", "fourier")``.
        settings: In the order in which they take effect, a later one replacing an earlier one.
        loose: Words that belong to no option.
        files: The configuration files that ``--config`` names.
        shipped: The names, as they were given, of files that do not exist and for which configurations that come with
            the package are taken.
    """

    subcommands: tuple[str, ...]
    settings: tuple[Setting, ...]
    loose: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    shipped: tuple[str, ...] = ()

    @classmethod
    def of(cls, arguments: Sequence[str]) -> GivenSettings:
        """Reads a command line and the files that ``--config`` names.

        Raises:
            SettingError: If a file is missing, unreadable or no configuration.

        Example:
            >>> given = GivenSettings.of(["fit", "--data.n=3", "--model.init_args.width", "7"])
            >>> given.subcommands, [(setting.option, setting.value) for setting in given.settings]
            (('fit',), [('data.n', '3'), ('model.width', '7')])
        """
        subcommands: list[str] = []
        loose: list[str] = []
        settings: list[Setting] = []
        files: list[str] = []
        shipped: list[str] = []
        words = list(arguments)
        while words:
            word = words.pop(0)
            if not _is_option(word):
                (loose if settings else subcommands).append(word)
                continue
            name, equals, text = word.partition("=")
            value: str | None = text if equals else None
            used = [word]
            if name.startswith("-c") and not name.startswith("--"):
                # -c FILE and -cFILE, as argparse reads them.
                name, value = "--config", word[2:].removeprefix("=") or None
            if value is None and words and not _is_option(words[0]):
                value = words.pop(0)
                used.append(value)
            if option_path(name) == "config" and value is not None and (instead := instead_of(value)):
                shipped.append(value)
                value = str(instead)
            setting = Setting(option_path(name), value, words=tuple(used))
            settings.append(setting)
            if setting.option == "config" and value is not None:
                files.append(value)
                content = read_configuration(value)
                settings += [Setting(option_path(str(key)), part, file=value) for key, part in content.items()]
        return cls(tuple(subcommands), tuple(settings), tuple(loose), tuple(files), tuple(shipped))

    def preceded_by(self, settings: Iterable[Setting]) -> GivenSettings:
        """The same with other settings before them, which these replace."""
        return replace(self, settings=(*settings, *self.settings))

    def values(self, option: str) -> list[Any]:
        """The values that an option is set to, directly or as a part of another one; the last one takes effect.

        Example:
            >>> GivenSettings.of(["fit", "--model={init_args: {n: 60}}", "--model.n=50"]).values("model.n")
            [60, '50']
        """
        return [value for setting in self.settings for value in _values_in(setting.plain, setting.option, option)]

    def is_on_command_line(self, option: str) -> bool:
        """Whether an option stands on the command line itself."""
        return any(setting.option == option and setting.file is None for setting in self.settings)

    def words_for_parser(self) -> list[str]:
        """The command line, with the paths of the configurations that were found for names.

        Example:
            >>> words = GivenSettings.of(["fit", "-c", "online.yaml", "--data.n=5"]).words_for_parser()
            >>> words[1] == f"--config={instead_of('online.yaml')}"
            True
        """
        words = list(self.subcommands)
        for setting in self.settings:
            found = setting.option == "config" and setting.value is not None and bool(setting.words)
            words += [f"--config={setting.value}"] if found else setting.words
        return [*words, *self.loose]

    def words_without(self, *options: str) -> list[str]:
        """The command line without some options.

        Example:
            >>> line = ["fit", "--resume", "auto", "--data.n=5", "--ckpt_path=last"]
            >>> GivenSettings.of(line).words_without("resume", "ckpt_path")
            ['fit', '--data.n=5']
        """
        kept = [word for setting in self.settings if setting.option not in options for word in setting.words]
        return [*self.subcommands, *kept, *self.loose]


def option_path(name: str) -> str:
    """An option's path without dashes, ``init_args`` and the sign for appending.

    Example:
        >>> option_path("--model.init_args.width"), option_path("--trainer.callbacks+")
        ('model.width', 'trainer.callbacks')
    """
    parts = name.removeprefix("--").removesuffix("+").split(".")
    return ".".join(part for part in parts if part not in _TRANSPARENT)


def with_null(arguments: Iterable[str]) -> list[str]:
    """A command line with ``null`` where the agent of a W&B sweep spells a null as Python does.

    Example:
        >>> with_null(["fit", "--data.num_samples=None", "--model.width=3"])
        ['fit', '--data.num_samples=null', '--model.width=3']
    """
    return [f"{word.removesuffix('None')}null" if _PYTHONS_NULL.fullmatch(word) else word for word in arguments]


def parts_of(value: Mapping[Any, Any]) -> Iterator[tuple[str, Any]]:
    """The settings in a plain value by their names; those in ``init_args`` are its own."""
    for name, part in value.items():
        if name in _TRANSPARENT and isinstance(part, Mapping):
            yield from parts_of(part)
        else:
            yield str(name), part


def load_yaml(text: str) -> Any:
    """The values that the parser reads from a text: numbers like 1e3, which PyYAML alone takes for words, are numbers.

    Raises:
        yaml.YAMLError: If it is no YAML.

    Example:
        >>> load_yaml("{lr: 1e-3, name: }")
        {'lr': 0.001, 'name': None}
    """
    value = get_loader("yaml")(text)
    # A mapping of nothing but names it takes for a text.
    return yaml.safe_load(text) if value == text else value


def read_configuration(file: str) -> dict[str, Any]:
    """The content of a configuration file.

    Raises:
        SettingError: If it is missing, unreadable or no configuration.
    """
    try:
        content = load_yaml(Path(file).read_text())
    except FileNotFoundError:
        raise SettingError("--config", file, advice(file)) from None
    except (OSError, UnicodeDecodeError, ValueError) as error:
        if isinstance(error, yaml.YAMLError):
            raise
        raise SettingError("--config", file, f"cannot be read ({error}); give the path of a YAML file") from None
    except RecursionError:
        raise SettingError("--config", file, "nests too deeply; mend the file") from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f" at line {mark.line + 1}" if mark else ""
        reason = getattr(error, "problem", error)
        raise SettingError("--config", file, f"not valid YAML{where}: {reason}; mend the file") from None
    if not isinstance(content, dict):
        raise SettingError("--config", file, "must hold settings by name (model:, data:, trainer:); mend the file")
    if not isinstance(content.get("trainer", {}), dict):
        raise SettingError("--config", file, "its trainer must hold options by name; mend the file")
    if {"solved", "steps", "stop_reason"} <= set(content):
        raise SettingError(
            "--config", file, "is the summary of a run, no configuration; give the config.yaml beside it"
        )
    return content


def _is_option(word: str) -> bool:
    return (
        word.startswith("-") and word != "-" and " " not in word.partition("=")[0] and not _NEGATIVE_NUMBER.match(word)
    )


def _values_in(value: Any, path: str, option: str) -> Iterator[Any]:
    if path == option:
        yield value
    elif option.startswith(f"{path}.") and isinstance(value, Mapping):
        for name, part in parts_of(value):
            yield from _values_in(part, f"{path}.{name}", option)
