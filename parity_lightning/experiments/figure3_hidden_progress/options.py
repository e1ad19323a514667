"""Options of the experiment on hidden progress."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from parity_lightning.errors import SettingError
from parity_lightning.experiments.options import BoundedOptions, Bounds, Count, Seed


@dataclass(frozen=True)
class Options(BoundedOptions):
    """Options of the experiment.

    Attributes:
        n: How many inputs, at most 20: the population gradient is summed over all 2^n.
        k: The size of the support.
        width: Hidden units.
        batch_size: Fresh examples a step.
        lr: The learning rate.
        steps: SGD steps.
        every: After how many steps to measure.
        trials: How many networks to train on parities; as many on random labels to set thresholds, and as many again to
            count false alarms.
        gap_trials: For how many of them to measure the Fourier gap of the gradient.
        false_alarms: The share of trials on random labels that each measure may give an alarm in.
        seed: From which seed.
    """

    n: Annotated[int, Bounds(at_least=2, at_most=20)] = 15
    k: Count = 4
    width: Count = 100
    batch_size: Count = 32
    lr: Annotated[float, Bounds(above=0, below=float("inf"))] = 0.1
    steps: Count = 1000
    every: Count = 10
    trials: Annotated[int, Bounds(at_least=10)] = 100
    gap_trials: Count = 10
    false_alarms: Annotated[float, Bounds(above=0, below=1)] = 0.01
    seed: Seed = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        self.check_at_most(k=self.n, gap_trials=self.trials, every=self.steps)
        if self.steps % self.every:
            raise SettingError("every", self.every, f"must divide steps={self.steps}")
        if self.false_alarms < 1 / (self.trials + 1):
            hint = f"must be at least 1/(trials+1) = {1 / (self.trials + 1):.3g}, below 1"
            raise SettingError("false_alarms", self.false_alarms, hint)
