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
    """Writes checkpoints that are complete or absent, and reads them without running code."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None) -> None:
        """Writes a checkpoint; an earlier one of this name is replaced in one step."""
        if storage_options is not None:
            super().save_checkpoint(checkpoint, path, storage_options)
            return
        content = io.BytesIO()
        torch.save(checkpoint, content)
        # A run that is resumed from here does not compute the rows until here again.
        if (metrics := Path(path).parent.parent / "metrics.csv").exists():
            sync_file(metrics)
        Path(path).parent.mkdir(exist_ok=True)
        with atomic_write(Path(path)) as new:
            # Not by torch.save, whose errors hide that the disk is full.
            new.write_bytes(content.getbuffer())

    def load_checkpoint(self, path: Any, map_location: Any = None, weights_only: bool | None = None) -> dict[str, Any]:
        """Reads a checkpoint: its checksums are compared, and no code in it runs.

        Raises:
            DamagedCheckpoint: If it is not what was written.
            UnsafeCheckpoint: If it holds more than tensors, numbers and strings.
        """
        return read_checkpoint(Path(path))
