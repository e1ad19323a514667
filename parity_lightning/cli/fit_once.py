"""A fit of which only the summary is kept."""

from __future__ import annotations

import contextlib
import io
import json
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from parity_lightning.cli.training import run
from parity_lightning.errors import SettingError
from parity_lightning.terminal.output import speaking

_QUIET = [f"--trainer.{what}=false" for what in ("logger", "enable_progress_bar", "enable_checkpointing")]


def fit_once(options: Sequence[str], seed: int) -> dict[str, Any]:
    """Runs ``parity-lightning fit`` in a temporary folder.

    Args:
        options: Its options, without the seed.
        seed: Decides support, examples and initial weights, as far as the options do not.

    Returns:
        What ``summary.json`` says.

    Raises:
        RuntimeError: If it is refused.
        SettingError: If the run writes no summary.
    """
    with tempfile.TemporaryDirectory() as folder:
        where = f"--trainer.default_root_dir={folder}"
        said = io.StringIO()
        try:
            with speaking(quiet=True), contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(said):
                run(["fit", *options, f"--seed_everything={seed}", where, *_QUIET])
        except SystemExit as ended:
            if ended.code:
                raise RuntimeError(f"seed {seed}: {said.getvalue().strip()}") from None
        for path in Path(folder).glob("*/summary.json"):
            summary: dict[str, Any] = json.loads(path.read_text())
            return summary
    raise SettingError("trainer.callbacks", "", "RunSummary must be among them for trials that run one by one")
