"""What the trials of one setting have in common, and how each of them begins."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import nn

from parity_lightning.data.sparse_parity import SparseParity
from parity_lightning.engine.trainable import TrialModule, Unstackable


class Start(NamedTuple):
    """How a trial begins: with a parity and a module whose weights are drawn."""

    parity: SparseParity
    module: TrialModule


@dataclass(frozen=True)
class TrialConfig:
    """One setting of a module, its data and its training, to be run with many seeds.

    Attributes:
        module: The module as it is configured; its own weights do not matter.
        parity: The parity as it is configured; each trial has the seed, and the support if it is drawn, of its own.
        batch_size: The batch size B.
        num_samples: The size m of the training sample; None for fresh examples at every step.
        max_steps: After how many SGD steps a trial ends unsolved.
        every: SGD steps between evaluations.
        data_seed: The seed of the data of every trial; None for the trial's own.
        double: Whether to train in float64.

    Raises:
        Unstackable: If the module's weights cannot be drawn again.
    """

    module: TrialModule
    parity: SparseParity
    batch_size: int
    num_samples: int | None
    max_steps: int
    every: int
    data_seed: int | None = None
    double: bool = False

    def __post_init__(self) -> None:
        if any(map(_holds_weights, self.module.init_args)):
            raise Unstackable("its network is passed in ready made, so its weights cannot be drawn again for each seed")

    def start(self, seed: int) -> Start:
        """Draws what ``fit`` draws with this seed: the same weights and the same examples, bit for bit."""
        (parity,) = self.parities([seed])
        module = self.draw_module(seed)
        return Start(parity, module.double() if self.double else module)

    def parities(self, seeds: Sequence[int]) -> list[SparseParity]:
        """The parities of seeds.

        Raises:
            SettingError: If the network cannot learn one of them.
        """
        parities = self.parity.with_seeds(seeds if self.data_seed is None else [self.data_seed] * len(seeds))
        for parity in parities:
            self.module.check_parity(parity)
        return parities

    def draw_module(self, seed: int) -> TrialModule:
        """A module with the weights that ``fit`` draws with this seed, of the type that it has there at first."""
        _seed(seed)
        try:
            return self.module.reinitialize(network_only=True)
        except Exception:
            # A subclass reads something that only a complete module has; a real mistake is raised again here.
            _seed(seed)
            return self.module.reinitialize()


def _seed(seed: int) -> None:
    """Seeds what networks are drawn from, as Lightning's ``seed_everything`` does, and twenty times as fast.

    (``seed_everything`` also seeds every accelerator, where no network is drawn.)
    """
    random.seed(seed)
    np.random.seed(seed)
    torch.default_generator.manual_seed(seed)


def _holds_weights(value: Any) -> bool:
    if isinstance(value, (list, tuple)):
        return any(map(_holds_weights, value))
    if isinstance(value, dict):
        return any(map(_holds_weights, value.values()))
    return isinstance(value, (nn.Module, torch.Tensor))
