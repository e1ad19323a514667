"""The rows of the tables: what became of whole networks and of layers."""

from __future__ import annotations

from typing import NamedTuple

WHOLE, GREEDY = "whole", "greedy"
"""How networks are trained."""


class Row(NamedTuple):
    """What became of whole networks, or of one layer trained alone.

    Attributes:
        depth: Number L of affine layers.
        k: Size of the support.
        trained: Whether networks were trained whole, or greedily.
        layer: Which hidden layer was trained, of how many; all if networks were trained whole.
        gradient: The largest entry of grad E[y f] over all inputs before training, of all trials.
        solved: The share of trials that were right on all inputs.
        low: The lower end of its interval.
        high: Its upper end.
        mean: The mean of the last accuracies of trials that did not diverge.
        error: Its standard error.
        best: The best accuracy of any trial at any time.
        diverged: How many trials diverged.
        steps: The median steps until trials were solved.
    """

    depth: int
    k: int
    trained: str
    layer: str
    gradient: float | None
    solved: float
    low: float
    high: float
    mean: float | None
    error: float | None
    best: float
    diverged: int
    steps: int | None

    @property
    def is_last_layer(self) -> bool:
        """Whether the last hidden layer was trained alone."""
        place, _, last = self.layer.partition("/")
        return place == last


class Point(NamedTuple):
    """The accuracy of a trial on all inputs after some steps."""

    depth: int
    k: int
    trained: str
    layer: str
    step: int
    trial: int
    accuracy: float
