"""Sparse-parity data: the generator, the problem, its batches and the LightningDataModule over them.

The datamodule is imported when first used: the problem itself needs no Lightning.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from parity_lightning.data.batches import TrainingBatches
from parity_lightning.data.sparse_parity import SparseParity

if TYPE_CHECKING:
    from typing import Any

    from parity_lightning.data.datamodule import ParityDataModule

__all__ = ["ParityDataModule", "SparseParity", "TrainingBatches"]


def __getattr__(name: str) -> Any:
    if name != "ParityDataModule":
        raise AttributeError(f"module 'parity_lightning.data' has no attribute {name!r}")
    from parity_lightning.data.datamodule import ParityDataModule

    return ParityDataModule
