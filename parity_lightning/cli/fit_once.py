"""A run of ``fit`` that says nothing, for commands that make many."""

from __future__ import annotations

import contextlib
import io
import json
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from parity_lightning.cli.training import run
from parity_lightning.errors import RunError, SettingError
from parity_lightning.terminal.output import speaking


def fit_quietly(options: Sequence[str], folder: Path, *off: str) -> None:
    """Runs ``parity-lightning fit`` without a word and without checkpoints.

    Args:
        options: Its options.
        folder: Where its files go.
        off: What else of the trainer is turned off.

    Raises:
        KeyboardInterrupt: If it is interrupted.
        RunError: If it is refused, or cannot go on.
    """
    said = io.StringIO()
    quiet = [f"--trainer.{what}=false" for what in ("enable_progress_bar", "enable_checkpointing", *off)]
    try:
        with speaking(quiet=True), contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(said):
            run(["fit", *options, f"--trainer.default_root_dir={folder}", *quiet])
    except SystemExit as ended:
        if ended.code in (130, 143):
            raise KeyboardInterrupt from None
        if ended.code:
            raise RunError(said.getvalue().strip()) from None


def fit_once(options: Sequence[str], seed: int) -> dict[str, Any]:
    """Runs ``parity-lightning fit`` in a temporary folder.

    Args:
        options: Its options, without the seed.
        seed: Decides support, examples and initial weights, as far as the options do not.

    Returns:
        What ``summary.json`` says.

    Raises:
        KeyboardInterrupt: If it is interrupted.
        RunError: If it is refused.
        SettingError: If the run writes no summary.
    """
    with tempfile.TemporaryDirectory() as folder:
        try:
            fit_quietly([*options, f"--seed_everything={seed}"], Path(folder), "logger")
        except RunError as error:
            raise RunError(f"seed {seed}: {error}") from None
        for path in Path(folder).glob("*/summary.json"):
            summary: dict[str, Any] = json.loads(path.read_text())
            return summary
    raise SettingError("trainer.callbacks", "", "RunSummary must be among them for trials that run one by one")
