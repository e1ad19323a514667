"""Initial weights of many seeds, drawn without making a module for each.

Making a module takes most of a millisecond, drawing its weights a few hundredths. So the module is made once while the
calls that draw its weights are written down; they are repeated for every other seed.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

# Documented, if in a module with an underscore.
from torch.utils._python_dispatch import TorchDispatchMode

from parity_lightning.engine.objective import Objective
from parity_lightning.engine.trainable import Trainable

_aten = torch.ops.aten
# These set all elements of a tensor, from torch's generator or to a number.
_DRAWS = {
    _aten.uniform_.default,
    _aten.normal_.default,
    _aten.bernoulli_.float,
    _aten.fill_.Scalar,
    _aten.zero_.default,
}
# These change each element.
_CHANGES = {_aten.mul_.Tensor, _aten.add_.Tensor, _aten.sub_.Tensor, _aten.div_.Tensor}
# These make tensors whose elements are not set, or the same tensor once more.
_NEUTRAL = {_aten.empty.memory_format, _aten.detach.default, _aten.alias.default}

# With these seeds it is tried whether repeated calls draw what a module draws.
_TRIED = (1, 2**31)


class _Call(NamedTuple):
    """A call on a tensor: the tensor's number, the function and what else it takes."""

    tensor: int
    function: Callable[..., Tensor]
    arguments: tuple[float, ...]


class _Recorder(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Writes down all calls of PyTorch's functions."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.calls: list[tuple[Any, Sequence[Any], dict[str, Any]]] = []

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.calls.append((function, args, kwargs or {}))
        return function(*args, **(kwargs or {}))


class WeightDraws:
    """Draws the initial weights of seeds.

    Args:
        make: Seeds the generators of Python, NumPy and torch, and makes the module that has the weights of a seed.
        objective: Which tensors of it are trainable, and which are not.

    Attributes:
        repeats: Whether calls are repeated; otherwise a module is made for each seed, as its weights come about in
            another way than by drawing them from torch's generator.
    """

    def __init__(self, make: Callable[[int], Trainable], objective: Objective) -> None:
        self._make = make
        self._objective = objective
        self._calls = self._learn()
        if self._calls is not None and not all(map(self._is_right, _TRIED)):
            self._calls = None
        self.repeats = self._calls is not None

    def draw(self, seeds: Sequence[int]) -> tuple[list[Tensor], list[Tensor]]:
        """Draws.

        Args:
            seeds: m seeds.

        Returns:
            The trainable and the frozen tensors, each of shape ``(m, ...)``.
        """
        if self._calls is None:
            modules = [self._objective.tensors_of(self._make(seed)) for seed in seeds]
            trainable, frozen = (
                [torch.stack(some) for some in zip(*part, strict=True)] for part in zip(*modules, strict=True)
            )
            return trainable, frozen
        drawn = [tensor.new_empty((len(seeds), *tensor.shape)) for tensor in self._examples]
        with torch.no_grad():
            for place, seed in enumerate(seeds):
                torch.default_generator.manual_seed(seed)
                own = [tensor[place] for tensor in drawn]
                for number, function, arguments in self._calls:
                    function(own[number], *arguments)
        return drawn[: self._trainable], drawn[self._trainable :]

    def _learn(self) -> list[_Call] | None:
        """The calls that draw all tensors of a module; None if it is made in another way."""
        with _Recorder() as recorder:
            module = self._make(0)
        trainable, frozen = self._objective.tensors_of(module)
        self._examples, self._trainable = [*trainable, *frozen], len(trainable)
        if self._uses_other_generators():
            return None
        number_of = {tensor.data_ptr(): number for number, tensor in enumerate(self._examples)}
        calls, drawn = [], set()
        for function, arguments, named in recorder.calls:
            if function in _NEUTRAL:
                continue
            tensor, *others = arguments
            number = number_of.get(tensor.data_ptr()) if isinstance(tensor, Tensor) else None
            if number is None or tensor.shape != self._examples[number].shape:
                return None
            is_known = function in _DRAWS or function in _CHANGES
            is_plain = all(isinstance(other, (int, float)) for other in others) and named.get("generator") is None
            if not (is_known and is_plain):
                return None
            if function in _DRAWS:
                drawn.add(number)
            calls.append(_Call(number, function, tuple(others)))
        return calls if len(drawn) == len(self._examples) else None

    def _uses_other_generators(self) -> bool:
        """Whether making a module draws random numbers of Python or NumPy."""
        random.seed(0)
        np.random.seed(0)
        before = _states()
        self._make(0)
        return _states() != before

    def _is_right(self, seed: int) -> bool:
        """Whether repeated calls draw what a module draws."""
        expected = [tensor for part in self._objective.tensors_of(self._make(seed)) for tensor in part]
        found = [tensor[0] for part in self.draw([seed]) for tensor in part]
        return all(torch.equal(mine, its) for mine, its in zip(found, expected, strict=True))


def _states() -> str:
    return repr((random.getstate(), np.random.get_state()))
