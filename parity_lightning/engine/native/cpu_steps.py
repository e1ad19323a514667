"""Steps and evaluations on a CPU, by the library in C++."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence

import torch
from torch import Tensor

from parity_lightning.engine.native.library import load_library
from parity_lightning.engine.native.steps import NativeSteps, NetworkTensors, Parameter, Update
from parity_lightning.engine.native.stream import ParityStream, address_of, stream_of
from parity_lightning.engine.objective import Objective
from parity_lightning.engine.update_rules import UpdateFunction

_int = ctypes.c_int64


class CpuSteps(NativeSteps):
    """`NativeSteps` on a CPU, of step.cpp.

    Raises:
        NotCompiled: If there is no code for this network or rule, or no library.
        SettingError: If others can write to the folder of compiled functions.
    """

    def __init__(
        self,
        objective: Objective,
        rule: UpdateFunction,
        groups: Sequence[int],
        n: int,
        noisy: bool,
        weights: Sequence[Tensor],
    ) -> None:
        super().__init__(objective, rule, groups, n, noisy, weights)
        library = load_library(weights[0].dtype)
        self._library, self.version = library.functions, f"C++ {library.version}"
        _check_layout(self._library)
        # Kept here, for the library reads them where they lie.
        self._kept = (ctypes.c_double * len(self._coefficients))(*self._coefficients)
        self._form.coefficients = ctypes.addressof(self._kept)
        self._form.coefficient_count = len(self._coefficients) // 2

    def run(
        self, words: Sequence[Tensor], options: Tensor, steps_made: Tensor, weights: Sequence[Tensor], indices: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Takes steps; see `Computation`."""
        steps, trials, batch = indices.shape
        indices, options = indices.contiguous(), options.contiguous()
        network = self._network_of(weights)
        stream = stream_of(words, "train", self._noisy)
        losses = torch.empty(steps, trials, dtype=weights[0].dtype)
        errors = torch.empty(steps, trials, dtype=torch.int64)
        status = self._library.train(
            ctypes.byref(network),
            ctypes.byref(stream),
            ctypes.byref(self._update),
            _int(self._loss),
            _int(trials),
            _int(steps),
            _int(batch),
            address_of(indices),
            address_of(options),
            _int(options.dim() == 3),
            address_of(steps_made),
            address_of(losses),
            address_of(errors),
        )
        self._check(status)
        return losses, errors

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

    def _check(self, status: int) -> None:
        if status:
            raise MemoryError("one trial does not fit into memory; use fewer units")


def _check_layout(library: ctypes.CDLL) -> None:
    """Compares the structures here with those of the library: a mistake would write to wrong places."""
    sizes = (_int * 4)()
    library.structure_sizes(sizes)
    expected = [ctypes.sizeof(each) for each in (Parameter, NetworkTensors, ParityStream, Update)]
    assert list(sizes) == expected, "the structures in steps.py and stream.py are not those of arithmetic.h"
