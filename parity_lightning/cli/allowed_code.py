"""Which code a configuration may name.

A configuration names classes and gives them arguments, and a class that is named is called. So names are looked up in a
few packages only, and in modules that lie beside the user's own files; jsonargparse refuses all others before it
imports anything. It checks where an object is defined, too, so ``lightning.pytorch.trainer.trainer.os.system`` is
refused as ``os.system`` is.
"""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import pkgutil
import sys
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from importlib.machinery import ModuleSpec
from pathlib import Path
from typing import Any

import yaml
from jsonargparse import Namespace, set_parsing_settings

from parity_lightning.cli.given import GivenSettings, load_yaml
from parity_lightning.errors import SettingError

PACKAGES = ("parity_lightning", "torch.optim", "lightning")
"""Whose classes any configuration may name."""

OPTION = "--allow_code_from"

HELP = (
    "a package, or several, whose classes configurations may name besides those of parity_lightning, lightning, "
    "torch.optim and of modules in this folder or beside a --config file"
)

# jsonargparse keeps its list, and Python its path, for the whole process: what an earlier command line has added is
# taken back.
_allowed_before: set[str] = set()
_searched_before: list[str] = []


@dataclass(frozen=True)
class AllowedCode:
    """What a command line may name besides `PACKAGES`.

    Attributes:
        packages: What ``--allow_code_from`` names, on the command line and in the files of ``--config``.
        folders: Where modules of the user's own lie.
        run_folder: The folder of a run whose configuration the command line does not name: no module in it, and no
            package that contains it, may be named.
    """

    packages: tuple[str, ...]
    folders: tuple[Path, ...]
    run_folder: Path | None = None

    @classmethod
    def of(cls, given: GivenSettings, run_folder: Path | None = None) -> AllowedCode:
        """What a command line allows.

        Args:
            given: The command line and its files.
            run_folder: The folder of a run whose configuration was found beside a checkpoint.

        Raises:
            SettingError: If ``--allow_code_from`` names no package.
        """
        values = [_as_yaml(value) for value in given.values(OPTION.lstrip("-"))]
        files = [Path(file) for file in given.files]
        packages = tuple(dict.fromkeys(name for value in values for name in _package_names(value)))
        folders = dict.fromkeys([Path.cwd(), *(file.absolute().parent for file in files)])
        return cls(packages, tuple(folders), run_folder)

    @cached_property
    def own(self) -> frozenset[str]:
        """The packages and modules that may be named besides `PACKAGES`; the folders must be searched already."""
        return frozenset((*self.packages, *self._modules()))

    def _modules(self) -> Iterator[str]:
        """The names of the modules and packages in the user's folders, as far as ``import`` would take them there."""
        for folder in self.folders:
            paths: list[Path] = []
            with suppress(OSError):
                # One that may not be listed has no modules to import either.
                paths = [path for path in folder.iterdir() if path.suffix == ".py" or path.is_dir()]
            for name in sorted({path.stem for path in paths}):
                if name.isidentifier() and _is_imported_from(name, folder, self.run_folder):
                    yield name

    def allows(self, name: str) -> bool:
        """Whether a configuration may name an object; the folders must be searched already.

        Args:
            name: Its module and name.
        """
        return any(f"{name}.".startswith(f"{package}.") for package in (*PACKAGES, *self.own))

    def enforce(self) -> None:
        """Has jsonargparse refuse, from now on in this process, every name that is not allowed.

        Puts the folders at the end of the path where modules are searched.
        """
        # At the end: a file called json.py is not to replace Python's.
        while _searched_before:
            with suppress(ValueError):
                sys.path.remove(_searched_before.pop())
        _searched_before.extend(path for path in map(str, self.folders) if path not in sys.path)
        sys.path.extend(_searched_before)
        importlib.invalidate_caches()
        set_parsing_settings(
            import_path_denylist=["*", *(_allowed_before - self.own)],
            import_path_allowlist=[*PACKAGES, *self.own],
            # Where anything is accepted, nothing is to be called.
            instantiate_subclass_spec_in_any=False,
        )
        _allowed_before.clear()
        _allowed_before.update(self.own)

    def check_functions(self, config: Namespace) -> None:
        """Refuses functions named in a configuration, but for the user's own.

        Where a class of Lightning's asks for a function, as ``LambdaCallback`` does, or where a function makes what is
        asked for, jsonargparse takes any. A function that makes an object must say so by its annotation.

        Args:
            config: The parsed configuration, before anything is made of it.

        Raises:
            SettingError: If it names a function that is not allowed.
        """
        for path, function, is_maker in _functions_in(config, ""):
            name = f"{function.__module__}.{function.__qualname__}"
            if not any(f"{name}.".startswith(f"{package}.") for package in self.own):
                message = f"is a function; name a class, or a function in a module of your own ({OPTION} for others)"
                raise SettingError(f"--{path}", name, message)
            if is_maker and inspect.signature(function).return_annotation is inspect.Signature.empty:
                raise SettingError(f"--{path}", name, "does not say what it returns; annotate its return type")


