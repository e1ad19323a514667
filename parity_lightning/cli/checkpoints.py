"""Checking a checkpoint before anything is built on it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from lightning.pytorch import LightningModule

from parity_lightning.cli.allowed_code import AllowedCode
from parity_lightning.cli.early_checks import CHECKPOINT_EXAMPLE
from parity_lightning.cli.given import GivenSettings, Setting, load_yaml
from parity_lightning.data.datamodule import check_same_parity
from parity_lightning.errors import SettingError
from parity_lightning.run_dir.checkpoint_file import read_checkpoint


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
            raise SettingError("--ckpt_path", None, f"missing; {CHECKPOINT_EXAMPLE}")
        return
    _check_exists(path)
    try:
        content = read_checkpoint(Path(path))
        trained = content.get("hyper_parameters", {}).get("_class_path", class_path)
        trained_on = content.get("ParityDataModule", {})
        _ = content["state_dict"]
    except Exception as error:
        raise SettingError("--ckpt_path", path, "not a checkpoint, or a damaged one; give another") from error
    if trained.rpartition(".")[2] != class_path.rpartition(".")[2]:
        raise SettingError("--ckpt_path", path, f"is of a {trained}, not of a {class_path}; use --model {trained}")

    check_same_parity(trained_on, data)


def difference_to(path: str, model: LightningModule) -> str | None:
    """The first difference between the weights of a checkpoint and those of a module, in words; None if there is none.

    Args:
        path: The checkpoint.
        model: The module it is to be loaded into.
    """
    try:
        saved = read_checkpoint(Path(path))["state_dict"]
    except Exception:
        return None
    own = model.state_dict()
    for name, weight in own.items():
        if name not in saved:
            return f"has no {name}"
        if tuple(saved[name].shape) != tuple(weight.shape):
            shapes = f"{tuple(saved[name].shape)} there and {tuple(weight.shape)} here"
            return f"is of a network of another shape: {name} has shape {shapes}"
    surplus = next((name for name in saved if name not in own), None)
    return None if surplus is None else f"has {surplus}, which this network has not"


def with_config_of_checkpoint(
    arguments: Sequence[str], given: GivenSettings
) -> tuple[list[str], GivenSettings, AllowedCode]:
    """Adds the ``config.yaml`` of a checkpoint's run to a command line that names no configuration.

    Training anew needs a configuration of its own; only evaluating takes the checkpoint's.

    Returns:
        The command line, its settings, and which code it may name: such a configuration nothing beyond the current
        folder's.
    """
    checkpoints = given.values("ckpt_path")
    if arguments[0] == "fit" or given.files or not checkpoints or checkpoints[-1] is None:
        return list(arguments), given, AllowedCode.of(given)
    _check_exists(checkpoints[-1])
    folder = Path(checkpoints[-1]).resolve().parent.parent
    file = folder / "config.yaml"
    if not file.is_file():
        return list(arguments), given, AllowedCode.of(given)
    content = _evaluation_config(file)
    found = [Setting(name, value, file=str(file)) for name, value in content.items()]
    text = json.dumps(content, allow_nan=True)
    allowed = AllowedCode.of(given, run_folder=folder)
    return [arguments[0], f"--config={text}", *arguments[1:]], given.preceded_by(found), allowed


# Of a configuration that was found beside a checkpoint, what evaluating needs; loggers, plugins and the like are not.
_PARTS = ("seed_everything", "model", "data")
_OF_TRAINER = ("precision", "limit_val_batches", "limit_test_batches", "limit_predict_batches")


def _evaluation_config(file: Path) -> dict[str, Any]:
    """The part of a run's ``config.yaml`` that evaluating its checkpoint needs.

    Args:
        file: A configuration that the command line does not name: it lies beside a checkpoint that may come from
            elsewhere.

    Returns:
        Seed, model and data, the trainer's precision and limits of batches, and `HiddenProgress` if it was among the
        callbacks.

    Raises:
        SettingError: If it is no configuration.
    """
    try:
        content = load_yaml(file.read_text())
        parts = {name: content[name] for name in _PARTS if name in content}
        trainer = content.get("trainer") or {}
        plain = {name: trainer[name] for name in _OF_TRAINER if type(trainer.get(name)) in (int, float, str)}
        names = [each["class_path"] for each in trainer.get("callbacks") or [] if isinstance(each, dict)]
        measuring = [name for name in names if name == "parity_lightning.callbacks.HiddenProgress"]
        parts["trainer"] = plain | {"callbacks": [{"class_path": name} for name in measuring]}
        json.dumps(parts)
        return parts
    except (
        OSError,
        yaml.YAMLError,
        AttributeError,
        KeyError,
        TypeError,
        ValueError,
        RecursionError,
    ) as error:
        message = f"is no configuration of a run ({type(error).__name__}); name another by --config"
        raise SettingError("--config", file, " ".join(message.split())) from error


def _check_exists(path: str) -> None:
    if not Path(path).is_file():
        raise SettingError("--ckpt_path", path, f"no such file; {CHECKPOINT_EXAMPLE}")
