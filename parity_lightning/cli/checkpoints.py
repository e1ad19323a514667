"""Looking at a checkpoint before anything is built on it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch

from parity_lightning.cli.complaints import config_files
from parity_lightning.errors import SettingError

# Words that Lightning takes instead of a path.
_WORDS = ("best", "last", "hpc", "registry")


def check_checkpoint(path: str | None, class_path: str, *, required: bool) -> None:
    """Refuses a checkpoint that is missing, damaged or of another class of modules.

    Args:
        path: The checkpoint, or a word that stands for one, or None.
        class_path: The class that is to be loaded from it.
        required: Whether there must be one.

    Raises:
        SettingError: If it cannot be used.
    """
    if path is None:
        if required:
            raise SettingError(
                "--ckpt_path", "null", "missing; give a checkpoint, RUN/checkpoints/last.ckpt for example"
            )
        return
    if path in _WORDS:
        return
    if not Path(path).is_file():
        raise SettingError(
            "--ckpt_path", path, "no such file; give a checkpoint, RUN/checkpoints/last.ckpt for example"
        )
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
        trained = content["hyper_parameters"].get("_class_path", class_path)
    except Exception as error:
        raise SettingError("--ckpt_path", path, "not a checkpoint, or a damaged one; give another") from error
    if trained.rpartition(".")[2] != class_path.rpartition(".")[2]:
        raise SettingError("--ckpt_path", path, f"holds a {trained}, not a {class_path}; use --model {trained}")


def with_config_of_checkpoint(arguments: Sequence[str]) -> list[str]:
    """Adds the ``config.yaml`` of a checkpoint's run to a command line that names no configuration.

    Training anew needs a configuration of its own; only evaluating takes the checkpoint's.
    """
    if arguments[0] == "fit" or config_files(arguments):
        return list(arguments)
    for number, argument in enumerate(arguments):
        name, equals, value = argument.partition("=")
        if name == "--ckpt_path" and (equals or number + 1 < len(arguments)):
            config = Path(value if equals else arguments[number + 1]).parent.parent / "config.yaml"
            if config.is_file():
                return [arguments[0], f"--config={config}", *arguments[1:]]
    return list(arguments)
