"""The library of steps in C++: built once for a kind of number, kept in the folder of compiled functions."""

from __future__ import annotations

import ctypes
import hashlib
import os
import subprocess
from functools import cache
from pathlib import Path
from typing import NamedTuple

import torch

from parity_lightning.engine.library_cache import private_cache
from parity_lightning.engine.native.build import build_once
from parity_lightning.engine.native.compiler import find_compiler
from parity_lightning.engine.not_compiled import NotCompiled

# The first includes the others.
_SOURCES = [
    Path(__file__).with_name(name)
    for name in ("step.cpp", "errors.h", "trial.h", "signs.h", "vectors.h", "draw.h", "arithmetic.h")
]
_TYPES = {torch.float32: "float", torch.float64: "double"}
# No option that lets the compiler change what is computed: infinities and NaN must show that a trial diverged.
_FLAGS = ("-O3", "-march=native", "-fno-math-errno", "-fno-trapping-math", "-std=c++17", "-fPIC", "-shared")


class Library(NamedTuple):
    """The library for one kind of number.

    Attributes:
        functions: Those of step.cpp.
        version: Names source, compiler and instructions: where it is the same, so are the numbers.
    """

    functions: ctypes.CDLL
    version: str


@cache
def load_library(kind: torch.dtype) -> Library:
    """The library for numbers of a kind; built if there is none yet, which takes some seconds, or a minute.

    Args:
        kind: ``torch.float32`` or ``torch.float64``.

    Raises:
        NotCompiled: If there is no C++ compiler, or it fails.
        SettingError: If others can write to the folder of compiled functions.
    """
    if kind not in _TYPES:
        raise NotCompiled(f"there are no steps in C++ for {kind}")
    compiler = find_compiler()
    options = [*_FLAGS, f"-DREAL={_TYPES[kind]}"]
    # The compiler's version and this processor's instructions: a folder may be shared by several machines.
    target = _run([*compiler, "-march=native", "-dM", "-E", "-x", "c++", os.devnull])
    parts = (*(source.read_bytes() for source in _SOURCES), repr(options).encode(), target)
    version = hashlib.sha256(b"\0".join(parts)).hexdigest()[:32]
    path = private_cache() / f"{version}.so"

    def build(new: Path) -> None:
        _run([*compiler, *options, str(_SOURCES[0]), "-o", str(new), "-lm"])

    for _ in range(2):
        build_once(path, build, "the steps in C++", "a minute" if "ziglang" in compiler else "some seconds")
        try:
            return Library(ctypes.CDLL(str(path)), version[:8])
        except OSError as error:
            why = " ".join(f"{error}".split())
            path.unlink(missing_ok=True)
    raise NotCompiled(
        f"the library that was built cannot be loaded ({why}); set PARITY_LIGHTNING_CACHE to another folder"
    )


def _run(command: list[str]) -> bytes:
    try:
        return subprocess.run(command, capture_output=True, check=True).stdout
    except OSError as error:
        why = str(error)
    except subprocess.CalledProcessError as error:
        why = error.stderr.decode(errors="replace")
    raise NotCompiled(" ".join(f"{command[0]}: {why}".split())[:300])
