"""Many seeds of a configuration, each run by `parity-lightning fit`."""

from __future__ import annotations

import json
import os
import tempfile
import warnings
from collections.abc import Sequence
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

import torch

from parity_lightning.cli import main as parity_lightning


def run_trial(options: Sequence[str], seed: int) -> dict[str, Any]:
    """Runs one fit on one thread, leaving nothing behind.

    Args:
        options: The command line after ``fit``, but for the seed.
        seed: Decides support, examples and initial weights.

    Returns:
        Its ``summary.json``.
    """
    torch.set_num_threads(1)
    os.environ["OMP_NUM_THREADS"] = "1"
    warnings.simplefilter("ignore")
    with tempfile.TemporaryDirectory() as folder, open(os.devnull, "w") as nowhere:
        where = [f"--trainer.default_root_dir={folder}", "--trainer.enable_progress_bar=false"]
        with redirect_stdout(nowhere), redirect_stderr(nowhere):
            parity_lightning(["fit", *options, f"--seed_everything={seed}", "--trainer.accelerator=cpu", *where])
        (path,) = Path(folder).glob("*/summary.json")
        summary: dict[str, Any] = json.loads(path.read_text())
    return summary
