"""What the trials of one setting have in common, and how each of them begins."""

from __future__ import annotations

import copy
from typing import Any, NamedTuple

import torch
from lightning.pytorch import seed_everything
from torch import nn

from parity_lightning.data import ParityDataModule
from parity_lightning.data.sparse_parity import SparseParity
from parity_lightning.modules import ParityModule
from parity_lightning.trials.update_rules import Unstackable


class Start(NamedTuple):
    """How a trial begins: with a parity and a module whose weights are drawn."""

    parity: SparseParity
    module: ParityModule


class Setting:
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
        if any(map(_holds_weights, module.made_with)):
            raise Unstackable("its network is handed over ready made, so it cannot be drawn again for every seed")

    def start(self, seed: int) -> Start:
        """Draws what ``fit`` draws with this seed: the same weights and the same examples, bit for bit."""
        seed_everything(seed, workers=True, verbose=False)
        parity = self.data.parity.with_seed(seed if self.data_seed is None else self.data_seed)
        try:
            module = self.module.again(bare=True)
        except AttributeError:
            # A subclass looks at something that a bare module does not have.
            seed_everything(seed, workers=True, verbose=False)
            module = self.module.again()
        self.module.check_parity(parity)
        if self.double:
            module.double()
        return Start(parity, module)

    def make_optimizer(self) -> tuple[torch.optim.Optimizer, Any | None]:
        """The optimizer that the module is trained with, and its schedule if there is one."""
        made: Any = self.module.configure_optimizers()
        if isinstance(made, dict):
            return made["optimizer"], made["lr_scheduler"]["scheduler"]
        return made, None

    def copy(self, **changes: Any) -> Setting:
        """The same setting but for some attributes."""
        other = copy.copy(self)
        vars(other).update(changes)
        return other


def _holds_weights(value: Any) -> bool:
    if isinstance(value, (list, tuple)):
        return any(map(_holds_weights, value))
    if isinstance(value, dict):
        return any(map(_holds_weights, value.values()))
    return isinstance(value, (nn.Module, torch.Tensor))
