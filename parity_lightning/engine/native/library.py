"""The library of steps in C++: built once for a kind of number, kept in the folder of compiled functions."""

from __future__ import annotations

import ctypes
import hashlib
import os
import shlex
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import NamedTuple

import torch

from parity_lightning.engine.library_cache import check_private, folder_to_build_in, private_cache
from parity_lightning.engine.not_compiled import NotCompiled

_SOURCE, _HEADER = (Path(__file__).with_name(name) for name in ("step.cpp", "arithmetic.h"))
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
    """The library for numbers of a kind; built if there is none yet, which takes some seconds.

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
    parts = (_SOURCE.read_bytes(), _HEADER.read_bytes(), repr(options).encode(), target)
    version = hashlib.sha256(b"\0".join(parts)).hexdigest()[:32]
    path = private_cache() / f"{version}.so"
    for _ in range(2):
        if not _is_whole(path):
            _build(compiler, options, path)
        check_private(path, "remove it")
        try:
            return Library(ctypes.CDLL(str(path)), version[:8])
        except OSError as error:
            why = " ".join(f"{error}".split())
            path.unlink(missing_ok=True)
    raise NotCompiled(
        f"the library that was built cannot be loaded ({why}); set PARITY_LIGHTNING_CACHE to another folder"
    )


def find_compiler() -> list[str]:
    """The C++ compiler and what its command begins with: ``$CXX``, or the first that is found.

    Raises:
        NotCompiled: If there is none.
    """
    if given := shlex.split(os.environ.get("CXX", "")):
        if shutil.which(given[0]) is None:
            raise NotCompiled(f"CXX={os.environ['CXX']}: no such program; name a C++ compiler")
        return given
    for name in ("g++", "clang++", "c++"):
        if shutil.which(name):
            return [name]
    raise NotCompiled("there is no C++ compiler; install g++, or set CXX")


def _run(command: list[str]) -> bytes:
    try:
        return subprocess.run(command, capture_output=True, check=True).stdout
    except OSError as error:
        why = str(error)
    except subprocess.CalledProcessError as error:
        why = error.stderr.decode(errors="replace")
    raise NotCompiled(" ".join(f"{command[0]}: {why}".split())[:300])


def _checksum_file(path: Path) -> Path:
    return path.with_suffix(".sha256")


def _is_whole(path: Path) -> bool:
    """Whether a library is there, as it was written."""
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest().encode() == _checksum_file(path).read_bytes()
    except FileNotFoundError:
        return False


def _build(compiler: list[str], options: list[str], path: Path) -> None:
    from filelock import FileLock

    with FileLock(path.with_suffix(".lock"), mode=0o600):
        if _is_whole(path):
            # Another process has built it meanwhile.
            return
        reason = f"{path} is damaged; it is built again" if path.exists() else "compiling the steps in C++, once"
        print(f"{reason}: some seconds", file=sys.stderr, flush=True)
        with folder_to_build_in(path.with_suffix("")) as folder:
            new = folder / path.name
            _run([*compiler, *options, str(_SOURCE), "-o", str(new), "-lm"])
            new.chmod(0o600)
            checksum = _checksum_file(new)
            checksum.write_text(hashlib.sha256(new.read_bytes()).hexdigest())
            checksum.chmod(0o600)
            # A library without a checksum counts as none, so one that is killed in between leaves nothing wrong.
            os.replace(new, path)
            os.replace(checksum, _checksum_file(path))
