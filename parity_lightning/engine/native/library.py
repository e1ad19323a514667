"""The library of steps in C++: built once for a kind of number, kept in the folder of compiled functions."""

from __future__ import annotations

import ctypes
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from functools import cache
from pathlib import Path

import torch

from parity_lightning.engine.library_cache import check_private, private_cache
from parity_lightning.engine.not_compiled import NotCompiled

_SOURCE = Path(__file__).with_name("step.cpp")
_TYPES = {torch.float32: "float", torch.float64: "double"}
# No option that lets the compiler change what is computed: infinities and NaN must show that a trial diverged.
_FLAGS = ("-O3", "-march=native", "-fno-math-errno", "-fno-trapping-math", "-std=c++17", "-fPIC", "-shared")


@cache
def load_library(kind: torch.dtype) -> ctypes.CDLL:
    """The library for numbers of a kind; built if there is none yet, which takes some seconds.

    Args:
        kind: ``torch.float32`` or ``torch.float64``.

    Raises:
        NotCompiled: If there is no C++ compiler, or it fails.
        SettingError: If others can write to the folder of compiled functions.
    """
    if kind not in _TYPES:
        raise NotCompiled(f"there are no steps in C++ for {kind}")
    compiler = shutil.which(os.environ.get("CXX") or "g++") or shutil.which("clang++")
    if compiler is None:
        raise NotCompiled("there is no C++ compiler; install g++, or set CXX")
    options = [*_FLAGS, f"-DREAL={_TYPES[kind]}"]
    # The compiler's version and this processor's instructions: a folder may be shared by several machines.
    target = _run([compiler, "-march=native", "-dM", "-E", "-x", "c++", os.devnull])
    parts = (_SOURCE.read_bytes(), repr(options).encode(), target)
    name = hashlib.sha256(b"\0".join(parts)).hexdigest()[:32]
    path = private_cache() / f"{name}.so"
    if not _is_whole(path):
        _build(compiler, options, path)
    check_private(path, "remove it")
    return ctypes.CDLL(str(path))


def _run(command: list[str]) -> bytes:
    try:
        return subprocess.run(command, capture_output=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError) as error:
        told = error.stderr.decode(errors="replace") if isinstance(error, subprocess.CalledProcessError) else str(error)
        raise NotCompiled(" ".join(f"{command[0]}: {told}".split())[:300]) from None


def _checksum_file(path: Path) -> Path:
    return path.with_suffix(".sha256")


def _is_whole(path: Path) -> bool:
    """Whether a library is there, as it was written."""
    if not path.exists() or not _checksum_file(path).exists():
        return False
    if hashlib.sha256(path.read_bytes()).hexdigest() == _checksum_file(path).read_text():
        return True
    print(f"{path} is damaged; it is built again", file=sys.stderr, flush=True)
    return False


def _build(compiler: str, options: list[str], path: Path) -> None:
    from filelock import FileLock

    with FileLock(path.with_suffix(".lock"), mode=0o600):
        if path.exists() and _is_whole(path):
            # Another process has built it meanwhile.
            return
        with tempfile.TemporaryDirectory(dir=path.parent, prefix=f"{path.stem}-building-") as folder:
            new = Path(folder) / path.name
            _run([compiler, *options, str(_SOURCE), "-o", str(new), "-lm"])
            new.chmod(0o600)
            checksum = _checksum_file(new)
            checksum.write_text(hashlib.sha256(new.read_bytes()).hexdigest())
            checksum.chmod(0o600)
            # A library without a checksum counts as none, so one that is killed in between leaves nothing wrong.
            os.replace(new, path)
            os.replace(checksum, _checksum_file(path))
