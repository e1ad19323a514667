"""Functions of tensors, traced and compiled ahead of time, and kept on disk for the next process.

A function is traced into a graph for any number of trials, compiled by TorchInductor into a library, and called without
a Python frame in between: some ten microseconds a call. Compiling takes some seconds, loading what was compiled
before some milliseconds. What is kept is found by the graph itself, so another network, batch size or version of
PyTorch never gets it.

Some networks cannot be traced for any number of trials, those with ``torch.prod`` for one. They are compiled for a
single trial, and the trials of a stack are called one after another.
"""

from __future__ import annotations

import hashlib
import os
import sys
import tempfile
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

Flat = Callable[[list[Tensor]], Sequence[Tensor]]

_FOLDER_VARIABLE = "PARITY_LIGHTNING_CACHE"

_MOST_TRIALS = 2**20

_SINGLE = "-single"


class NotCompiled(Exception):
    """A function cannot be compiled; the text says why, in one line."""


def cache_folder() -> Path:
    """Where compiled functions are kept: ``$PARITY_LIGHTNING_CACHE``, or ``parity-lightning`` in the user's cache."""
    if _FOLDER_VARIABLE in os.environ:
        return Path(os.environ[_FOLDER_VARIABLE])
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "parity-lightning"


def compile_stacked(function: Callable[..., Any], example: Sequence[Tensor], shared: int = 0) -> Flat:
    """Compiles a function for any number of trials.

    Args:
        function: Takes tensors, may change them in place, and returns a tuple of tensors.
        example: Its arguments, for some number of trials: the first dimension of each counts them.
        shared: How many of the first arguments have no such dimension.

    Returns:
        The compiled function, of a list of contiguous tensors; without gradients.

    Raises:
        NotCompiled: If it cannot be traced or compiled, for want of a C++ compiler for example.
    """
    # Imported here: PyTorch's compiler takes seconds to import, and most runs never need it.
    from torch.fx.experimental.proxy_tensor import make_fx

    trials = _number_of_its_own(example)
    arguments = [*example[:shared], *(torch.cat([argument[:1]] * trials) for argument in example[shared:])]
    try:
        with torch.no_grad(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            # The graph for some number of trials tells what is computed; that for any takes ten times as long to trace.
            name = _fingerprint(make_fx(function)(*_copies(arguments)), arguments)
            library = _find(name) or _build(function, arguments, shared, name)
            run: Flat = torch._inductor.aoti_load_package(str(library)).loader.run
    except Exception as error:
        raise NotCompiled(" ".join(f"{type(error).__name__}: {error}".split())[:300]) from error
    return _one_by_one(run, shared) if library.stem.endswith(_SINGLE) else run


def _one_by_one(run: Flat, shared: int) -> Flat:
    """The function of any number of trials, out of that of one."""

    def run_all(tensors: list[Tensor]) -> list[Tensor]:
        common, own = tensors[:shared], tensors[shared:]
        each = [run([*common, *(tensor[place : place + 1] for tensor in own)]) for place in range(len(own[0]))]
        return [torch.cat(results) for results in zip(*each, strict=True)]

    return run_all


def _find(name: str) -> Path | None:
    """The library of this name, for any number of trials or for one."""
    paths = (cache_folder() / f"{name}{ending}.pt2" for ending in ("", _SINGLE))
    return next((path for path in paths if path.exists()), None)


def _number_of_its_own(example: Sequence[Tensor]) -> int:
    """With how many trials to trace: neither 0 nor 1, which PyTorch takes for constants, nor any other dimension."""
    taken = {size for argument in example for size in argument.shape[1:]}
    return next(number for number in range(2, len(taken) + 3) if number not in taken)


def _copies(arguments: Sequence[Tensor]) -> list[Tensor]:
    """Tracing runs a function, which may change its arguments."""
    return [argument.clone() for argument in arguments]


def _fingerprint(graph: torch.fx.GraphModule, arguments: Sequence[Tensor]) -> str:
    """What the compiled function depends on."""
    constants = [(name, value.tolist()) for name, value in sorted(graph.state_dict().items())]
    constants += [(name, value.tolist()) for name, value in sorted(vars(graph).items()) if isinstance(value, Tensor)]
    kinds = [(tuple(argument.shape), str(argument.dtype), str(argument.device)) for argument in arguments]
    machine = (torch.__version__, torch.backends.cpu.get_cpu_capability(), torch.get_num_threads())
    told = repr((graph.code, constants, kinds, machine))
    return hashlib.sha256(told.encode()).hexdigest()[:32]


def _build(function: Callable[..., Any], arguments: Sequence[Tensor], shared: int, name: str) -> Path:
    """Compiles a function into a library; one process does it, others that need the same wait for it."""
    from filelock import FileLock

    cache_folder().mkdir(parents=True, exist_ok=True)
    with FileLock(cache_folder() / f"{name}.lock"):
        if (library := _find(name)) is not None:
            return library
        print("compiling for this network and batch size, once: about half a minute", file=sys.stderr, flush=True)
        try:
            program, ending = _exported(function, arguments, shared), ""
        except Exception:
            single = [*arguments[:shared], *(argument[:1] for argument in arguments[shared:])]
            program, ending = _exported(function, single), _SINGLE
        library = cache_folder() / f"{name}{ending}.pt2"
        with tempfile.TemporaryDirectory(dir=cache_folder()) as folder:
            path = torch._inductor.aoti_compile_and_package(program, package_path=f"{folder}/new.pt2")
            os.replace(path, library)
        return library


def _exported(function: Callable[..., Any], arguments: Sequence[Tensor], shared: int | None = None) -> Any:
    """What the compiler takes: for any number of trials in all arguments but the first ``shared``; or for these."""
    from torch.fx.experimental.proxy_tensor import make_fx

    if shared is None:
        return torch.export.export(make_fx(function)(*_copies(arguments)), tuple(arguments), strict=False)
    graph = make_fx(function, tracing_mode="symbolic")(*_copies(arguments))
    trials = torch.export.Dim("trials", min=2, max=_MOST_TRIALS)
    shapes = tuple({} if place < shared else {0: trials} for place in range(len(arguments)))
    return torch.export.export(graph, tuple(arguments), dynamic_shapes=shapes, strict=False)