def _as_yaml(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    try:
        return load_yaml(value)
    except yaml.YAMLError:
        raise SettingError(OPTION, value, "must name packages, my_package or [my_package,another]") from None


def _package_names(value: Any) -> list[str]:
    names = [] if value is None else value if isinstance(value, list) else [value]
    for name in names:
        if not isinstance(name, str) or not all(part.isidentifier() for part in name.split(".")):
            raise SettingError(OPTION, name, "must name packages, my_package or [my_package,another]")
        if name.partition(".")[0] == "jsonargparse":
            raise SettingError(OPTION, name, "could change what is allowed; name another package")
    return names


def _is_imported_from(name: str, folder: Path, run_folder: Path | None) -> bool:
    """Whether importing a name takes it from a folder, and not from somewhere else, as for ``json.py``."""
    try:
        spec: ModuleSpec | None = importlib.util.find_spec(name)
    except (ImportError, ValueError):
        return False
    if spec is None:
        return False
    # Of a module that is built in, no file is known.
    places = [Path(place) for place in spec.submodule_search_locations or [spec.origin or ""]]
    if not all(place.is_absolute() and _is_below(place, folder) for place in places):
        return False
    return run_folder is None or not any(
        _is_below(place, run_folder) or _is_below(run_folder, place) for place in places
    )


def _is_below(path: Path, folder: Path) -> bool:
    return path.resolve().is_relative_to(folder.resolve())


def _functions_in(value: Any, path: str) -> Iterator[tuple[str, Any, bool]]:
    """The functions that a configuration names: where, which, and whether they are to make what stands there."""
    if isinstance(value, Namespace):
        value = vars(value)
    if isinstance(value, Mapping):
        kind = _named(value.get("class_path"))
        if inspect.isroutine(kind):
            yield path, kind, True
        for name, part in value.items():
            inner = path if name == "init_args" else f"{path}.{name}" if path else str(name)
            if name == "init_args" and isinstance(part, (Namespace, Mapping)):
                settings = vars(part) if isinstance(part, Namespace) else part
                # What a class has by default was not named here.
                part = {option: each for option, each in settings.items() if not _is_default(kind, option, each)}
            yield from _functions_in(part, inner)
    elif isinstance(value, (list, tuple)):
        for part in value:
            yield from _functions_in(part, path)
    elif inspect.isroutine(value) and value.__name__ != "<lambda>":
        yield path, value, False


def _named(class_path: Any) -> Any:
    try:
        return pkgutil.resolve_name(class_path) if isinstance(class_path, str) else None
    except (ImportError, AttributeError, ValueError):
        return None


def _is_default(kind: Any, option: str, value: Any) -> bool:
    kinds = inspect.getmro(kind) if inspect.isclass(kind) else ()
    makers = [vars(each)["__init__"] for each in kinds if "__init__" in vars(each)] or [kind]
    for maker in makers:
        try:
            parameter = inspect.signature(maker).parameters.get(option)
        except (TypeError, ValueError):
            continue
        if parameter is not None and parameter.default is value:
            return True
    return False
