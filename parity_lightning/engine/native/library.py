"""The library of steps in C++, loaded."""

from __future__ import annotations

import ctypes
from functools import cache
from typing import NamedTuple

import torch

from parity_lightning.engine.native.shared_library import build_library
from parity_lightning.engine.not_compiled import NotCompiled

_TYPES = {torch.float32: "float", torch.float64: "double"}


class Library(NamedTuple):
    """The library for one kind of number.

    Attributes:
        functions: Those of step.cpp.
        version: As of `SharedLibrary`.
    """

    functions: ctypes.CDLL
    version: str


@cache
def load_library(kind: torch.dtype) -> Library:
    """The library for numbers of a kind; built if there is none yet.

    Args:
        kind: ``torch.float32`` or ``torch.float64``.

    Raises:
        NotCompiled: If there is no C++ compiler, or it fails.
        SettingError: If others can write to the folder of compiled functions.
    """
    if kind not in _TYPES:
        raise NotCompiled(f"there are no steps in C++ for {kind}")
    for _ in range(2):
        path, version = build_library(_TYPES[kind])
        try:
            return Library(ctypes.CDLL(str(path)), version)
        except OSError as error:
            why = " ".join(f"{error}".split())
            path.unlink(missing_ok=True)
    raise NotCompiled(
        f"the library that was built cannot be loaded ({why}); set PARITY_LIGHTNING_CACHE to another folder"
    )
