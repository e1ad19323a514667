"""Steps and evaluations of any network, by calling it for all trials at once: operation by operation, or compiled."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from parity_lightning.data.parity_stack import ParityStack
from parity_lightning.data.sparse_parity import Stream
from parity_lightning.engine.compiled import Flat, compile_stacked
from parity_lightning.engine.computation import Computation, Training
from parity_lightning.engine.native.stream import Drawing
from parity_lightning.engine.stacked_step import StackedEvaluation, StackedStep, places_of

# For how many trials errors are counted at a time on a CPU: all that is computed for them stays in the cache.
_EVALUATED_TOGETHER = 4

# How many numbers are drawn at a time.
_DRAWN_AT_ONCE = 2**20


class TracedSteps(Computation):
    """A `Computation` by the module's own functions.

    Args:
        training: What the trials have in common.
        evaluated_at_once: How many held-out examples to evaluate in one call.
    """

    def __init__(self, training: Training, evaluated_at_once: int) -> None:
        self._step = StackedStep(training.objective, training.rule, training.groups)
        self._evaluation = StackedEvaluation(training.objective)
        self._layout, self._batch_size = training.layout, training.batch_size
        self._n, self._noisy = training.n, training.noisy
        self.evaluated_at_once = evaluated_at_once
        """How many held-out examples are evaluated in one call."""
        self.evaluated_together = _EVALUATED_TOGETHER
        """Of how many trials."""
        self._drawing: Drawing | None = None
        self._run_update: Flat = lambda tensors: self.update(*tensors)
        self._run_count: Flat = lambda tensors: self.count(*tensors)
        self.version = "eager"

    def update(
        self, x: Tensor, y: Tensor, options: Tensor, steps_made: Tensor, *weights: Tensor
    ) -> tuple[Tensor, Tensor]:
        """One SGD step as a function of examples and of tensors as `run` has them."""
        trainable, state, frozen = self._layout.parts(weights)
        return self._step(x, y, options, steps_made, trainable, state, frozen)

    def count(self, counted: Tensor, x: Tensor, y: Tensor, *weights: Tensor) -> tuple[Tensor]:
        """The numbers of errors as a function of the examples, which of them to count, and weights without states."""
        count = self._layout.trainable
        return (self._evaluation(counted, x, y, weights[:count], weights[count:]),)

    def draw_by(self, drawing: Drawing) -> None:
        """Draws examples by other code than PyTorch's operations from now on, which draws the same bits."""
        self._drawing = drawing

    def compile(
        self,
        words: Sequence[Tensor],
        options: Tensor,
        steps_made: Tensor,
        weights: Sequence[Tensor],
        evaluation: bool,
    ) -> None:
        """Compiles steps, and evaluations if asked for; examples are drawn outside of what is compiled.

        Args:
            words: As of `run`, of some trial.
            options: As of `run`.
            steps_made: As of `run`.
            weights: As of `run`.
            evaluation: Whether to compile evaluations, too.

        Raises:
            NotCompiled: If one of them cannot be compiled; then neither is.
        """
        index = torch.zeros(len(steps_made), self._batch_size, dtype=torch.int64, device=steps_made.device)
        examples = self._draw(words, index, "train", weights[0].dtype)
        run_update = compile_stacked(self.update, [*examples, options, steps_made, *weights])
        if evaluation:
            index, counted = self._places(0, self.evaluated_at_once, index.device)
            examples = self._draw(words, index, "validation", weights[0].dtype)
            trainable, _, frozen = self._layout.parts(weights)
            self._run_count = compile_stacked(self.count, [counted, *examples, *trainable, *frozen], shared=1)
        self._run_update = run_update
        self.version = "compiled"

    def run(
        self, words: Sequence[Tensor], options: Tensor, steps_made: Tensor, weights: Sequence[Tensor], indices: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Takes steps; see `Computation`."""
        losses, errors = [], []
        for step, (x, y) in enumerate(self._examples(words, indices, weights[0].dtype)):
            own = options[step] if options.dim() == 3 else options
            loss, wrong = self._run_update([x, y, own, steps_made, *weights])
            losses.append(loss)
            errors.append(wrong)
        return torch.stack(losses), torch.stack(errors)

    def errors(
        self, words: Sequence[Tensor], weights: Sequence[Tensor], places: Tensor, first: int, end: int
    ) -> Tensor:
        """Counts errors; see `Computation`."""
        trainable, _, frozen = self._layout.parts(weights)
        words = [word[places] for word in words]
        values = [tensor[places] for tensor in (*trainable, *frozen)]
        count = torch.zeros_like(places)
        for start in range(first, end, self.evaluated_at_once):
            index, counted = self._places(start, end, places.device)
            for some in range(0, len(count), self.evaluated_together):
                part = slice(some, some + self.evaluated_together)
                examples = self._draw([word[part] for word in words], index, "validation", values[0].dtype)
                count[part] += self._run_count([counted, *examples, *(tensor[part] for tensor in values)])[0]
        return count

    def _places(self, first: int, end: int, device: torch.device) -> list[Tensor]:
        return [part.to(device) for part in places_of(first, end, self.evaluated_at_once)]

    def _examples(self, words: Sequence[Tensor], indices: Tensor, kind: torch.dtype) -> Iterator[tuple[Tensor, Tensor]]:
        """The training examples of each step."""
        _, trials, batch = indices.shape
        # PyTorch's operations on few numbers cost as much as on many.
        at_once = 1 if self._drawing is not None else max(1, _DRAWN_AT_ONCE // (trials * batch * self._n))
        for some in torch.split(indices, at_once):
            x, y = self._draw(words, some.transpose(0, 1).reshape(trials, -1), "train", kind)
            if len(some) == 1:
                yield x, y
                continue
            for part_x, part_y in zip(torch.split(x, batch, 1), torch.split(y, batch, 1), strict=True):
                yield part_x.contiguous(), part_y.contiguous()

    def _draw(self, words: Sequence[Tensor], index: Tensor, stream: Stream, kind: torch.dtype) -> tuple[Tensor, Tensor]:
        """The examples of all trials: inputs and labels, of the type of the weights."""
        if self._drawing is not None:
            return self._drawing(words, index, stream, self._noisy)
        x, y = ParityStack(*words).draw(index, self._n, stream, self._noisy)
        return x.to(kind), y.to(kind)
