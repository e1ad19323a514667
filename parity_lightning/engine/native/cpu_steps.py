"""Steps and evaluations on a CPU, by the library in C++."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence

import torch
from torch import Tensor

from parity_lightning.data.held_out import HELD_OUT
from parity_lightning.engine.computation import Training
from parity_lightning.engine.evaluation import BLOCK, ErrorCounts
from parity_lightning.engine.native.library import load_library
from parity_lightning.engine.native.steps import NativeSteps, NetworkTensors, Parameter, Update
from parity_lightning.engine.native.stream import ParityStream, address_of, stream_of

_int = ctypes.c_int64


class CpuSteps(NativeSteps):
    """`NativeSteps` on a CPU, of step.cpp.

    Raises:
        NotCompiled: If there is no code for this network or rule, or no library.
        SettingError: If others can write to the folder of compiled functions.
    """

    def __init__(self, training: Training, weights: Sequence[Tensor]) -> None:
        super().__init__(training, weights)
        library = load_library(weights[0].dtype)
        self._library, self.version = library.functions, f"C++ {library.version}"
        _check_layout(self._library)
        # Kept here, for the library reads them where they lie.
        self._kept = (ctypes.c_double * len(self._coefficients))(*self._coefficients)
        self._form.coefficients = ctypes.addressof(self._kept)

    def _train(self, arguments: Sequence[ctypes._CData], trials: int) -> None:
        # Structures by their addresses.
        given = (ctypes.byref(each) if isinstance(each, ctypes.Structure) else each for each in arguments)
        self._check(self._library.train(*given))

    def errors(
        self, words: Sequence[Tensor], weights: Sequence[Tensor], places: Tensor, first: int, end: int
    ) -> Tensor:
        """Counts errors; see `Computation`."""
        network, stream = self._network_of(weights), stream_of(words, "validation", self._noisy)
        places, errors = places.contiguous(), torch.empty(len(places), dtype=torch.int64)
        status = self._library.count_errors(
            ctypes.byref(network),
            ctypes.byref(stream),
            _int(len(places)),
            address_of(places),
            _int(first),
            _int(end),
            address_of(errors),
        )
        self._check(status)
        return errors

    def evaluate(
        self, words: Sequence[Tensor], weights: Sequence[Tensor], places: Tensor, screen_size: int
    ) -> ErrorCounts:
        """Counts errors in one call; see `Computation`."""
        network, stream = self._network_of(weights), stream_of(words, "validation", self._noisy)
        places, counts = places.contiguous(), torch.empty(2, len(places), dtype=torch.int64)
        status = self._library.evaluate(
            ctypes.byref(network),
            ctypes.byref(stream),
            _int(len(places)),
            address_of(places),
            *map(_int, (min(screen_size, HELD_OUT), BLOCK, HELD_OUT)),
            *map(address_of, counts),
        )
        self._check(status)
        return ErrorCounts(*counts)

    def _check(self, status: int) -> None:
        if status:
            raise MemoryError("one trial does not fit into memory; use fewer units")


def _check_layout(library: ctypes.CDLL) -> None:
    """Compares the structures here with those of the library: a mistake would write to wrong places."""
    sizes = (_int * 4)()
    library.structure_sizes(sizes)
    expected = [ctypes.sizeof(each) for each in (Parameter, NetworkTensors, ParityStream, Update)]
    assert list(sizes) == expected, "the structures in steps.py and stream.py are not those of arithmetic.h"
