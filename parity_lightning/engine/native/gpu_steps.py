"""Steps and evaluations on a GPU, by the kernels of step.cu."""

from __future__ import annotations

import ctypes
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from parity_lightning.engine.computation import Training
from parity_lightning.engine.native.gpu_program import TYPES, Gpu, nvidia_gpu
from parity_lightning.engine.native.steps import ACTIVATIONS, NativeSteps
from parity_lightning.engine.native.stream import address_of, stream_of
from parity_lightning.engine.not_compiled import NotCompiled
from parity_lightning.nets.activations import Power

_int = ctypes.c_int64

# As in step.cu: eight warps of 128 units.
_WARP, _MOST_UNITS = 32, 1024
# In how many parts to count errors, at least: few trials alone do not fill a GPU.
_BLOCKS = 1024


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
        gpu: The GPU; by default that of the weights.

    Raises:
        NotCompiled: If there is no code for this network or rule, if a trial is too large, or if kernels cannot be
            compiled.
    """

    def __init__(self, training: Training, weights: Sequence[Tensor], gpu: Gpu | None = None) -> None:
        super().__init__(training, weights)
        weight = weights[self._places[0]]  # type: ignore[index]
        gpu = nvidia_gpu(weight.device) if gpu is None else gpu
        kind, units, states = weight.dtype, weight.shape[1], self._layout.states_each
        if kind not in TYPES:
            raise NotCompiled(f"there are no kernels for {kind}")
        if units > _MOST_UNITS:
            raise NotCompiled(f"{units:,} units are more than {_MOST_UNITS:,} in a block of threads")
        if self._form.is_product and units > _WARP:
            raise NotCompiled(f"a product of {units} units is too large for a warp; at most {_WARP}")
        self._bytes_each, self._has_parts = weight.element_size(), training.batch_size > _WARP
        self._block = _units(training.n, units, states)
        if gpu.multiplies_bfloat16 and kind == torch.float32 and not self._form.is_product:
            tiles = _tiles(training.n, units, states)
            if self._memory(tiles, self._has_parts) <= gpu.most_memory:
                self._block = tiles
        if (needed := self._memory(self._block, self._has_parts)) > gpu.most_memory:
            raise NotCompiled(f"a trial takes {needed:,} bytes of a block's {gpu.most_memory:,}")
        defined = {
            "REAL": TYPES[kind],
            "ACTIVATION": self._form.activation,
            "DEGREE": self._form.degree if self._form.activation == ACTIVATIONS[Power] else 0,
            "PRODUCT": self._form.is_product,
            "PARTS": int(self._has_parts),
            "OPTIMIZER": self._update.rule,
            "STATES": states,
            "HAS_DECAY": self._update.has_decay,
            "HAS_WEIGHT_DECAY": self._update.has_weight_decay,
            "HAS_NESTEROV": self._update.has_nesterov,
            "IS_DECOUPLED": self._update.is_decoupled,
            **self._block.defined,
        }
        self._program = gpu.program("step.cu", *(f"{name}={value}" for name, value in defined.items()))
        self.version = self._program.version
        self._kept = torch.tensor(self._coefficients, dtype=torch.float64, device=weight.device)
        self._form.coefficients = self._kept.data_ptr()

    def _memory(self, block: _Block, has_parts: bool) -> int:
        """How many bytes a block needs; see Layout in tiles.h and units.h."""
        return self._bytes_each * (block.numbers + has_parts * block.gradients)

    def _train(self, arguments: Sequence[ctypes._CData], trials: int) -> None:
        memory = self._memory(self._block, self._has_parts)
        self._program.launch("train", (trials, 1), self._block.threads, memory, arguments)

    def errors(
        self, words: Sequence[Tensor], weights: Sequence[Tensor], places: Tensor, first: int, end: int
    ) -> Tensor:
        """Counts errors; see `Computation`."""
        places = places.contiguous()
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
        memory = self._memory(self._block, has_parts=False)
        self._program.launch("count_errors", (len(places), parts), self._block.threads, memory, arguments)
        return errors
