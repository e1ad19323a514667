"""Sparse-parity data: the generator, the problem, its batches and the LightningDataModule over them."""

from parity_lightning.data.batches import TrainingBatches
from parity_lightning.data.datamodule import ParityDataModule
from parity_lightning.data.sparse_parity import SparseParity

__all__ = ["ParityDataModule", "SparseParity", "TrainingBatches"]
