"""Steps and evaluations on a GPU, by the kernels of step.cu."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from parity_lightning.engine.computation import Training
from parity_lightning.engine.native.gpu_program import TYPES, Program, load_program
from parity_lightning.engine.native.steps import NativeSteps
from parity_lightning.engine.native.stream import address_of, stream_of
from parity_lightning.engine.not_compiled import NotCompiled

_int = ctypes.c_int64

# As in step.cu.
_WARP, _MOST_WARPS = 32, 8
# In how many parts to count errors, at least: few trials alone do not fill a GPU.
_BLOCKS = 1024


class GpuSteps(NativeSteps):
    """`NativeSteps` on a GPU.

    A block of threads keeps a trial's weights in its own memory: of at most 1,024 units, and about 50,000 weights on
    recent GPUs, less where the optimizer keeps a state or a batch has more than 32 examples.

    Args:
        training: As of `NativeSteps`.
        weights: As of `NativeSteps`.
        load: Compiles kernels, as `load_program` does.

    Raises:
        NotCompiled: If there is no code for this network or rule, if a trial is too large, or if kernels cannot be
            compiled.
    """

    def __init__(
        self, training: Training, weights: Sequence[Tensor], load: Callable[..., Program] = load_program
    ) -> None:
        super().__init__(training, weights)
        n = training.n
        weight = weights[self._places[0]]  # type: ignore[index]
        kind, units = weight.dtype, weight.shape[1]
        if kind not in TYPES:
            raise NotCompiled(f"there are no kernels for {kind}")
        each = next((each for each in (1, 2) if units <= each * _WARP), 4)
        if self._form.is_product and each > 1:
            raise NotCompiled(f"a product of {units} units is too large for a warp; at most {_WARP}")
        self._threads = -(-units // (each * _WARP)) * _WARP
        if self._threads > _MOST_WARPS * _WARP:
            raise NotCompiled(f"{units:,} units are more than {_MOST_WARPS * _WARP * each:,} in a block of threads")
        columns, self._bytes_each = -(-units // each) * each, weight.element_size()
        self._tensors = n * columns + 2 * columns + 4
        self._weights_only = n * columns
        together = 8 // each
        self._inputs = -(-n // together) * together * _WARP
        defined = {
            "REAL": TYPES[kind],
            "EACH": each,
            "ACTIVATION": self._form.activation,
            "PRODUCT": self._form.is_product,
            "OPTIMIZER": self._update.rule,
            "STATES": self._layout.states_each,
        }
        self._program = load("step.cu", weight.device, *(f"{name}={value}" for name, value in defined.items()))
        self.version = self._program.version
        needed = self._memory(training.batch_size)
        if needed > self._program.most_memory:
            raise NotCompiled(f"a trial takes {needed:,} bytes of a block's {self._program.most_memory:,}")
        self._kept = torch.tensor(self._coefficients, dtype=torch.float64, device=weight.device)
        self._form.coefficients = self._kept.data_ptr()

    def _memory(self, batch_size: int) -> int:
        """How many bytes a block needs; see Layout in step.cu."""
        gradients = self._weights_only if batch_size > _WARP else 0
        numbers = self._inputs + (1 + self._layout.states_each) * self._tensors + gradients + self._threads
        return self._bytes_each * numbers

    def _train(self, arguments: Sequence[ctypes._CData], trials: int, batch: int) -> None:
        self._program.launch("train", (trials, 1), self._threads, self._memory(batch), arguments)

    def errors(
        self, words: Sequence[Tensor], weights: Sequence[Tensor], places: Tensor, first: int, end: int
    ) -> Tensor:
        """Counts errors; see `Computation`."""
        errors = torch.zeros(len(places), dtype=torch.int64, device=places.device)
        if not len(places) or end <= first:
            return errors
        most_parts = -(-(end - first) // _WARP)
        parts = min(most_parts, -(-_BLOCKS // len(places)))
        each = -(-most_parts // parts) * _WARP
        arguments = [
            self._network_of(weights),
            stream_of(words, "validation", self._noisy),
            address_of(places),
            _int(first),
            _int(end),
            _int(each),
            address_of(errors),
        ]
        self._program.launch("count_errors", (len(places), parts), self._threads, self._memory(_WARP), arguments)
        return errors
