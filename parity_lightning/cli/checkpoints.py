"""Looking at a checkpoint before anything is built on it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from parity_lightning.cli.complaints import config_files
from parity_lightning.data.datamodule import check_same_parity
from parity_lightning.errors import SettingError

_EXAMPLE = "give a checkpoint, RUN/checkpoints/last.ckpt for example"


def check_checkpoint(path: str | None, class_path: str, data: Mapping[str, Any], *, required: bool) -> None:
    """Refuses a checkpoint that is missing, damaged, of another class of modules or of another problem.

    Args:
        path: The checkpoint, or None.
        class_path: The class that is to be loaded from it.
        data: The settings of the data, by name.
        required: Whether there must be one.

    Raises:
        SettingError: If it cannot be used.
    """
    if path is None:
        if required:
            raise SettingError("--ckpt_path", "null", f"missing; {_EXAMPLE}")
        return
    _check_exists(path)
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
        trained = content.get("hyper_parameters", {}).get("_class_path", class_path)
        trained_on = content.get("ParityDataModule", {})
        _ = content["state_dict"]
    except Exception as error:
        raise SettingError("--ckpt_path", path, "not a checkpoint, or a damaged one; give another") from error
    if trained.rpartition(".")[2] != class_path.rpartition(".")[2]:
        raise SettingError("--ckpt_path", path, f"holds a {trained}, not a {class_path}; use --model {trained}")

    check_same_parity(trained_on, data)


def with_config_of_checkpoint(arguments: Sequence[str]) -> list[str]:
    """Adds the ``config.yaml`` of a checkpoint's run to a command line that names no configuration.

    Training anew needs a configuration of its own; only evaluating takes the checkpoint's.
    """
    if arguments[0] == "fit" or config_files(arguments):
        return list(arguments)
    for number, argument in enumerate(arguments):
        name, equals, value = argument.partition("=")
        if name == "--ckpt_path" and (equals or number + 1 < len(arguments)):
            path = value if equals else arguments[number + 1]
            _check_exists(path)
            config = Path(path).absolute().parent.parent / "config.yaml"
            if config.is_file():
                return [arguments[0], f"--config={config}", *arguments[1:]]
    return list(arguments)


def _check_exists(path: str) -> None:
    if not Path(path).is_file():
        raise SettingError("--ckpt_path", path, f"no such file; {_EXAMPLE}")
