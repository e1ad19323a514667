"""The examples of a stack, drawn by a kernel on a GPU: the same bits as those of `ParityStack.draw`."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence

import torch
from torch import Tensor

from parity_lightning.data.sparse_parity import Stream
from parity_lightning.engine.native.gpu_program import TYPES, Gpu
from parity_lightning.engine.native.stream import address_of, stream_of
from parity_lightning.engine.not_compiled import NotCompiled

_int = ctypes.c_int64

# How many examples a block of threads draws.
_THREADS = 128


class GpuDrawing:
    """Draws the examples of a stack that lies on a GPU, as `NativeDrawing` does on a CPU.

    It takes one launch on the current stream, and nothing is waited for, so a CUDA graph can hold it.

    Args:
        n: How many bits an input has.
        kind: The type of inputs and labels, float32 or float64.
        gpu: The GPU.

    Raises:
        NotCompiled: If there is no kernel for this type, or it cannot be compiled.
        SettingError: If others can write to the folder of compiled functions.
    """

    def __init__(self, n: int, kind: torch.dtype, gpu: Gpu) -> None:
        if kind not in TYPES:
            raise NotCompiled(f"there are no kernels for {kind}")
        self._program = gpu.program("draw.cu", f"REAL={TYPES[kind]}")
        self._n, self._kind = n, kind

    def __call__(self, words: Sequence[Tensor], index: Tensor, stream: Stream, noisy: bool) -> tuple[Tensor, Tensor]:
        """Draws them; see `NativeDrawing`."""
        trials, count = len(words[0]), index.shape[-1]
        index = index.contiguous()
        x = torch.empty(trials, count, self._n, dtype=self._kind, device=index.device)
        y = torch.empty(trials, count, dtype=self._kind, device=index.device)
        if not y.numel():
            return x, y
        arguments = [
            stream_of(words, stream, noisy),
            *map(_int, (trials, self._n, count)),
            address_of(index),
            _int(index.dim() == 1),
            address_of(x),
            address_of(y),
        ]
        self._program.launch("draw_examples", (-(-y.numel() // _THREADS), 1), _THREADS, 0, arguments)
        return x, y
