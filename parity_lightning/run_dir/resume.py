"""Finding the run to resume in its folder, and the checkpoint to resume it from."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from parity_lightning.errors import SettingError
from parity_lightning.run_dir.checkpoint_file import DamagedCheckpoint, UnsafeCheckpoint, read_checkpoint

# The folder of a run: the time, what it is, and a number if there were several at that time.
_NAME = re.compile(r"(\d{8}-\d{6})-.*?(?:-(\d+))?$")

# What a run's results depend on. A run is resumed with the same; limits, loggers and devices may change.
_TOP = ("seed_everything", "model", "data")
_OF_TRAINER = ("val_check_interval", "precision", "gradient_clip_val", "gradient_clip_algorithm", "deterministic")


class Checkpoint(NamedTuple):
    """What a run is resumed from.

    Attributes:
        path: The file; None to begin at step 0, if there is none.
        step: The SGD steps it was saved after.
        damaged: Files that cannot be read.
        threads: How many threads the run had then, if that is known.
    """

    path: Path | None
    step: int
    damaged: tuple[Path, ...]
    threads: int | None


def comparable_config(config: Mapping[str, Any]) -> dict[str, Any]:
    """The part of a ``config.yaml`` that must not change when a run is resumed."""
    trainer = config.get("trainer") or {}
    return {name: config.get(name) for name in _TOP} | {name: trainer.get(name) for name in _OF_TRAINER}


def find_run(parent: Path, label: str, config: Mapping[str, Any], *, from_seed: bool) -> Path | None:
    """Finds the newest run of a configuration.

    Args:
        parent: The folder of runs.
        label: The end of the folder's name, after the time.
        config: The configuration.
        from_seed: Whether only a run counts that began with weights drawn from the seed, not with a checkpoint.

    Returns:
        Its folder; None if there is none.
    """
    wanted = comparable_config(config)
    folders = [(found, path) for path in parent.glob(f"*-{label}*") if (found := _NAME.match(path.name))]
    # By time and, within a second, by number.
    folders.sort(key=lambda each: (each[0][1], int(each[0][2] or 1)), reverse=True)
    for _, folder in folders:
        known = config_of(folder)
        if known and comparable_config(known) == wanted and not (from_seed and known.get("ckpt_path")):
            return folder
    return None


def config_of(folder: Path) -> dict[str, Any]:
    """The configuration a run began with; empty if it cannot be read."""
    try:
        known = yaml.safe_load((folder / "config.yaml").read_text())
    except (OSError, yaml.YAMLError):
        return {}
    return known if isinstance(known, dict) else {}


def newest_checkpoint(folder: Path) -> Checkpoint:
    """Finds the newest undamaged checkpoint of a run.

    Args:
        folder: The run's folder.
    """
    whole, damaged = [], []
    # Of two of the same step, last.ckpt: it is saved first.
    for path in sorted((folder / "checkpoints").glob("[!.]*.ckpt"), key=lambda file: file.name != "last.ckpt"):
        try:
            content = read_checkpoint(path)
            step, is_enough = int(content["global_step"]), is_resumable(content)
        except UnsafeCheckpoint as error:
            message = "holds more than tensors, numbers and strings, the state of a callback perhaps; begin a new run"
            raise SettingError("--ckpt_path", path, message) from error
        except OSError as error:
            message = f"cannot be read ({error.strerror}); make it readable, or begin a new run"
            raise SettingError("--ckpt_path", path, message) from error
        except (DamagedCheckpoint, KeyError, TypeError, ValueError, AttributeError):
            damaged.append(path)
        else:
            if is_enough:
                whole.append(Checkpoint(path, step, (), _threads_of(content)))
    if whole:
        # Not by date: a clock may have been set back.
        return max(whole, key=lambda checkpoint: checkpoint.step)._replace(damaged=tuple(damaged))
    origin = config_of(folder).get("ckpt_path")
    return Checkpoint(Path(origin) if origin else None, 0, tuple(damaged), None)


def _threads_of(content: Mapping[str, Any]) -> int | None:
    parts = content.get("parity_lightning")
    threads = parts[0].get("threads") if isinstance(parts, list) and parts and isinstance(parts[0], dict) else None
    return threads if isinstance(threads, int) else None


def is_resumable(content: Mapping[str, Any]) -> bool:
    """Whether a run can be resumed from it: other callbacks may save weights only, or before an evaluation."""
    if "optimizer_states" not in content:
        return False
    states = [state for state in content.get("callbacks", {}).values() if "saves_now" in state]
    return not states or any(state["saves_now"] for state in states)


# What a run writes to in its folder.
_WRITTEN = (".lock", "checkpoints", "config.yaml", "metrics.csv", "progress.png", "summary.json")


def check_no_links(folder: Path) -> None:
    """Refuses to resume a run whose folder holds symbolic links: writing would follow them to somewhere else.

    Args:
        folder: The run's folder; it may be a link itself.

    Raises:
        SettingError: If a part of it is a symbolic link.
    """
    for path in (*(folder / name for name in _WRITTEN), *(folder / "checkpoints").glob("*")):
        if path.is_symlink():
            message = (
                f"{path.relative_to(folder)} is a link, and the run would write to where it leads; put a copy there"
            )
            raise SettingError("default_root_dir", folder, message)


def end_of_run(folder: Path, max_steps: int) -> str | None:
    """How a run ended; None if it can be resumed up to ``max_steps``."""
    try:
        summary = json.loads((folder / "summary.json").read_text())
        reason, steps = summary["stop_reason"], int(summary["steps"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
    if reason in ("solved", "diverged") or steps >= max_steps:
        return f"{reason} at step {steps:,}"
    return None
