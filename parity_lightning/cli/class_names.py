"""Which class a name stands for, and what to say of a name that stands for none."""

from __future__ import annotations

import difflib
import importlib
import inspect
import sys
from collections.abc import Callable, Iterator, Sequence
from importlib.util import find_spec
from typing import Any

from parity_lightning.cli.renamed import new_class
from parity_lightning.errors import nearest

_PUBLIC = {
    "LightningModule": ("parity_lightning.modules",),
    "Optimizer": ("torch.optim", "parity_lightning.optim.optimizers"),
    "LRScheduler": ("torch.optim.lr_scheduler", "parity_lightning.optim.schedules"),
    "Callback": ("parity_lightning.callbacks",),
    "ParityDataModule": ("parity_lightning.data",),
    "Logger": ("lightning.pytorch.loggers",),
}
"""Where to find the classes to suggest, by the name of the class that an option expects."""

# No use to anybody who trains by a configuration: bases, and a schedule that needs a metric.
_NOT_SUGGESTED = ("Optimizer", "LRScheduler", "ReduceLROnPlateau")


def find_class(name: str, bases: Sequence[type]) -> Any:
    """The object that a name stands for, without importing anything; None if there is none.

    Args:
        name: A class's name alone, or with its module.
        bases: What an option expects an object of.
    """
    if "." not in name:
        return next((kind for base in bases for kind in _subclasses(base) if kind.__name__ == name), None)
    module, path = _imported(name)
    found: Any = module
    try:
        for part in path:
            found = getattr(found, part)
    except (AttributeError, ImportError):
        return None
    return found if path else None


def why_not(name: str, bases: Sequence[type], allows: Callable[[str], bool], own_option: str) -> str | None:
    """Says why a name cannot stand where a class is expected, and what to name instead; None if it can.

    Args:
        name: What was named.
        bases: What an option expects an object of; none if a function will do.
        allows: Tells whether a configuration may name an object.
        own_option: The option that allows more packages.
    """
    if renamed := new_class(name):
        return f"is called {renamed} now; name that"
    if "." not in name:
        kind: Any = find_class(name, bases)
        if kind is None and bases:
            own = "a class of your own goes by its full name, module.Class"
            return f"no such class; {nearest(name, suggestions(bases))}; {own}"
        return f"is abstract; {nearest('', suggestions(bases))}" if inspect.isabstract(kind) else None
    package = name.partition(".")[0]
    found = find_class(name, bases) if allows(name) else None
    if not allows(name) or (found is not None and not allows(_defined_as(found, name))):
        if not _is_installed(package):
            return f"no module named {package} in this folder, beside the configuration or installed"
        advice = "" if package in sys.stdlib_module_names else f" ({own_option} {package}, if you trust it)"
        return f"{_NOT_ALLOWED}{advice}"
    if found is None:
        module, path = _imported(name)
        if module is None or len(path) > 1:
            return f"no module named {name.rpartition('.')[0]}; mend its name"
        classes = [each for each, kind in vars(module).items() if _is_own(kind, module, bases)]
        close = difflib.get_close_matches(path[0], classes, n=1)
        if close:
            return f"no such class; did you mean {module.__name__}.{close[0]}?"
        return f"no such class in {module.__name__}; {nearest(path[0], classes)}"
    if bases and not inspect.isclass(found):
        return "is a function where a class is needed; name a class"
    if bases and not issubclass(found, tuple(bases)):
        return f"cannot be used here: it is no {' and no '.join(base.__name__ for base in bases)}; name another class"
    return "is abstract; name a class that can be made" if inspect.isabstract(found) else None


def suggestions(bases: Sequence[type]) -> list[str]:
    """The names of the classes that an option is mostly given."""
    homes = [home for base in bases for kind in inspect.getmro(base) for home in _PUBLIC.get(kind.__name__, ())]
    found = []
    for home in dict.fromkeys(homes):
        module = importlib.import_module(home)
        for name in {*vars(module), *getattr(module, "__all__", ())}:
            kind: Any = getattr(module, name)
            if _is_usable(kind, bases) and name[0] != "_" and name not in _NOT_SUGGESTED:
                found.append(name)
    return sorted(found)


_NOT_ALLOWED = (
    "may not be named here; name a class of parity_lightning, lightning or torch.optim, or one in a module in this "
    "folder or beside the configuration"
)


def _imported(name: str) -> tuple[Any, list[str]]:
    """The longest part of a name that is a module imported already, and the parts that follow."""
    parts = name.split(".")
    for count in range(len(parts) - 1, 0, -1):
        if module := sys.modules.get(".".join(parts[:count])):
            return module, parts[count:]
    return None, parts


def _subclasses(base: type) -> Iterator[type]:
    yield base
    subclasses: list[type] = base.__subclasses__()
    for kind in subclasses:
        yield from _subclasses(kind)


def _is_usable(kind: Any, bases: Sequence[type]) -> bool:
    return inspect.isclass(kind) and not inspect.isabstract(kind) and (not bases or issubclass(kind, tuple(bases)))


def _is_own(kind: Any, module: Any, bases: Sequence[type]) -> bool:
    return _is_usable(kind, bases) and kind.__module__.startswith(module.__name__)


def _defined_as(found: Any, name: str) -> str:
    module, own_name = getattr(found, "__module__", None), getattr(found, "__qualname__", None)
    return f"{module}.{own_name}" if isinstance(module, str) and isinstance(own_name, str) else name


def _is_installed(package: str) -> bool:
    try:
        return find_spec(package) is not None
    except (ImportError, ValueError):
        return False
