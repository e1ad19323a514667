"""What the trials of one setting have in common, and how each of them begins."""

from __future__ import annotations

import copy
import random
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import nn

from parity_lightning.data import ParityDataModule
from parity_lightning.data.sparse_parity import SparseParity
from parity_lightning.engine.update_rules import Unstackable
from parity_lightning.modules import ParityModule


class Start(NamedTuple):
    """How a trial begins: with a parity and a module whose weights are drawn."""

    parity: SparseParity
    module: ParityModule


class TrialConfig:
    """One setting of a module, its data and its training, to be tried with many seeds.

    Args:
        module: The module as it is configured; its own weights do not matter.
        data: The data as they are configured.
        max_steps: After how many SGD steps a trial ends unsolved.
        every: SGD steps between evaluations.
        data_seed: The seed of the data of every trial; by default it is the trial's own.
        double: Whether to train in float64.

    Raises:
        Unstackable: If the module's weights cannot be drawn again.
    """

    def __init__(
        self,
        module: ParityModule,
        data: ParityDataModule,
        max_steps: int,
        every: int,
        data_seed: int | None = None,
        double: bool = False,
    ) -> None:
        self.module = module
        self.data = data
        self.max_steps = max_steps
        self.every = every
        self.double = double
        self.data_seed = data_seed
        if any(map(_holds_weights, module.init_args)):
            raise Unstackable("its network is handed over ready made, so it cannot be drawn again for every seed")

    def start(self, seed: int) -> Start:
        """Draws what ``fit`` draws with this seed: the same weights and the same examples, bit for bit."""
        (start,) = self.starts([seed])
        return start

    def starts(self, seeds: Sequence[int]) -> Iterator[Start]:
        """What ``start`` does for several seeds, of which all parities are drawn at once."""
        parities = self.data.parity.with_seeds(seeds if self.data_seed is None else [self.data_seed] * len(seeds))
        for seed, parity in zip(seeds, parities, strict=True):
            self.module.check_parity(parity)
            module = self._draw(seed)
            yield Start(parity, module.double() if self.double else module)

    def _draw(self, seed: int) -> ParityModule:
        _seed(seed)
        try:
            return self.module.reinitialize(bare=True)
        except Exception:
            # A subclass looks at something that a bare module does not have; what is really wrong is raised again.
            _seed(seed)
            return self.module.reinitialize()

    def make_optimizer(self) -> tuple[torch.optim.Optimizer, Any | None]:
        """The optimizer that the module is trained with, and its schedule if there is one."""
        made: Any = self.module.configure_optimizers()
        if isinstance(made, dict):
            return made["optimizer"], made["lr_scheduler"]["scheduler"]
        return made, None

    def copy(self, **changes: Any) -> TrialConfig:
        """The same setting but for some attributes."""
        other = copy.copy(self)
        vars(other).update(changes)
        return other


def _seed(seed: int) -> None:
    """Seeds what networks are drawn from, as Lightning's ``seed_everything`` does, and twenty times as fast.

    (That seeds every accelerator, too, where no network is drawn.)
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
