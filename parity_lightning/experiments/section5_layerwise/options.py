"""Options of the experiment on greedy layers, and the paper's tasks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, NamedTuple

from parity_lightning.errors import SettingError
from parity_lightning.experiments.options import BoundedOptions, Bounds, Count, Seed


class Task(NamedTuple):
    """What a network is trained on, and how.

    Attributes:
        widths: The widths of the hidden layers.
        k: Size of the support.
        lr: The learning rate.
        steps: For how many steps whole networks are trained at most.
    """

    widths: tuple[int, ...]
    k: int
    lr: float
    steps: int

    @property
    def depth(self) -> int:
        """The number L of affine layers."""
        return len(self.widths) + 1


_TASKS = {3: Task((2, 1), 4, 0.03, 20_000), 4: Task((10, 10, 1), 8, 0.001, 50_000)}
"""The tasks by their depth; widths, k and steps are those of the paper."""


@dataclass(frozen=True)
class Options(BoundedOptions):
    """Options of the experiment.

    Attributes:
        n: Number of inputs, few enough to enumerate them all.
        depths: Numbers L of affine layers: 3 (widths 2 and 1, k=4) and 4 (widths 10, 10 and 1, k=8), as in the paper.
        trials: How many supports and networks.
        steps: For how many steps to train whole networks at most; the paper's, 20,000 and 50,000, if 0.
        greedy_steps: For how many steps to train each layer alone.
        seed: Of the first trial.
    """

    n: Annotated[int, Bounds(at_least=4, at_most=14)] = 10
    depths: tuple[int, ...] = (3, 4)
    trials: Count = 10
    steps: Annotated[int, Bounds(at_least=0)] = 0
    greedy_steps: Count = 5000
    seed: Seed = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        for depth in self.depths:
            if depth not in _TASKS:
                raise SettingError("depths", depth, "must be 3 or 4")
            if self.n < _TASKS[depth].k:
                raise SettingError("n", self.n, f"must be at least {_TASKS[depth].k}, the bits of depth {depth}")

    def task(self, depth: int) -> Task:
        """The task of a depth, with the steps that whole networks are trained for."""
        return _TASKS[depth]._replace(steps=self.steps or _TASKS[depth].steps)

    def has_papers_steps(self, depth: int) -> bool:
        """Whether whole networks are trained for as many steps as in the paper."""
        return self.steps == 0 or self.steps >= _TASKS[depth].steps
