"""Steps and evaluations on a GPU, by the kernels of step.cu."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from parity_lightning.engine.computation import Training
from parity_lightning.engine.native.gpu_program import Program, load_program
from parity_lightning.engine.native.steps import ACTIVATIONS, NativeSteps
from parity_lightning.engine.native.stream import address_of, stream_of
from parity_lightning.engine.not_compiled import NotCompiled
from parity_lightning.nets.activations import Power

_int = ctypes.c_int64
_TYPES = {torch.float32: "float", torch.float64: "double"}

# As in step.cu.
_WARP, _MOST_WARPS = 32, 8
# In how many parts to count errors, at least: few trials alone do not fill a GPU.
_BLOCKS = 1024
# The first GPUs whose tensor cores multiply bfloat16.
_WITH_BFLOAT16 = (8, 0)


class _Block(NamedTuple):
    """How a block of threads computes a trial.

    Attributes:
        threads: How many threads it has.
        numbers: How many numbers its memory holds, for a batch of one part.
        gradients: How many more, for a batch of several parts.
        defined: What is defined for the compiler.
    """

    threads: int
    numbers: int
    gradients: int
    defined: Mapping[str, object]


def _tiles(n: int, units: int, states: int) -> _Block:
    """By tensor cores, see tiles.h: a warp has up to 128 units, in tiles of 16."""
    warps = -(-units // 128)
    tiles = -(-units // (16 * warps))
    rest = (n + 1) % 16
    columns = (n + 1) // 16 * 2 + (2 if rest > 4 else 1 if rest else 0)
    own = (4 * columns + 2) * tiles * _WARP * warps
    words = (n // 32 + 1) * _WARP
    return _Block(warps * _WARP, (1 + states) * (own + 4) + 2 * words + warps * _WARP, own, {"TILES": tiles})


def _units(n: int, units: int, states: int) -> _Block:
    """A thread has one, two or four units, see units.h."""
    each = next((each for each in (1, 2) if units <= each * _WARP), 4)
    threads = -(-units // (each * _WARP)) * _WARP
    columns, together = -(-units // each) * each, 8 // each
    inputs = -(-n // together) * together * _WARP
    own = (1 + states) * ((n + 2) * columns + 4)
    return _Block(threads, inputs + own + threads, n * columns, {"EACH": each})


class GpuSteps(NativeSteps):
    """`NativeSteps` on a GPU.

    A block of threads keeps a trial's weights in its own memory: of at most 1,024 units, and about 50,000 weights on
    recent GPUs, less where the optimizer keeps a state or a batch has more than 32 examples.

    Args:
        training: As of `NativeSteps`.
        weights: As of `NativeSteps`.
        load: Compiles kernels for a device and what is defined for the compiler.
        tensor_cores: Whether to multiply by tensor cores, for networks that they can compute; by default if the GPU
            has such that multiply bfloat16.

    Raises:
        NotCompiled: If there is no code for this network or rule, if a trial is too large, or if kernels cannot be
            compiled.
    """

    def __init__(
        self,
        training: Training,
        weights: Sequence[Tensor],
        load: Callable[..., Program] = load_program,
        tensor_cores: bool | None = None,
    ) -> None:
        super().__init__(training, weights)
        weight = weights[self._places[0]]  # type: ignore[index]
        kind, units = weight.dtype, weight.shape[1]
        if kind not in _TYPES:
            raise NotCompiled(f"there are no kernels for {kind}")
        if self._form.is_product and units > _WARP:
            raise NotCompiled(f"a product of {units} units is too large for a warp; at most {_WARP}")
        if tensor_cores is None:
            tensor_cores = torch.cuda.get_device_capability(weight.device) >= _WITH_BFLOAT16
        self._bytes_each, self._has_parts = weight.element_size(), training.batch_size > _WARP
        ways = [_units]
        if tensor_cores and kind == torch.float32 and not self._form.is_product:
            ways = [_tiles, _units]
        common = {
            "REAL": _TYPES[kind],
            "ACTIVATION": self._form.activation,
            "DEGREE": self._form.degree if self._form.activation == ACTIVATIONS[Power] else 0,
            "PRODUCT": self._form.is_product,
            "PARTS": int(self._has_parts),
            "OPTIMIZER": self._update.rule,
            "STATES": self._layout.states_each,
            "HAS_DECAY": self._update.has_decay,
            "HAS_WEIGHT_DECAY": self._update.has_weight_decay,
            "HAS_NESTEROV": self._update.has_nesterov,
            "IS_DECOUPLED": self._update.is_decoupled,
        }
        for way in ways:
            self._block = way(training.n, units, self._layout.states_each)
            if self._block.threads > _MOST_WARPS * _WARP:
                raise NotCompiled(f"{units:,} units are more than 1,024 in a block of threads")
            defined = {**common, **self._block.defined}
            self._program = load(weight.device, *(f"{name}={value}" for name, value in defined.items()))
            needed = self._memory(self._has_parts)
            if needed <= self._program.most_memory:
                break
        else:
            raise NotCompiled(f"a trial takes {needed:,} bytes of a block's {self._program.most_memory:,}")
        self.version = self._program.version
        self._kept = torch.tensor(self._coefficients, dtype=torch.float64, device=weight.device)
        self._form.coefficients = self._kept.data_ptr()

    def _memory(self, has_parts: bool) -> int:
        """How many bytes a block needs; see Layout in tiles.h and units.h."""
        return self._bytes_each * (self._block.numbers + has_parts * self._block.gradients)

    def _train(self, arguments: Sequence[ctypes._CData], trials: int, batch: int) -> None:
        self._program.launch("train", (trials, 1), self._block.threads, self._memory(self._has_parts), arguments)

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
        self._program.launch("count_errors", (len(places), parts), self._block.threads, self._memory(False), arguments)
        return errors
