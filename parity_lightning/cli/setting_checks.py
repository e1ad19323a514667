"""Checks of settings that no class can make alone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lightning.pytorch.accelerators import AcceleratorRegistry

from parity_lightning.cli.given import GivenSettings
from parity_lightning.data.datamodule import check_interval
from parity_lightning.errors import SettingError, nearest

LINKED = ("n", "k")
"""Settings of the data that a module gets if it has arguments of these names."""

_MOST = 2**32 - 1


def check_links(given: GivenSettings, data: Mapping[str, Any]) -> None:
    """Refuses an n or k of the model that the data's would silently replace.

    Args:
        given: The command line and its files.
        data: The settings of the data.

    Raises:
        SettingError: If the model is given another one.
    """
    for name in LINKED:
        values = given.values(f"model.{name}")
        if values and str(values[-1]) != str(data.get(name)):
            raise SettingError(f"--model.{name}", values[-1], f"the model takes it from the data; set --data.{name}")


def check_intervals(given: GivenSettings, trainer: Any) -> None:
    """Refuses an interval between evaluations at which the run would never be evaluated.

    Args:
        given: The command line and its files.
        trainer: The settings of the trainer.

    Raises:
        SettingError: If there would be no evaluation.
    """
    interval, last = trainer.val_check_interval, trainer.max_steps
    if last < 0:
        raise SettingError("max_steps", last, "must be at least 0")
    check_interval(interval)
    # A run that is cut short is evaluated at its end; both numbers on the command line contradict each other.
    given_interval = given.is_on_command_line("trainer.val_check_interval")
    if last < interval and (given_interval or not given.is_on_command_line("trainer.max_steps")):
        hint = f"validation would never run; use at most max_steps={last}"
        raise SettingError("val_check_interval", interval, hint)


def check_seed(seed: Any) -> None:
    """Refuses what is no seed.

    Raises:
        SettingError: If it is neither a whole number below 2^32 nor true.
    """
    if seed is None or seed is False or not 0 <= seed <= _MOST:
        shown = "null" if seed is None else seed
        hint = f"must be a whole number from 0 to {_MOST}, or true for a random one"
        raise SettingError("--seed_everything", shown, hint)


def check_accelerator(name: Any) -> None:
    """Refuses a kind of device that this machine has none of.

    Raises:
        SettingError: If there is none, or no such kind.
    """
    if not isinstance(name, str) or name == "auto":
        return
    known = AcceleratorRegistry.available_accelerators()
    if name != "gpu" and name not in known:
        raise SettingError(
            "--trainer.accelerator", name, f"no such kind of device; {nearest(name, [*known, 'auto', 'gpu'])}"
        )
    kinds = ("cuda", "mps") if name == "gpu" else (name,)
    if not any(AcceleratorRegistry[kind]["accelerator"].is_available() for kind in kinds):
        raise SettingError("--trainer.accelerator", name, "this machine has none that torch can use; use cpu or auto")
