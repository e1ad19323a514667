"""What the data module needs of the module that is trained on its data."""

from __future__ import annotations

from typing import NamedTuple, Protocol, runtime_checkable

from parity_lightning.data.sparse_parity import SparseParity


class BlockPlan(NamedTuple):
    """How the batches of a run are joined into blocks of several steps.

    Attributes:
        boundaries: A block ends at each multiple of these numbers of steps, where something happens between two steps.
        last_step: A block ends there, too; None if the run has no last step.
        lazy_from_step: From this step on a block holds its steps only, and the module draws the examples; None for
            never.
    """

    boundaries: tuple[int, ...] = ()
    last_step: int | None = None
    lazy_from_step: int | None = None


@runtime_checkable
class TakesBlocks(Protocol):
    """A module whose training batch may be a block of several SGD steps; every `ParityModule` is one."""

    def block_plan(self) -> BlockPlan | None:
        """How batches are joined into blocks; None if every batch is to come by itself."""
        ...


@runtime_checkable
class ChecksParity(Protocol):
    """A module that can refuse a parity it cannot learn; every `ParityModule` is one."""

    def check_parity(self, parity: SparseParity) -> None:
        """Raises `SettingError` if it cannot learn the parity."""
        ...
