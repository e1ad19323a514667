"""What a stack asks of those who compute its steps, what it tells them, and in which order its weights lie."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from torch import Tensor

from parity_lightning.engine.evaluation import ErrorCounts, screen_then_confirm
from parity_lightning.engine.objective import Objective
from parity_lightning.engine.update_rules import UpdateFunction


class Training(NamedTuple):
    """What the trials of a stack have in common.

    Attributes:
        objective: What is trained.
        rule: How weights are updated.
        groups: For each trainable tensor, the number of its parameter group.
        n: How many bits an input has.
        noisy: Whether there is label noise in any trial.
        batch_size: Examples in a step of one trial.
    """

    objective: Objective
    rule: UpdateFunction
    groups: Sequence[int]
    n: int
    noisy: bool
    batch_size: int

    @property
    def layout(self) -> WeightLayout:
        """In which order the weights lie."""
        return WeightLayout(len(self.objective.trainable), len(self.rule.state))


class Computation(Protocol):
    """Computes the steps and evaluations of a stack.

    A trial comes out the same bit for bit alone and in any stack, and however many steps a call takes.
    """

    version: str
    """How steps are computed: where it is the same, so are the numbers."""

    def run(
        self, words: Sequence[Tensor], options: Tensor, steps_made: Tensor, weights: Sequence[Tensor], indices: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Takes steps of every trial, and changes its weights and its optimizer's state in place.

        Args:
            words: What the examples of each trial depend on, as in `ParityStack`.
            options: The optimizers' options, float64 of shape ``(T, options)``; or of each step,
                ``(steps, T, options)``.
            steps_made: How many updates each optimizer has made, float64 of shape ``(T,)``; counted here.
            weights: The tensors of the trials, as in `WeightLayout`.
            indices: Which training examples, int64 of shape ``(steps, T, B)``.

        Returns:
            The losses and the numbers of errors before each update, both of shape ``(steps, T)``.
        """
        ...

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
        ...

    def evaluate(
        self, words: Sequence[Tensor], weights: Sequence[Tensor], places: Tensor, screen_size: int
    ) -> ErrorCounts:
        """Counts errors as `screen_then_confirm` does.

        Args:
            words: As of `run`.
            weights: As of `run`.
            places: Of which trials, int64 of shape ``(m,)``.
            screen_size: How many examples the screen has.
        """

        def count_errors(first: int, end: int, some: Tensor | None) -> Tensor:
            return self.errors(words, weights, places if some is None else places[some], first, end)

        return screen_then_confirm(count_errors, screen_size)


class WeightLayout(NamedTuple):
    """In which order the weights of a stack lie; each has the shape ``(T, ...)`` and is contiguous.

    The trainable tensors; the optimizers' states of the first one, of the next and so on; the frozen tensors.

    Attributes:
        trainable: How many tensors are trainable.
        states_each: How many states the optimizer keeps of each.
    """

    trainable: int
    states_each: int

    def parts(self, weights: Sequence[Tensor]) -> tuple[Sequence[Tensor], Sequence[Tensor], Sequence[Tensor]]:
        """The trainable tensors, the states and the frozen ones.

        Example:
            >>> import torch
            >>> tensors = [torch.tensor([float(number)]) for number in range(5)]
            >>> [len(part) for part in WeightLayout(trainable=2, states_each=1).parts(tensors)]
            [2, 2, 1]
        """
        frozen = self.trainable * (1 + self.states_each)
        return weights[: self.trainable], weights[self.trainable : frozen], weights[frozen:]
