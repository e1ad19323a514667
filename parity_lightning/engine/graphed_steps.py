"""Steps of any network on an NVIDIA GPU, where launching operations one by one takes longer than they do.

Launches are recorded once, see `GraphRecorder`, for a fixed number of trials, and done again for one group of trials
after another; a group that is not full is filled up. How many trials a group has follows from the setting alone: so
many that their largest tensor has about two million numbers. So an operation has the same shapes whatever a stack
holds, and the libraries behind it, which choose their code by shapes, compute each trial alike.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial

import torch
from torch import Tensor

from parity_lightning.engine.computation import Computation, Training
from parity_lightning.engine.cuda_graph import Recorder
from parity_lightning.engine.not_compiled import NotCompiled
from parity_lightning.engine.repeatable import same_each_time, uses_tf32
from parity_lightning.engine.traced_steps import TracedSteps

# How many numbers the largest tensor of a step has, of all trials of a group: few, so that a group with one trial in it
# takes little longer than launching. Of an evaluation, which is launched operation by operation, more.
_NUMBERS_OF_A_STEP = 2**21
_NUMBERS_OF_AN_EVALUATION = 2**24
_MOST_TRIALS = 2**10

# How many steps are recorded as one graph. Those that are left over are launched one by one.
_STEPS = 16


class GraphedSteps(Computation):
    """A `Computation` by recorded operations.

    It has tensors of its own for one group of trials, which are copied there and back in every call. Within `run`
    nothing waits for the GPU.

    Products of float32 matrices are rounded as `uses_tf32` tells when it is made: by default they are not.

    Args:
        training: What the trials have in common.
        traced: Computes them operation by operation; it evaluates more trials at a time from now on.
        words: As of `run`, of some trial.
        options: As of `run`.
        steps_made: As of `run`.
        weights: As of `run`.
        recorder: What records.

    Raises:
        NotCompiled: If they cannot be recorded, as where a network waits for the GPU; then all stays as it is.
    """

    def __init__(
        self,
        training: Training,
        traced: TracedSteps,
        words: Sequence[Tensor],
        options: Tensor,
        steps_made: Tensor,
        weights: Sequence[Tensor],
        recorder: Recorder,
    ) -> None:
        self._traced = traced
        try:
            kept = training.objective.largest_kept(training.n)
            most_of_a_step, most_of_an_evaluation = (
                max(training.n * examples, kept * examples, *(weight[0].numel() for weight in weights))
                for examples in (training.batch_size, traced.evaluated_at_once)
            )
            self._trials = _trials_of(most_of_a_step, _NUMBERS_OF_A_STEP)
            # The first trial, as an example to record with: every call writes its own over it.
            self._words, self._weights = ([self._spread(tensor) for tensor in part] for part in (words, weights))
            self._steps_made = self._spread(steps_made)
            self._options = self._spread(options).repeat(_STEPS, 1, 1)
            shape, device = (_STEPS, self._trials), options.device
            self._indices = torch.zeros(*shape, training.batch_size, dtype=torch.int64, device=device)
            self._losses = torch.zeros(shape, dtype=weights[0].dtype, device=device)
            self._errors = torch.zeros(shape, dtype=torch.int64, device=device)
            with torch.no_grad(), same_each_time():
                self._launch = {steps: recorder.record(partial(self._take, steps)) for steps in (1, _STEPS)}
        except RuntimeError as error:
            why = " ".join(f"{type(error).__name__}: {error}".split())
            raise NotCompiled(f"its steps cannot be recorded: {why[:200]}") from error
        self._frozen = len(training.layout.parts(weights)[2])
        traced.evaluated_together = _trials_of(most_of_an_evaluation, _NUMBERS_OF_AN_EVALUATION)
        # Groups of another size may round differently.
        self.version = f"CUDA graph of {self._trials}" + (", TF32" if uses_tf32() else "")

    def _spread(self, tensor: Tensor) -> Tensor:
        """A tensor of a whole group that repeats the first trial's."""
        every = tensor[:1].expand(self._trials, *tensor.shape[1:])
        return every.clone(memory_format=torch.contiguous_format)

    def _take(self, steps: int) -> None:
        """Takes steps of the group: what is recorded."""
        losses, errors = self._traced.run(
            self._words, self._options[:steps], self._steps_made, self._weights, self._indices[:steps]
        )
        self._losses[:steps] = losses
        self._errors[:steps] = errors

    def run(
        self, words: Sequence[Tensor], options: Tensor, steps_made: Tensor, weights: Sequence[Tensor], indices: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Takes steps; see `Computation`."""
        steps, trials, _ = indices.shape
        losses, errors = (
            torch.empty(steps, trials, dtype=of.dtype, device=of.device) for of in (self._losses, self._errors)
        )
        for first in range(0, trials, self._trials):
            group = slice(first, first + self._trials)
            for own, values in zip(
                [*self._words, self._steps_made, *self._weights], [*words, steps_made, *weights], strict=True
            ):
                _fill(own, values[group])
            if options.dim() == 2:
                _fill(self._options, options[None, group], 1)
            for begin, end in _parts(steps):
                _fill(self._indices[: end - begin], indices[begin:end, group], 1)
                if options.dim() == 3:
                    _fill(self._options[: end - begin], options[begin:end, group], 1)
                self._launch[end - begin]()
                for of, found in ((self._losses, losses), (self._errors, errors)):
                    part = found[begin:end, group]
                    part.copy_(of[: end - begin, : part.shape[1]])
            changed = len(weights) - self._frozen
            for values, own in zip([steps_made, *weights[:changed]], [self._steps_made, *self._weights], strict=False):
                part = values[group]
                part.copy_(own[: len(part)])
        return losses, errors

    def errors(
        self, words: Sequence[Tensor], weights: Sequence[Tensor], places: Tensor, first: int, end: int
    ) -> Tensor:
        """Counts errors; see `Computation`."""
        errors = torch.zeros_like(places)
        with torch.no_grad(), same_each_time():
            for begin in range(0, len(places), self._traced.evaluated_together):
                some = places[begin : begin + self._traced.evaluated_together]
                filled = places.new_empty(self._traced.evaluated_together)
                _fill(filled, some)
                errors[begin : begin + len(some)] = self._traced.errors(words, weights, filled, first, end)[: len(some)]
        return errors


def _trials_of(numbers: int, most: int) -> int:
    """Of how many trials there are at most so many numbers, where each has ``numbers``: a power of two.

    Example:
        >>> [_trials_of(numbers, 2**21) for numbers in (100, 10_000, 2**21, 2**22)]
        [1024, 128, 1, 1]
    """
    return min(1 << max(0, (most // numbers).bit_length() - 1), _MOST_TRIALS)


def _fill(own: Tensor, values: Tensor, dim: int = 0) -> None:
    """Copies some trials into a group's tensor; the first of them fills it up."""
    count = values.shape[dim]
    own.narrow(dim, 0, count).copy_(values)
    if count < own.shape[dim]:
        own.narrow(dim, count, own.shape[dim] - count).copy_(values.narrow(dim, 0, 1))


def _parts(steps: int) -> Iterator[tuple[int, int]]:
    """From which step to which the graphs are launched.

    Example:
        >>> list(_parts(34)), list(_parts(16))
        ([(0, 16), (16, 32), (32, 33), (33, 34)], [(0, 16)])
    """
    begin = 0
    while begin < steps:
        end = begin + (_STEPS if steps - begin >= _STEPS else 1)
        yield begin, end
        begin = end
