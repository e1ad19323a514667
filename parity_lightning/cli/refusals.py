"""What is wrong with a command line that the parser refused: one line that names option, value and what to do.

The parser decides; its texts are not read. What it refused is found by walking through the given settings one by one,
by the parser's own options and types.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from parity_lightning.cli.class_names import find_class, why_not
from parity_lightning.cli.given import GivenSettings, Setting, parts_of
from parity_lightning.cli.nearest_option import nearest_option
from parity_lightning.cli.option_types import (
    Option,
    alternatives,
    classes_in,
    fits,
    in_words,
    makes_from_first,
    options_of_class,
    required_of_class,
)
from parity_lightning.cli.renamed import new_option
from parity_lightning.cli.short_help import OPTIONS
from parity_lightning.errors import SettingError

UNEXPLAINED = "these settings do not fit together"
"""What is said where no single setting is found to be wrong."""

_CLASS_PATH, _ARGUMENTS = "class_path", "init_args"
_PRINT_FLAGS = ("skip_default", "skip_unset")


def root_cause(error: BaseException) -> BaseException:
    """The exception that the others were raised from, at most down to a `SettingError`; jsonargparse wraps them all."""
    while error.__cause__ is not None and not isinstance(error, SettingError):
        error = error.__cause__
    return error


def refusal(error: SettingError) -> str:
    """A refused setting in one line; it names no value if there is none.

    Example:
        >>> refusal(SettingError("--data.m", None, "no such option"))
        '--data.m: no such option'
    """
    return f"{error.option}: {error.hint}" if error.value is None else str(error)


def setting_error_message(error: SettingError, groups: Mapping[str, Any]) -> str:
    """A refused setting by the option's name on the command line.

    Args:
        error: What a class or an experiment raised.
        groups: The names of the options of each group, by the group's path; that of options without a group is empty.

    Example:
        >>> setting_error_message(SettingError("k", 0, "must be at least 1"), {"trainer": ["max_steps"], "data": ["k"]})
        '--data.k=0: must be at least 1'
    """
    for group, names in groups.items():
        if error.option in names:
            return f"--{group}.{error.option}={error.value}: {error.hint}".replace("--.", "--")
    return refusal(error)


class UsageExplainer(NamedTuple):
    """Goes through given settings by the options of a parser, looking for the one that is wrong.

    Attributes:
        given: The settings.
        options: The parser's options by their paths.
        allows: Tells whether a configuration may name an object.
        own_option: The option that allows more packages.
        required: The options without which nothing works.
        doubt: Called with what is refused where nothing else is: a value that might be part of another.
    """

    given: GivenSettings
    options: Mapping[str, Option]
    allows: Callable[[str], bool] = bool
    own_option: str = ""
    required: tuple[str, ...] = ()
    doubt: Callable[[SettingError], object] = bool

    def explain(self, command: str) -> str:
        """One line about what the parser refused.

        Args:
            command: The command, for a pointer to its help.
        """
        doubts: list[SettingError] = []
        try:
            self._replace(doubt=doubts.append).check()
        except SettingError as error:
            return refusal(error)
        except Exception:
            # Classes of anyone's may do anything when they are inspected; the command line is refused all the same.
            pass
        if doubts:
            # Those before may be whole by what comes after.
            return refusal(doubts[-1])
        return f"{UNEXPLAINED}; take options out one by one, or see {command} --help"

    def check(self) -> None:
        """Checks all settings.

        Raises:
            SettingError: For the first that is wrong; its value is None if the option itself is.
        """
        for word in self.given.loose:
            raise SettingError(word, None, "belongs to no option; write --OPTION VALUE")
        for setting in self.given.settings:
            self._check_setting(setting)
        missing = [name for name in self.required if not self.given.values(name) and not self._has_parts(name)]
        if missing:
            names = ", ".join(f"--{name}" for name in missing)
            them = "it" if len(missing) == 1 else "them"
            or_file = f", or a --config FILE that has {them}" if "config" in self.options else ""
            raise SettingError(names, None, f"missing; give {them}{or_file}")
        for name, option in self.options.items():
            self._check_required(name, option)

    def paths(self) -> Iterator[str]:
        """The full paths of all options, with those of the classes in effect."""
        for name, option in self.options.items():
            yield name
            yield from self._paths_below(name, option)

    def _is_group(self, path: str) -> bool:
        own = self.options.get(path)
        return own is not None and own.hint is None and any(name.startswith(f"{path}.") for name in self.options)

    def _has_parts(self, name: str) -> bool:
        return any(setting.option.startswith(f"{name}.") for setting in self.given.settings)

    def _paths_below(self, path: str, option: Option) -> Iterator[str]:
        kind = self._class_in_effect(path, option) if classes_in(option.hint) else None
        if kind is not None and path.count(".") < 2:
            for name, inner in options_of_class(kind, without_first=makes_from_first(option.hint)).items():
                yield f"{path}.{name}"
                if path.count(".") == 0:
                    yield from self._paths_below(f"{path}.{name}", inner)

    def _check_setting(self, setting: Setting) -> None:
        path = setting.option
        if path.endswith(".help") and isinstance(setting.value, str):
            # Of the class whose options are to be shown.
            path = path.removesuffix(".help")
        elif path in ("help", "help.all"):
            return
        elif path == "print_config":
            if setting.value not in (None, "", *_PRINT_FLAGS):
                raise SettingError("--print_config", setting.value, f"must be {' or '.join(_PRINT_FLAGS)}, or nothing")
            return
        if not path or path.strip("-") != path:
            raise SettingError(setting.words[0] if setting.words else path, None, "no such option; see --help")
        self._check(path, setting.value, self.options, "", setting)

    def _check(self, path: str, value: Any, options: Mapping[str, Option], group: str, setting: Setting) -> None:
        name, rest = _split(path, options)
        full = f"{group}{path}"
        if name is None:
            self._refuse_option(full, options, group, setting)
            return
        option, here = options[name], f"{group}{name}"
        if rest and option.hint is None and any(each.startswith(f"{name}.") for each in options):
            self._refuse_option(full, options, group, setting)
        if value is None and setting.file is None and option.takes_value:
            raise SettingError(f"--{full}", None, "give a value")
        if not rest and option.hint is None and isinstance(value, Mapping):
            # A group of options, in a file.
            for part, inner in parts_of(value):
                self._check(f"{path}.{part}", inner, options, group, setting)
        elif not rest:
            self._check_value(here, option, value, setting)
        elif rest == _CLASS_PATH:
            self._check_class_path(here, option, value)
        elif (kind := self._class_in_effect(here, option)) is not None:
            without_first = makes_from_first(option.hint)
            self._check(rest, value, options_of_class(kind, without_first=without_first), f"{here}.", setting)
        elif not classes_in(option.hint) and option.hint is not None and not fits(option, {rest: value}, is_text=False):
            raise SettingError(f"--{full}", None, f"no such option; --{here} must be {in_words(option.hint)}")

    def _check_value(self, path: str, option: Option, value: Any, setting: Setting) -> None:
        is_text = setting.file is None and isinstance(value, str)
        plain = setting.plain if is_text else value
        is_whole = setting.option == path
        if is_whole and path in self.required and (setting.is_null or not isinstance(plain, (str, Mapping))):
            raise SettingError(f"--{path}", "null" if setting.is_null else plain, "must be the name of a class")
        is_file = is_text and Path(value).is_file()
        if is_whole and self._is_group(path) and not isinstance(plain, Mapping) and not is_file:
            shown = "null" if setting.is_null else value
            raise SettingError(f"--{path}", shown, f"a group of options; give them one by one, --{path}.OPTION")
        for each in plain if isinstance(plain, list) and classes_in(option.hint) else [plain]:
            if isinstance(each, Mapping) and (_CLASS_PATH in each or classes_in(option.hint)):
                self._check_parts(path, option, each, setting)
        wanted = SettingError(f"--{path}", value, f"must be {in_words(option.hint)}")
        if fits(option, value, is_text=is_text):
            # The parser reads a text that looks like a list or a mapping as one.
            if isinstance(plain, (list, Mapping)) and str in alternatives(option.hint):
                self.doubt(wanted)
            return
        self._check_name(path, option, plain)
        if option.convert is not None and option.hint is None:
            with suppress(TypeError):
                try:
                    option.convert(value)
                except ValueError as error:
                    raise SettingError(f"--{path}", value, str(error)) from None
        if classes_in(option.hint) and isinstance(plain, (str, list, Mapping)):
            self._check_required(path, option)
            # One with a class has been looked through.
            if not (isinstance(plain, Mapping) and _CLASS_PATH in plain):
                self.doubt(wanted)
        else:
            raise wanted

    def _check_parts(self, path: str, option: Option, value: Mapping[str, Any], setting: Setting) -> None:
        if _CLASS_PATH in value:
            self._check_class_path(path, option, value[_CLASS_PATH])
        bases = classes_in(option.hint)
        named = value.get(_CLASS_PATH)
        kind = find_class(named, bases) if isinstance(named, str) else self._class_in_effect(path, option)
        if kind is None:
            return
        inner = options_of_class(kind, without_first=makes_from_first(option.hint))
        for name, part in parts_of(value):
            if name == _ARGUMENTS:
                shown = "null" if part is None else part
                raise SettingError(f"--{path}.{name}", shown, "must hold options by name, or be left out")
            if name != _CLASS_PATH:
                self._check(name, part, inner, f"{path}.", setting)

    def _check_class_path(self, path: str, option: Option, name: Any) -> None:
        if classes_in(option.hint) and not isinstance(name, str):
            raise SettingError(f"--{path}", "null" if name is None else name, "must be the name of a class")
        self._check_name(path, option, name)

    def _check_name(self, path: str, option: Option, name: Any) -> None:
        bases = classes_in(option.hint)
        if isinstance(name, list):
            for each in name:
                self._check_name(path, option, each)
        elif isinstance(name, str) and (bases or makes_from_first(option.hint)):
            reason = why_not(name, bases, self.allows, self.own_option)
            if reason is not None:
                raise SettingError(f"--{path}", name, reason)

    def _class_in_effect(self, path: str, option: Option) -> Any:
        """The class that an option's parts belong to: named last, or by default."""
        bases = classes_in(option.hint)
        named = [value for value in self.given.values(path) if isinstance(value, str)]
        named += [value for value in self.given.values(f"{path}.{_CLASS_PATH}") if isinstance(value, str)]
        default = option.default
        if isinstance(default, Mapping) or hasattr(default, "class_path"):
            named.insert(0, default["class_path"])
        for name in reversed(named):
            if ("." not in name or self.allows(name)) and (kind := find_class(name, bases)) is not None:
                return kind
        return bases[0] if bases and not named else None

    def _refuse_option(self, path: str, options: Mapping[str, Option], group: str, setting: Setting) -> None:
        if renamed := new_option(path):
            raise SettingError(f"--{path}", None, f"is called --{renamed} now; use that")
        near = nearest_option(path, self.paths())
        if near is None and "model" in self.options:
            # Which options a model has depends on its class; without one, those of the shipped configurations.
            near = nearest_option(path, (entry.option for entry in OPTIONS))
        if near is not None:
            raise SettingError(f"--{path}", None, f"no such option; did you mean --{near}?")
        tops = dict.fromkeys(name.partition(".")[0] for name in options if name != "help")
        listed = ", ".join(f"--{group}{name}" for name in tops)
        raise SettingError(f"--{path}", None, f"no such option; valid: {listed}")

    def _check_required(self, path: str, option: Option) -> None:
        """Refuses a class that lacks an argument it has no default for."""
        if not classes_in(option.hint):
            return
        named = self.given.values(path)
        if not named and not self._has_parts(path):
            return
        kind = self._class_in_effect(path, option)
        if kind is None:
            return
        needed = required_of_class(kind)[1 if makes_from_first(option.hint) else 0 :]
        linked = ("n", "k") if path == "model" else ()
        for name in needed:
            if name not in linked and not self.given.values(f"{path}.{name}"):
                raise SettingError(f"--{path}.{name}", None, f"missing; {kind.__name__} needs it")
        if path.count(".") == 0:
            for name, inner in options_of_class(kind).items():
                self._check_required(f"{path}.{name}", inner)


def _split(path: str, options: Mapping[str, Option]) -> tuple[str | None, str]:
    """The longest beginning of a path that is an option, and the rest."""
    parts = path.split(".")
    for count in range(len(parts), 0, -1):
        name = ".".join(parts[:count])
        if name in options:
            return name, ".".join(parts[count:])
    return None, ""
