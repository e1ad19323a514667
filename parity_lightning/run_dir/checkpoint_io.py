"""Checkpoints that are complete or absent."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import torch
from lightning.fabric.plugins.io import TorchCheckpointIO

from parity_lightning.run_dir.atomic_write import atomic_write, sync_file
from parity_lightning.run_dir.checkpoint_file import read_checkpoint


class AtomicCheckpointIO(TorchCheckpointIO):
    """Writes checkpoints that are there as a whole or not at all."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None) -> None:
        """Writes a checkpoint; an earlier one of this name is there until the new one is."""
        if storage_options is not None:
            super().save_checkpoint(checkpoint, path, storage_options)
            return
        content = io.BytesIO()
        torch.save(checkpoint, content)
        # A run goes on from here, and the rows until here are not computed again.
        if (metrics := Path(path).parent.parent / "metrics.csv").exists():
            sync_file(metrics)
        Path(path).parent.mkdir(exist_ok=True)
        with atomic_write(Path(path)) as new:
            # Not by torch.save, whose errors do not say that the disk is full.
            new.write_bytes(content.getbuffer())

    def load_checkpoint(self, path: Any, map_location: Any = None, weights_only: bool | None = None) -> dict[str, Any]:
        """Reads a checkpoint, whoever chose it; its checksums are compared, and no code runs from it.

        Raises:
            DamagedCheckpoint: If it is not what was written.
            UnsafeCheckpoint: If it holds more than tensors, numbers and strings.
        """
        return read_checkpoint(Path(path))
