"""Trials side by side: the tensors they are made of, and what is done with all of them at once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from parity_lightning.data.parity_stack import ParityStack, words_of
from parity_lightning.data.sparse_parity import SparseParity
from parity_lightning.engine.allocator import keep_freed_memory
from parity_lightning.engine.compiled import Flat, compile_stacked
from parity_lightning.engine.objective import Objective
from parity_lightning.engine.stacked_step import StackedEvaluation, StackedStep, places_of
from parity_lightning.engine.update_rules import UpdateFunction

if TYPE_CHECKING:
    from parity_lightning.modules.base import ParityModule

_TRIALS_A_LOOK = 4

_WORDS = len(ParityStack._fields)


class Stack:
    """Up to ``capacity`` trials, whose tensors lie one after another in memory.

    Trials have places from 0 to ``size - 1``. Whoever is taken out leaves its place to the last one, so the trials at
    work always lie together and those that are done cost nothing.

    Args:
        objective: What is trained.
        rule: How weights are updated.
        groups: For each moving tensor, the number of its parameter group.
        parity: A parity of the kind of all; its n, k and whether there is label noise matter.
        batch_size: Examples in a step of one trial.
        noisy: Whether there is label noise in any trial.
        capacity: How many trials there may be at a time.
        look: How many held-out examples to look at in one call.
    """

    def __init__(
        self,
        objective: Objective,
        rule: UpdateFunction,
        groups: Sequence[int],
        parity: SparseParity,
        batch_size: int,
        noisy: bool,
        capacity: int,
        look: int = 1024,
    ) -> None:
        keep_freed_memory()
        self.capacity = capacity
        self.size = 0
        self._objective = objective
        self._state_each = len(rule.state)
        self._step = StackedStep(objective, rule, groups, parity.n, noisy)
        self._look = StackedEvaluation(objective, parity.n)
        self._options = (max(groups) + 1) * len(rule.options)
        self._batch_size = batch_size
        self._look_size = look
        self._buffers: list[Tensor] = []
        self._views: list[Tensor] | None = None
        self._run_step: Flat = lambda tensors: self._flat_step(*tensors)
        self._run_look: Flat = lambda tensors: self._flat_look(*tensors)

    def _flat_step(self, *tensors: Tensor) -> tuple[Tensor, Tensor]:
        index, *rest = tensors
        words, options, steps = ParityStack(*rest[:_WORDS]), rest[_WORDS], rest[_WORDS + 1]
        trainable, state, frozen = self._parts(rest)
        return self._step(index, words, options, steps, trainable, state, frozen)

    def _flat_look(self, *tensors: Tensor) -> tuple[Tensor]:
        index, counted, *rest = tensors
        words = ParityStack(*rest[:_WORDS])
        count = len(self._objective.trainable)
        trainable, frozen = rest[_WORDS : _WORDS + count], rest[_WORDS + count :]
        return (self._look(index, counted, words, trainable, frozen),)

    def _parts(self, tensors: Sequence[Tensor]) -> tuple[Sequence[Tensor], Sequence[Tensor], Sequence[Tensor]]:
        """The weights, the optimizers' state and the other tensors, of all that a trial is made of."""
        first = _WORDS + 2
        state = first + len(self._objective.trainable)
        frozen = state + self._state_each * len(self._objective.trainable)
        return tensors[first:state], tensors[state:frozen], tensors[frozen:]

    @property
    def tensors(self) -> list[Tensor]:
        """What the trials at work are made of, each tensor of shape ``(size, ...)``."""
        if self._views is None:
            self._views = [buffer[: self.size] for buffer in self._buffers]
        return self._views

    @property
    def steps_made(self) -> Tensor:
        """How many updates each optimizer has made, float64 of shape ``(size,)``."""
        return self.tensors[_WORDS + 1]

    @property
    def options(self) -> Tensor:
        """The optimizers' options, of shape ``(size, options)``; to be written to."""
        return self.tensors[_WORDS]

    def put(self, parity: SparseParity, module: ParityModule, options: Sequence[float]) -> int:
        """Begins a trial with the weights of a module; returns its place."""
        trainable, frozen = self._objective.tensors_of(module)
        state = [torch.zeros_like(weight) for weight in trainable for _ in range(self._state_each)]
        option = torch.tensor(list(options), dtype=torch.float64, device=trainable[0].device)
        words = [word.to(option.device) for word in words_of(parity)]
        values = [*words, option, option.new_zeros(()), *trainable, *state, *frozen]
        if not self._buffers:
            self._buffers = [value.new_zeros((self.capacity, *value.shape)) for value in values]
        for buffer, value in zip(self._buffers, values, strict=True):
            buffer[self.size] = value
        self.size += 1
        self._views = None
        return self.size - 1

    def adopt(self, parity: SparseParity, module: ParityModule, state: Sequence[Tensor], steps: int) -> None:
        """Takes a module itself for the only trial: its weights, and its optimizer's state, change in place.

        Args:
            parity: What it learns.
            module: The module.
            state: Its optimizer's state of the first moving weight, of the next, and so on.
            steps: How many updates the optimizer has made.
        """
        trainable, frozen = self._objective.tensors_of(module)
        option = torch.zeros(self._options, dtype=torch.float64, device=trainable[0].device)
        words = [word.to(option.device) for word in words_of(parity)]
        values = [*words, option, torch.full_like(option[0], steps), *trainable, *state, *frozen]
        self._buffers = [value.unsqueeze(0) for value in values]
        self.size, self._views = 1, None

    def drop(self, place: int) -> None:
        """Takes out a trial; the last one gets its place."""
        last = self.size - 1
        if place != last:
            for buffer in self._buffers:
                buffer[place] = buffer[last]
        self.size = last
        self._views = None

    def weights_of(self, place: int) -> tuple[list[Tensor], list[Tensor]]:
        """The moving and the other tensors of one trial, without a trial axis; they share its memory."""
        trainable, _, frozen = self._parts([view[place] for view in self.tensors])
        return list(trainable), list(frozen)

    def step(self, index: Tensor) -> tuple[Tensor, Tensor]:
        """Takes one SGD step of every trial.

        Args:
            index: Which training examples, int64 of shape ``(size, B)``.

        Returns:
            The losses and the numbers of errors before the update, both of shape ``(size,)``.
        """
        loss, errors = self._run_step([index, *self.tensors])
        return loss, errors

    def errors(self, first: int, end: int, places: Tensor | None = None) -> Tensor:
        """Counts errors on the validation examples ``first .. end - 1``.

        Args:
            first: The first example.
            end: The one after the last.
            places: Of which trials; all by default.

        Returns:
            int64 tensor of shape ``(size,)``, or of one count for each place.
        """
        trainable, _, frozen = self._parts(self.tensors)
        each = [*self.tensors[:_WORDS], *trainable, *frozen]
        if places is not None:
            each = [tensor[places] for tensor in each]
        count = torch.zeros(len(each[0]), dtype=torch.int64, device=each[0].device)
        for start in range(first, end, self._look_size):
            look_at = self._look_at(start, end)
            # Few trials at a time: all that is computed for them stays in the cache.
            for some in range(0, len(count), _TRIALS_A_LOOK):
                part = slice(some, some + _TRIALS_A_LOOK)
                count[part] += self._run_look([*look_at, *(tensor[part] for tensor in each)])[0]
        return count

    def _look_at(self, first: int, end: int) -> list[Tensor]:
        device = self.tensors[0].device
        return [part.to(device) for part in places_of(first, end, self._look_size)]

    def compile_step(self) -> None:
        """Compiles the step; needs a trial as an example.

        Raises:
            NotCompiled: If that cannot be done; then all goes on as before.
        """
        self._run_step = self._compiled_step()

    def _compiled_step(self) -> Flat:
        index = torch.zeros(self.size, self._batch_size, dtype=torch.int64, device=self.tensors[0].device)
        return compile_stacked(self._flat_step, [index, *self.tensors])

    def compile(self) -> None:
        """Compiles steps and looks; needs a trial as an example.

        Raises:
            NotCompiled: If one of them cannot be; then both go on as before.
        """
        step = self._compiled_step()
        trainable, _, frozen = self._parts(self.tensors)
        example = [*self._look_at(0, self._look_size), *self.tensors[:_WORDS], *trainable, *frozen]
        self._run_look = compile_stacked(self._flat_look, example, shared=2)
        self._run_step = step


def online_indices(first_steps: Tensor, steps: int, batch_size: int) -> Tensor:
    """Which training examples the next steps of online trials take.

    Args:
        first_steps: How many steps each trial has taken, int64 of shape ``(T,)``.
        steps: For how many steps.
        batch_size: The batch size B.

    Returns:
        int64 tensor of shape ``(steps, T, B)``.
    """
    device = first_steps.device
    reached = first_steps + torch.arange(steps, device=device).unsqueeze(-1)
    return reached.unsqueeze(-1) * batch_size + torch.arange(batch_size, device=device)
