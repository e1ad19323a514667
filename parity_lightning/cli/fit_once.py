"""A fit whose summary is all that is left of it."""

from __future__ import annotations

import contextlib
import io
import json
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from parity_lightning.cli.training import run

_QUIET = [f"--trainer.{what}=false" for what in ("logger", "enable_progress_bar", "enable_checkpointing")]


def fit_once(options: Sequence[str], seed: int) -> dict[str, Any]:
    """Runs ``parity-lightning fit`` and leaves nothing behind.

    Args:
        options: Its options, but for the seed.
        seed: Decides support, examples and initial weights, as far as the options do not.

    Returns:
        What ``summary.json`` says.
    """
    with tempfile.TemporaryDirectory() as folder:
        where = f"--trainer.default_root_dir={folder}"
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            run(["fit", *options, f"--seed_everything={seed}", where, *_QUIET])
        (path,) = Path(folder).glob("*/summary.json")
        summary: dict[str, Any] = json.loads(path.read_text())
    return summary
