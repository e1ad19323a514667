"""Finds a C++ compiler."""

from __future__ import annotations

import importlib.util
import os
import shlex
import shutil
import sys

from parity_lightning.engine.not_compiled import NotCompiled


def find_compiler() -> list[str]:
    """The C++ compiler and what its command begins with: ``$CXX``, the system's, or that of the package ziglang.

    Raises:
        NotCompiled: If there is none.
    """
    found = system_compiler()
    if found is None and importlib.util.find_spec("ziglang") is not None:
        # Clang in a Python package; without "-m" it would have to be looked for in the environment's folders.
        return [sys.executable, "-m", "ziglang", "c++"]
    if found is None:
        raise NotCompiled("there is no C++ compiler; install g++, or pip install 'parity-lightning[compiler]'")
    return found


def system_compiler() -> list[str] | None:
    """The compiler of ``$CXX``, or the system's; None if there is neither. PyTorch's own compiler needs one of these.

    Raises:
        NotCompiled: If ``$CXX`` names no program.
    """
    if given := shlex.split(os.environ.get("CXX", "")):
        if shutil.which(given[0]) is None:
            raise NotCompiled(f"CXX={os.environ['CXX']}: no such program; name a C++ compiler")
        return given
    return next(([name] for name in ("g++", "clang++", "c++") if shutil.which(name)), None)
