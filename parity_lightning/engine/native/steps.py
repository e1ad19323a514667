"""Steps and evaluations of a stack of networks with a closed form, by code of our own for a CPU or a GPU."""

from __future__ import annotations

import ctypes
from abc import abstractmethod
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from parity_lightning.engine.computation import Computation, Training
from parity_lightning.engine.native.stream import address_of, stream_of
from parity_lightning.engine.not_compiled import NotCompiled
from parity_lightning.nets.activations import InfiniteZigzag, ParityPolynomial, Power, Sinusoid, Zigzag

# By the numbers that arithmetic.h has for them.
ACTIVATIONS = {None: 0, nn.ReLU: 1, Power: 2, Zigzag: 3, InfiniteZigzag: 4, ParityPolynomial: 5, Sinusoid: 6}
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


class NativeSteps(Computation):
    """A `Computation` of networks with a closed form: each trial is computed separately and in a fixed order.

    Args:
        training: What the trials have in common; its objective has a closed form.
        weights: The tensors of the trials as in `WeightLayout`, for their types, shapes and device.

    Raises:
        NotCompiled: If there is no code for this network or rule.
    """

    def __init__(self, training: Training, weights: Sequence[Tensor]) -> None:
        objective, rule, n = training.objective, training.rule, training.n
        assert objective.closed_form is not None
        form, loss = objective.closed_form
        activation = None if form.activation is None else type(form.activation)
        if activation not in ACTIVATIONS or loss not in _LOSSES or rule.native is None:
            raise NotCompiled("there is no code for its activation, loss or optimizer")
        named = [form.weight, form.bias, form.output, form.output_bias]
        names = [*objective.names, *objective.frozen_names]
        if set(names) != {name for name in named if name is not None}:
            raise NotCompiled("its closed form does not name the tensors it has")
        self._places = [None if name is None else names.index(name) for name in named]
        self._layout, self._groups = training.layout, training.groups
        self._check_shapes(self._values_of(weights), n)
        self._loss, self._noisy = _LOSSES[loss], training.noisy
        self._options_each = len(rule.options)
        degree = getattr(form.activation, "degree", getattr(form.activation, "k", 0))
        self._form = NetworkTensors(n=n, activation=ACTIVATIONS[activation], degree=degree, is_product=form.is_product)
        self._coefficients = [number for pair in getattr(form.activation, "newton_form", ()) for number in pair]
        self._form.coefficient_count = len(self._coefficients) // 2
        self._update = Update(option_count=(max(training.groups) + 1) * len(rule.options), **rule.native)

    def run(
        self, words: Sequence[Tensor], options: Tensor, steps_made: Tensor, weights: Sequence[Tensor], indices: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Takes steps; see `Computation`."""
        steps, trials, batch = indices.shape
        indices, options = indices.contiguous(), options.contiguous()
        losses = torch.empty(steps, trials, dtype=weights[0].dtype, device=indices.device)
        errors = torch.empty(steps, trials, dtype=torch.int64, device=indices.device)
        arguments = [
            self._network_of(weights),
            stream_of(words, "train", self._noisy),
            self._update,
            *map(_int, (self._loss, trials, steps, batch)),
            address_of(indices),
            address_of(options),
            _int(options.dim() == 3),
            address_of(steps_made),
            address_of(losses),
            address_of(errors),
        ]
        self._train(arguments, trials)
        return losses, errors

    @abstractmethod
    def _train(self, arguments: Sequence[ctypes._CData], trials: int) -> None:
        """Calls ``train`` of step.cpp or step.cu, which take the same arguments."""

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
