"""The shared library of steps in C++: built once for a kind of number, kept in the folder of compiled functions.

Nothing here needs torch, so it can be built while torch is imported.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
from pathlib import Path
from typing import NamedTuple

from parity_lightning.engine.library_cache import private_cache
from parity_lightning.engine.native.build import build_once
from parity_lightning.engine.native.compiler import find_compiler
from parity_lightning.engine.not_compiled import NotCompiled

# The first includes the others.
_SOURCES = [
    Path(__file__).with_name(name)
    for name in ("step.cpp", "errors.h", "trial.h", "signs.h", "vectors.h", "draw.h", "arithmetic.h")
]
# No option that lets the compiler change what is computed: infinities and NaN must show that a trial diverged.
_FLAGS = ("-O3", "-march=native", "-fno-math-errno", "-fno-trapping-math", "-std=c++17", "-fPIC", "-shared")


class SharedLibrary(NamedTuple):
    """A library that is there.

    Attributes:
        path: Its file.
        version: Names source, compiler and instructions: where it is the same, so are the numbers.
    """

    path: Path
    version: str


def build_library(real: str, *, is_awaited: bool = True) -> SharedLibrary:
    """Builds the library, unless it is there, which takes some seconds, or a minute.

    Args:
        real: The kind of number, as C++ calls it: ``"float"`` or ``"double"``.
        is_awaited: Whether the user waits for it; then a line says that it is compiled.

    Raises:
        NotCompiled: If there is no C++ compiler, or it fails.
        SettingError: If others can write to the folder of compiled functions.
    """
    compiler = find_compiler()
    options = [*_FLAGS, f"-DREAL={real}"]
    # The compiler's version and this processor's instructions: a folder may be shared by several machines.
    target = _run([*compiler, "-march=native", "-dM", "-E", "-x", "c++", os.devnull])
    parts = (*(source.read_bytes() for source in _SOURCES), repr(options).encode(), target)
    version = hashlib.sha256(b"\0".join(parts)).hexdigest()[:32]
    path = private_cache() / f"{version}.so"

    def build(new: Path) -> None:
        _run([*compiler, *options, str(_SOURCES[0]), "-o", str(new), "-lm"])

    duration = "a minute" if "ziglang" in compiler else "some seconds"
    build_once(path, build, "the steps in C++", duration, is_awaited=is_awaited)
    return SharedLibrary(path, version[:8])


def _run(command: list[str]) -> bytes:
    try:
        return subprocess.run(command, capture_output=True, check=True).stdout
    except OSError as error:
        why = str(error)
    except subprocess.CalledProcessError as error:
        why = error.stderr.decode(errors="replace")
    raise NotCompiled(" ".join(f"{command[0]}: {why}".split())[:300])
