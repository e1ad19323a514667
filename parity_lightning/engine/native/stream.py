"""The examples of a stack, drawn in C++: the same bits as those of `ParityStack.draw`."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from parity_lightning.data.sparse_parity import NOISE_PURPOSE, Stream, input_purpose
from parity_lightning.engine.native.library import load_library

_int, _pointer = ctypes.c_int64, ctypes.c_void_p

Drawing = Callable[[Sequence[Tensor], Tensor, Stream, bool], tuple[Tensor, Tensor]]
"""Draws the examples of a stack; see `NativeDrawing`."""


class ParityStream(ctypes.Structure):
    """A stream of the parities of a stack, as step.cpp has it."""

    _fields_ = (
        ("low", _pointer),
        ("high", _pointer),
        ("relevant", _pointer),
        ("flip_below", _pointer),
        ("purpose", _int),
        ("noise_purpose", _int),
        ("is_noisy", _int),
    )


def stream_of(words: Sequence[Tensor], stream: Stream, noisy: bool) -> ParityStream:
    """A stream of parities; it is valid as long as the tensors are.

    Args:
        words: What their examples depend on, as in `ParityStack`; contiguous.
        stream: Which.
        noisy: Whether labels of the training stream may be flipped.
    """
    low, high, relevant, flip_below = (word.data_ptr() for word in words)
    noisy = noisy and stream == "train"
    return ParityStream(low, high, relevant, flip_below, input_purpose(stream), NOISE_PURPOSE, noisy)


def address_of(tensor: Tensor) -> ctypes.c_void_p:
    """Where a tensor lies."""
    return _pointer(tensor.data_ptr())


class NativeDrawing:
    """Draws the examples of a stack.

    Args:
        n: How many bits an input has.
        kind: The type of inputs and labels, float32 or float64.

    Raises:
        NotCompiled: If there is no library for this type, or no compiler to build it.
        SettingError: If others can write to the folder of compiled functions.
    """

    def __init__(self, n: int, kind: torch.dtype) -> None:
        self._library = load_library(kind).functions
        self._n, self._kind = n, kind

    def __call__(self, words: Sequence[Tensor], index: Tensor, stream: Stream, noisy: bool) -> tuple[Tensor, Tensor]:
        """Draws them.

        Args:
            words: What the examples of each trial depend on, as in `ParityStack`; contiguous.
            index: int64 tensor of shape ``(T, B)``, or ``(B,)`` for the same indices in every trial.
            stream: Of which stream.
            noisy: Whether labels of the training stream may be flipped.

        Returns:
            The inputs, of shape ``(T, B, n)``, and the labels, of shape ``(T, B)``.
        """
        trials, count = len(words[0]), index.shape[-1]
        index = index.contiguous()
        x = torch.empty(trials, count, self._n, dtype=self._kind)
        y = torch.empty(trials, count, dtype=self._kind)
        drawn = stream_of(words, stream, noisy)
        self._library.draw_examples(
            ctypes.byref(drawn),
            _int(trials),
            _int(self._n),
            _int(count),
            address_of(index),
            _int(index.dim() == 1),
            address_of(x),
            address_of(y),
        )
        return x, y
