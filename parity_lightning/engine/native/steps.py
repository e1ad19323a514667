"""Steps and evaluations of a stack of networks with a closed form, by code of our own for a CPU or a GPU."""

from __future__ import annotations

import ctypes
from abc import ABC, abstractmethod
from collections.abc import Sequence

from torch import Tensor, nn

from parity_lightning.engine.computation import WeightLayout
from parity_lightning.engine.not_compiled import NotCompiled
from parity_lightning.engine.objective import Objective
from parity_lightning.engine.update_rules import UpdateFunction
from parity_lightning.nets.activations import InfiniteZigzag, ParityPolynomial, Power, Sinusoid, Zigzag

# By the numbers that arithmetic.h has for them.
_ACTIVATIONS = {None: 0, nn.ReLU: 1, Power: 2, Zigzag: 3, InfiniteZigzag: 4, ParityPolynomial: 5, Sinusoid: 6}
_LOSSES = {"hinge": 0, "square": 1, "cross_entropy": 2, "correlation": 3}
_int, _pointer = ctypes.c_int64, ctypes.c_void_p


class Parameter(ctypes.Structure):
    """A tensor of a stack and its optimizer's state, as arithmetic.h has it."""

    _fields_ = (("value", _pointer), ("state", _pointer * 2), ("is_trainable", _int), ("option", _int))


class NetworkTensors(ctypes.Structure):
    """A stack of networks, as arithmetic.h has it."""

    _fields_ = (
        ("n", _int),
        ("units", _int),
        ("activation", _int),
        ("degree", _int),
        ("is_product", _int),
        ("coefficients", _pointer),
        ("coefficient_count", _int),
        ("parameters", Parameter * 4),
    )


class Update(ctypes.Structure):
    """How weights are updated, as arithmetic.h has it."""

    _fields_ = (
        ("rule", _int),
        ("option_count", _int),
        ("has_decay", _int),
        ("has_weight_decay", _int),
        ("has_momentum", _int),
        ("has_nesterov", _int),
        ("is_decoupled", _int),
    )


class NativeSteps(ABC):
    """A `Computation` of networks with a closed form: each trial is computed separately and in a fixed order.

    Args:
        objective: What is trained; it has a closed form.
        rule: How weights are updated.
        groups: For each trainable tensor, the number of its parameter group.
        n: How many bits an input has.
        noisy: Whether there is label noise in any trial.
        weights: The tensors of the trials as in `WeightLayout`, for their types, shapes and device.

    Raises:
        NotCompiled: If there is no code for this network or rule.
    """

    version: str
    """Names the code and what it was compiled by and for: where it is the same, so are the numbers."""

    def __init__(
        self,
        objective: Objective,
        rule: UpdateFunction,
        groups: Sequence[int],
        n: int,
        noisy: bool,
        weights: Sequence[Tensor],
    ) -> None:
        assert objective.closed_form is not None
        form, loss = objective.closed_form
        activation = None if form.activation is None else type(form.activation)
        if activation not in _ACTIVATIONS or loss not in _LOSSES or rule.native is None:
            raise NotCompiled("there is no code for its activation, loss or optimizer")
        named = [form.weight, form.bias, form.output, form.output_bias]
        names = [*objective.names, *objective.frozen_names]
        if set(names) != {name for name in named if name is not None}:
            raise NotCompiled("its closed form does not name the tensors it has")
        self._places = [None if name is None else names.index(name) for name in named]
        self._layout, self._groups = WeightLayout(len(objective.names), len(rule.state)), list(groups)
        self._check_shapes(self._values_of(weights), n)
        self._loss, self._noisy, self._n = _LOSSES[loss], noisy, n
        self._options_each = len(rule.options)
        degree = getattr(form.activation, "degree", getattr(form.activation, "k", 0))
        self._form = NetworkTensors(n=n, activation=_ACTIVATIONS[activation], degree=degree, is_product=form.is_product)
        self._coefficients = [number for pair in getattr(form.activation, "newton_form", ()) for number in pair]
        self._update = Update(option_count=(max(groups) + 1) * len(rule.options), **rule.native)

    @abstractmethod
    def run(
        self, words: Sequence[Tensor], options: Tensor, steps_made: Tensor, weights: Sequence[Tensor], indices: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Takes steps; see `Computation`."""

    @abstractmethod
    def errors(
        self, words: Sequence[Tensor], weights: Sequence[Tensor], places: Tensor, first: int, end: int
    ) -> Tensor:
        """Counts errors; see `Computation`."""

    def _values_of(self, weights: Sequence[Tensor]) -> list[Tensor]:
        """The tensors of the networks, without the optimizers' state."""
        trainable, _, frozen = self._layout.parts(weights)
        return [*trainable, *frozen]

    def _check_shapes(self, values: Sequence[Tensor], n: int) -> None:
        weight = values[self._places[0]]  # type: ignore[index]
        units = weight.shape[1]
        for place, shape in zip(self._places, ((units, n), (units,), (1, units), (1,)), strict=True):
            if place is None:
                continue
            if values[place].shape[1:] != shape or values[place].dtype != weight.dtype:
                found = f"{tuple(values[place].shape[1:])}, {values[place].dtype}"
                raise NotCompiled(f"its closed form names a tensor of {found} where {shape}, {weight.dtype} is needed")

    def _network_of(self, weights: Sequence[Tensor]) -> NetworkTensors:
        """The network with the tensors of the stack."""
        count, each = self._layout
        values = self._values_of(weights)
        _, states, _ = self._layout.parts(weights)
        network = self._form
        for number, place in enumerate(self._places):
            if place is None:
                continue
            parameter = network.parameters[number]
            parameter.value = values[place].data_ptr()
            parameter.is_trainable = place < count
            if place < count:
                parameter.option = self._groups[place] * self._options_each
                for which in range(each):
                    parameter.state[which] = states[place * each + which].data_ptr()
        network.units = values[self._places[0]].shape[1]  # type: ignore[index]
        return network
