"""What is refused before Lightning and torch are imported, which takes seconds."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from parity_lightning.cli.given import GivenSettings
from parity_lightning.cli.shipped_configs import instead_of
from parity_lightning.errors import SettingError

CHECKPOINT_EXAMPLE = "give a checkpoint, RUN/checkpoints/last.ckpt for example"


def check_training(words: Sequence[str]) -> None:
    """Checks a command line of ``fit``, ``trials``, ``validate``, ``test`` or ``predict``.

    Args:
        words: The subcommand and its options.

    Raises:
        SettingError: If a configuration cannot be read, or what cannot be done without is missing.
    """
    given = GivenSettings.of(words)
    asks = any(setting.option.split(".")[-1] in ("help", "all", "print_config") for setting in given.settings)
    if asks:
        return
    if words[0] == "trials" and not given.values("trials"):
        raise SettingError("--trials", None, "missing; give the number of trials")
    if words[0] in ("validate", "test", "predict") and not given.values("ckpt_path"):
        raise SettingError("--ckpt_path", None, f"missing; {CHECKPOINT_EXAMPLE}")


def check_sweep_file(file: str) -> None:
    """Checks that there is a sweep file.

    Raises:
        SettingError: If there is none.
    """
    if not Path(file).exists() and not instead_of(file):
        raise SettingError("FILE", file, "no such file; give the path of a W&B sweep file")
