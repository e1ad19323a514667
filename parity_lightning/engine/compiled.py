"""Functions of tensors, traced and compiled ahead of time, and kept on disk for the next process.

A function is traced into a graph for any number of trials, compiled by TorchInductor into a library, and called without
a Python frame in between: some ten microseconds a call. Compiling takes some seconds, loading what was compiled
before some milliseconds. What is kept is found by the graph itself, so another network, batch size or version of
PyTorch never gets it.

Some networks cannot be traced for any number of trials, those with ``torch.prod`` for one. They are compiled for a
single trial, and the trials of a stack are called one after another.
"""

from __future__ import annotations

import errno
import hashlib
import os
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from parity_lightning.engine.library_cache import (
    building_in,
    cache_folder,
    check_private,
    folder_to_build_in,
    is_whole,
    private_cache,
)
from parity_lightning.engine.native.compiler import system_compiler
from parity_lightning.engine.not_compiled import NotCompiled
from parity_lightning.errors import SettingError
from parity_lightning.terminal.output import complain, note

Flat = Callable[[list[Tensor]], Sequence[Tensor]]

_MOST_TRIALS = 2**20

_SINGLE = "-single"

_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def compile_stacked(function: Callable[..., Any], example: Sequence[Tensor], shared: int = 0) -> Flat:
    """Compiles a function for any number of trials.

    Args:
        function: Takes tensors, may change them in place, and returns a tuple of tensors.
        example: Its arguments, for some number of trials: the first dimension of each counts them.
        shared: How many of the first arguments have no such dimension.

    Returns:
        The compiled function, of a list of contiguous tensors; without gradients.

    Raises:
        NotCompiled: If it cannot be traced or compiled, because there is no C++ compiler for example.
        SettingError: If others can write to the folder of compiled functions.
        OSError: If there is no room on the disk.
    """
    # Tracing takes seconds, and would be for nothing.
    if system_compiler() is None:
        raise NotCompiled("PyTorch's compiler needs a C++ compiler; install g++")
    # Imported here: PyTorch's compiler takes seconds to import, and most runs never need it.
    from torch.fx.experimental.proxy_tensor import make_fx

    trials = _distinct_trial_count(example)
    arguments = [*example[:shared], *(torch.cat([argument[:1]] * trials) for argument in example[shared:])]
    try:
        with torch.no_grad(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            # The graph for one number of trials identifies the function; for any number, tracing is ten times slower.
            name = _fingerprint(make_fx(function)(*_copies(arguments)), arguments)
            library, run = _loaded(function, arguments, shared, name)
    except SettingError:
        raise
    except Exception as error:
        if full := _disk_is_full(error):
            raise full from None
        raise NotCompiled(" ".join(f"{type(error).__name__}: {error}".split())[:300]) from error
    return _one_by_one(run, shared) if library.stem.endswith(_SINGLE) else run


def _one_by_one(run: Flat, shared: int) -> Flat:
    """The function of any number of trials, out of that of one."""

    def run_all(tensors: list[Tensor]) -> list[Tensor]:
        common, own = tensors[:shared], tensors[shared:]
        each = [run([*common, *(tensor[place : place + 1] for tensor in own)]) for place in range(len(own[0]))]
        return [torch.cat(results) for results in zip(*each, strict=True)]

    return run_all


def _loaded(function: Callable[..., Any], arguments: Sequence[Tensor], shared: int, name: str) -> tuple[Path, Flat]:
    """The library of this name, ready to run; built if there is none, and once more if it cannot be loaded."""
    folder = private_cache()
    if (library := _find(folder, name)) is not None and (run := _load(library)) is not None:
        return library, run
    from filelock import FileLock

    # One process builds; others that need the same wait for it.
    with FileLock(folder / f"{name}.lock", mode=0o600):
        for compiler_cache in (folder / "compiler", None):
            if (library := _find(folder, name)) is None:
                library = _build(function, arguments, shared, folder / name, compiler_cache)
            if (run := _load(library)) is not None:
                return library, run
            complain(f"{library} is damaged; it is built again")
            library.unlink()
    raise RuntimeError("the library that was built cannot be loaded")


def _load(library: Path) -> Flat | None:
    """The function in a library; None if it is damaged."""
    check_private(library, "remove it")
    if not is_whole(library):
        return None
    try:
        run: Flat = torch._inductor.aoti_load_package(str(library)).loader.run
    except Exception:
        return None
    return run


def _find(folder: Path, name: str) -> Path | None:
    """The library of this name, for any number of trials or for one."""
    paths = (folder / f"{name}{ending}.pt2" for ending in ("", _SINGLE))
    return next((path for path in paths if path.exists()), None)


def _disk_is_full(error: BaseException | None) -> OSError | None:
    """The error of a full disk, which the compiler wraps in an error or a text of its own; None if it is another."""
    while error is not None:
        if isinstance(error, OSError) and error.errno in _NO_ROOM:
            return error
        for number in _NO_ROOM:
            if os.strerror(number) in str(error):
                return OSError(number, os.strerror(number), str(cache_folder()))
        error = error.__cause__ or error.__context__
    return None


def _distinct_trial_count(example: Sequence[Tensor]) -> int:
    """A number of trials, at least 2, that is no other dimension's size, so that tracing cannot confuse the two."""
    taken = {size for argument in example for size in argument.shape[1:]}
    return next(number for number in range(2, len(taken) + 3) if number not in taken)


def _copies(arguments: Sequence[Tensor]) -> list[Tensor]:
    """Copies for tracing, which runs the function and may change its arguments."""
    return [argument.clone() for argument in arguments]


def _fingerprint(graph: torch.fx.GraphModule, arguments: Sequence[Tensor]) -> str:
    """What the compiled function depends on."""
    constants = [(name, value.tolist()) for name, value in sorted(graph.state_dict().items())]
    constants += [(name, value.tolist()) for name, value in sorted(vars(graph).items()) if isinstance(value, Tensor)]
    kinds = [(tuple(argument.shape), str(argument.dtype), str(argument.device)) for argument in arguments]
    machine = (torch.__version__, torch.backends.cpu.get_cpu_capability(), torch.get_num_threads())
    description = repr((graph.code, constants, kinds, machine))
    return hashlib.sha256(description.encode()).hexdigest()[:32]


def _build(
    function: Callable[..., Any], arguments: Sequence[Tensor], shared: int, stem: Path, compiler_cache: Path | None
) -> Path:
    """Compiles a function into a library.

    Args:
        function: The function.
        arguments: Its arguments.
        shared: How many of them have no trial axis.
        stem: The path of the library, but for its ending.
        compiler_cache: Where the compiler keeps what other functions may need, too; by default in a folder that is
            empty, for a compiler that was killed may have left files half written.
    """
    note("compiling for this network and batch size, once: about half a minute")
    with folder_to_build_in(stem) as folder:
        with building_in(compiler_cache or folder):
            try:
                program, ending = _exported(function, arguments, shared), ""
            except Exception:
                single = [*arguments[:shared], *(argument[:1] for argument in arguments[shared:])]
                program, ending = _exported(function, single), _SINGLE
            path = torch._inductor.aoti_compile_and_package(
                program, package_path=str(folder / "new.pt2"), inductor_configs=_settings()
            )
        library = stem.with_name(f"{stem.name}{ending}.pt2")
        os.replace(path, library)
    return library


def _settings() -> dict[str, bool]:
    """Settings of PyTorch's compiler."""
    # Precompiled headers go to a folder below /tmp, wherever other files go; another user may have made it before.
    has_headers = hasattr(torch._inductor.config.aot_inductor, "precompile_headers")
    return {"aot_inductor.precompile_headers": False} if has_headers else {}


def _exported(function: Callable[..., Any], arguments: Sequence[Tensor], shared: int | None = None) -> Any:
    """What the compiler takes: for any number of trials in all arguments but the first ``shared``; or for these."""
    from torch.fx.experimental.proxy_tensor import make_fx

    if shared is None:
        return torch.export.export(make_fx(function)(*_copies(arguments)), tuple(arguments), strict=False)
    graph = make_fx(function, tracing_mode="symbolic")(*_copies(arguments))
    trials = torch.export.Dim("trials", min=2, max=_MOST_TRIALS)
    shapes = tuple({} if place < shared else {0: trials} for place in range(len(arguments)))
    return torch.export.export(graph, tuple(arguments), dynamic_shapes=shapes, strict=False)
