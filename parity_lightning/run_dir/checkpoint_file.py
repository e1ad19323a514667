"""Reading a checkpoint that may be damaged, or come from an untrusted source."""

from __future__ import annotations

import errno
import pickle
import warnings
import zipfile
from pathlib import Path
from typing import Any

import torch


class DamagedCheckpoint(Exception):
    """A file is not a checkpoint, or was changed after it was written."""


class UnsafeCheckpoint(Exception):
    """A checkpoint holds more than tensors, numbers and strings."""


def read_checkpoint(path: Path) -> dict[str, Any]:
    """Reads a checkpoint; no code runs from it.

    Args:
        path: The file.

    Raises:
        DamagedCheckpoint: If it cannot be read or its checksums, which PyTorch does not compare, are not those of its
            content.
        UnsafeCheckpoint: If it holds objects that only running code could make.
        OSError: If the file cannot be read.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            damaged = archive.testzip()
        if damaged is not None:
            raise DamagedCheckpoint(f"its part {damaged} was changed")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            content = torch.load(path, map_location="cpu", weights_only=True)
    except (DamagedCheckpoint, MemoryError):
        raise
    except Exception as error:
        if isinstance(error, OSError) and error.errno not in (None, errno.EINVAL):
            # EINVAL comes from a damaged file with offsets before its beginning.
            raise
        # A damaged file may raise any exception.
        if isinstance(error, pickle.UnpicklingError) and "Unsupported global" in str(error):
            raise UnsafeCheckpoint(str(error)) from error
        raise DamagedCheckpoint(str(error)) from error
    if not isinstance(content, dict):
        raise DamagedCheckpoint("it holds no checkpoint")
    return content
