"""PyTorch's settings on NVIDIA GPUs: what is rounded to TF32, and what makes it compute the same bits each time."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch


def uses_tf32() -> bool:
    """Whether products of float32 matrices are rounded to TF32 on NVIDIA GPUs.

    By PyTorch's defaults they are not, but convolutions are.
    """
    matmul = torch.backends.cuda.matmul
    # Where a program has set the newer of the two, PyTorch refuses to read the older.
    found = matmul.fp32_precision == "tf32" if hasattr(matmul, "fp32_precision") else matmul.allow_tf32
    return bool(found)


@contextmanager
def same_each_time() -> Iterator[None]:
    """A context in which PyTorch computes the same bits for the same operation of tensors of the same shapes.

    cuBLAS repeats its bits where each CUDA stream has a workspace of its own, as PyTorch gives it; so
    ``CUBLAS_WORKSPACE_CONFIG``, which PyTorch's deterministic mode asks for, need not be set. cuDNN does not try out
    algorithms for convolutions. Sums by atomic additions, as gradients of some indexing are, are replaced where PyTorch
    has other code for them; elsewhere they stay, and the last bits of such networks may differ from run to run.

    Unless products of matrices are rounded to TF32, see `uses_tf32`, convolutions are not, either; but where a program
    has chosen for convolutions alone, by ``torch.backends.cudnn.conv``, that is left as it is.
    """
    filling: Any = torch.utils.deterministic
    mode, fills = torch.get_deterministic_debug_mode(), filling.fill_uninitialized_memory
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        switches = _switches()
        before = [getattr(owner, name) for owner, name, _ in switches]
        try:
            for owner, name, value in switches:
                setattr(owner, name, value)
            # Not by use_deterministic_algorithms, which imports PyTorch's compiler.
            torch.set_deterministic_debug_mode(max(mode, 1))
            filling.fill_uninitialized_memory = False
            yield
        finally:
            for (owner, name, _), value in zip(switches, before, strict=True):
                setattr(owner, name, value)
            torch.set_deterministic_debug_mode(mode)
            filling.fill_uninitialized_memory = fills


def _switches() -> list[tuple[Any, str, Any]]:
    """What to set of PyTorch's settings of convolutions: of what, which, and to what."""
    cudnn: Any = torch.backends.cudnn
    switches: list[tuple[Any, str, Any]] = [(cudnn, "benchmark", False), (cudnn, "deterministic", True)]
    try:
        rounded = cudnn.allow_tf32
    except RuntimeError:
        # A program has set convolutions and recurrent layers one by one.
        return switches
    return [*switches, (cudnn, "allow_tf32", rounded and uses_tf32())]
