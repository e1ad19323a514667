"""Going on with a run in its own folder, after it was stopped in whatever way."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
import yaml

# What a run's results depend on; a run goes on with the same, and with other limits, loggers or devices if need be.
_TOP = ("seed_everything", "model", "data")
_OF_TRAINER = ("val_check_interval", "precision", "gradient_clip_val", "gradient_clip_algorithm", "deterministic")


class Checkpoint(NamedTuple):
    """From where a run goes on.

    Attributes:
        path: The file; None to begin at step 0, for want of one.
        step: The SGD steps taken until then.
        damaged: Newer files that cannot be read.
    """

    path: Path | None
    step: int
    damaged: tuple[Path, ...]


def what_matters(config: Mapping[str, Any]) -> dict[str, Any]:
    """The settings, out of a ``config.yaml``, that two parts of one run have in common."""
    trainer = config.get("trainer") or {}
    return {name: config.get(name) for name in _TOP} | {name: trainer.get(name) for name in _OF_TRAINER}


def find_run(parent: Path, label: str, config: Mapping[str, Any]) -> Path | None:
    """The newest run of a configuration.

    Args:
        parent: The folder of runs.
        label: What the names of the run's folders have behind the time.
        config: The configuration.

    Returns:
        Its folder; None if there is none.
    """
    wanted = what_matters(config)
    for file in sorted(parent.glob(f"*-{label}*/config.yaml"), reverse=True):
        try:
            known = yaml.safe_load(file.read_text())
        except (OSError, yaml.YAMLError):
            continue
        if isinstance(known, dict) and what_matters(known) == wanted:
            return file.parent
    return None


def newest_checkpoint(folder: Path) -> Checkpoint:
    """The newest checkpoint of a run that is whole.

    Args:
        folder: The run's folder.
    """
    files = (folder / "checkpoints").glob("*.ckpt")
    damaged: list[Path] = []
    for path in sorted(files, key=lambda file: file.stat().st_mtime_ns, reverse=True):
        try:
            content = torch.load(path, map_location="cpu", weights_only=True)
            return Checkpoint(path, int(content["global_step"]), tuple(damaged))
        except Exception:
            # A damaged file may raise anything.
            damaged.append(path)
    return Checkpoint(None, 0, tuple(damaged))


def how_it_ended(folder: Path, max_steps: int) -> str | None:
    """Why nothing is left to be done in a run; None if it can go on to ``max_steps``."""
    try:
        summary = json.loads((folder / "summary.json").read_text())
    except (OSError, ValueError):
        return None
    reason, steps = summary["stop_reason"], summary["steps"]
    if reason in ("solved", "diverged") or steps >= max_steps:
        return f"{reason} at step {steps:,}"
    return None


def set_aside(folder: Path) -> None:
    """Renames what told of an end that was none: ``summary.json`` to ``summary-until-step-500.json``."""
    try:
        steps = json.loads((folder / "summary.json").read_text())["steps"]
    except (OSError, ValueError):
        return
    for name in ("progress.png", "summary.json"):
        path = folder / name
        if path.exists():
            path.replace(path.with_stem(f"{path.stem}-until-step-{steps}"))


def without_options(arguments: Sequence[str], *names: str) -> list[str]:
    """A command line without some options that have one value each.

    Example:
        >>> without_options(["fit", "--resume", "auto", "--data.n=5", "--ckpt_path=last"], "--resume", "--ckpt_path")
        ['fit', '--data.n=5']
    """
    kept: list[str] = []
    skip = False
    for argument in arguments:
        name, equals, _ = argument.partition("=")
        if not skip and name not in names:
            kept.append(argument)
        skip = not skip and name in names and not equals
    return kept
