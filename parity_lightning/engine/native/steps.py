"""Steps and evaluations of a stack of networks with a closed form, by the library in C++."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from parity_lightning.engine.native.library import load_library
from parity_lightning.engine.native.stream import ParityStream, address_of, stream_of
from parity_lightning.engine.not_compiled import NotCompiled
from parity_lightning.engine.objective import Objective
from parity_lightning.engine.update_rules import UpdateFunction
from parity_lightning.nets.activations import InfiniteZigzag, ParityPolynomial, Power, Sinusoid, Zigzag

# By the numbers that step.cpp has for them.
_ACTIVATIONS = {None: 0, nn.ReLU: 1, Power: 2, Zigzag: 3, InfiniteZigzag: 4, ParityPolynomial: 5, Sinusoid: 6}
_LOSSES = {"hinge": 0, "square": 1, "cross_entropy": 2, "correlation": 3}
_int, _pointer = ctypes.c_int64, ctypes.c_void_p


class _Parameter(ctypes.Structure):
    _fields_ = (("value", _pointer), ("state", _pointer * 2), ("is_trainable", _int), ("option", _int))


class _Network(ctypes.Structure):
    _fields_ = (
        ("n", _int),
        ("units", _int),
        ("activation", _int),
        ("degree", _int),
        ("is_product", _int),
        ("coefficients", _pointer),
        ("coefficient_count", _int),
        ("parameters", _Parameter * 4),
    )


class _Update(ctypes.Structure):
    _fields_ = (
        ("rule", _int),
        ("option_count", _int),
        ("has_decay", _int),
        ("has_weight_decay", _int),
        ("has_momentum", _int),
        ("has_nesterov", _int),
        ("is_decoupled", _int),
    )


class NativeSteps:
    """Trains and evaluates the trials of a stack.

    Each trial is computed separately and in a fixed order. So its weights are the same bit for bit alone and in any
    stack, and however many steps a call takes.

    Args:
        objective: What is trained; it has a closed form.
        rule: How weights are updated.
        groups: For each trainable tensor, the number of its parameter group.
        n: How many bits an input has.
        noisy: Whether there is label noise in any trial.
        weights: The tensors of the trials as `run` gets them, for their types and shapes.

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
        assert objective.closed_form is not None
        form, loss = objective.closed_form
        activation = None if form.activation is None else type(form.activation)
        if activation not in _ACTIVATIONS or loss not in _LOSSES or rule.native is None:
            raise NotCompiled("there are no steps in C++ for its activation, loss or optimizer")
        named = [form.weight, form.bias, form.output, form.output_bias]
        names = [*objective.names, *objective.frozen_names]
        if set(names) != {name for name in named if name is not None}:
            raise NotCompiled("its closed form does not name the tensors it has")
        self._places = [None if name is None else names.index(name) for name in named]
        self._trainable_count, self._state_each, self._groups = len(objective.names), len(rule.state), list(groups)
        self._check_shapes(self._values_of(weights), n)
        library = load_library(weights[0].dtype)
        self._library, self.version = library.functions, library.version
        _check_layout(self._library)
        self._loss, self._noisy, self._n = _LOSSES[loss], noisy, n
        self._options_each = len(rule.options)
        degree = getattr(form.activation, "degree", getattr(form.activation, "k", 0))
        coefficients = [number for pair in getattr(form.activation, "newton_form", ()) for number in pair]
        # Kept here, for the library reads them where they lie.
        self._coefficients = (ctypes.c_double * len(coefficients))(*coefficients)
        self._network = _Network(
            n=n,
            activation=_ACTIVATIONS[activation],
            degree=degree,
            is_product=form.is_product,
            coefficients=ctypes.addressof(self._coefficients),
            coefficient_count=len(coefficients) // 2,
        )
        self._update = _Update(option_count=(max(groups) + 1) * len(rule.options), **rule.native)

    def run(
        self, words: Sequence[Tensor], options: Tensor, steps_made: Tensor, weights: Sequence[Tensor], indices: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Takes steps of every trial, and changes its weights and its optimizer's state in place.

        Args:
            words: What the examples of each trial depend on, as in `ParityStack`.
            options: The optimizers' options, float64 of shape ``(T, options)``; or of each step,
                ``(steps, T, options)``.
            steps_made: How many updates each optimizer has made, float64 of shape ``(T,)``; counted here.
            weights: The trainable tensors, the optimizers' states of the first one, of the next and so on, the frozen
                tensors: each contiguous and of shape ``(T, ...)``.
            indices: Which training examples, int64 of shape ``(steps, T, B)``.

        Returns:
            The losses and the numbers of errors before each update, both of shape ``(steps, T)``.
        """
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
        """Counts the errors on the validation examples ``first .. end - 1``.

        Args:
            words: As of `run`.
            weights: As of `run`.
            places: Of which trials, int64 of shape ``(m,)``.
            first: The first example.
            end: The one after the last.

        Returns:
            int64 tensor of shape ``(m,)``.
        """
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

    def _values_of(self, weights: Sequence[Tensor]) -> list[Tensor]:
        """The tensors of the networks, without the optimizers' state."""
        count = self._trainable_count
        return [*weights[:count], *weights[count + self._state_each * count :]]

    def _check_shapes(self, values: Sequence[Tensor], n: int) -> None:
        weight = values[self._places[0]]  # type: ignore[index]
        units = weight.shape[1]
        for place, shape in zip(self._places, ((units, n), (units,), (1, units), (1,)), strict=True):
            if place is None:
                continue
            if values[place].shape[1:] != shape or values[place].dtype != weight.dtype:
                found = f"{tuple(values[place].shape[1:])}, {values[place].dtype}"
                raise NotCompiled(f"its closed form names a tensor of {found} where {shape}, {weight.dtype} is needed")

    def _network_of(self, weights: Sequence[Tensor]) -> _Network:
        """The network with the tensors of the stack."""
        count, each = self._trainable_count, self._state_each
        values = self._values_of(weights)
        states = weights[count : count + each * count]
        network = self._network
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

    def _check(self, status: int) -> None:
        if status:
            raise MemoryError("one trial does not fit into memory; use fewer units")


def _check_layout(library: ctypes.CDLL) -> None:
    """Compares the structures here with those of the library: a mistake would write to wrong places."""
    sizes = (_int * 4)()
    library.structure_sizes(sizes)
    expected = [ctypes.sizeof(each) for each in (_Parameter, _Network, ParityStream, _Update)]
    assert list(sizes) == expected, "the structures in steps.py and stream.py are not those of step.cpp"
