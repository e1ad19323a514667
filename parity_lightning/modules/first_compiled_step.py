"""From which step on the steps of a run are compiled, or taken in C++."""

from __future__ import annotations

from typing import Any, Literal

import torch

from parity_lightning.engine.trainable import Trainable
from parity_lightning.errors import SettingError, check_int

CompileAfter = int | Literal["auto"] | None
"""From which step on, as a setting: a number of steps, None for never, or ``"auto"``."""

PYTORCH_COMPILES_FROM = 20_000
"""The step from which on PyTorch compiles under ``"auto"``, for half a minute: shorter runs should not wait for that.

What should be taken in C++ and cannot be is compiled from there on, too.
"""

# Weights times examples in a batch: from so many on, several threads are faster than one.
_WORTH_SHARING = 10_000_000


def check_compile_after(value: Any) -> CompileAfter:
    """Returns the setting.

    Raises:
        SettingError: If it is none.
    """
    if value is None or value == "auto":
        return value  # type: ignore[no-any-return]
    if isinstance(value, str):
        raise SettingError("compile_after", value, "must be a whole number, auto or null")
    return check_int("compile_after", value, at_least=0)


def is_small(module: torch.nn.Module, batch_size: int) -> bool:
    """Whether a step is so small that several threads would only wait for each other.

    Example:
        >>> is_small(torch.nn.Linear(50, 100), batch_size=32)
        True
    """
    return sum(parameter.numel() for parameter in module.parameters()) * batch_size < _WORTH_SHARING


def first_compiled_step(module: Trainable, after: CompileAfter, device: torch.device, batch_size: int) -> int | None:
    """From which step on steps are compiled; None for never.

    Compiled steps round differently, so it follows from the setting alone: not from how long a run is, or from what has
    been compiled before.

    Args:
        module: What is trained.
        after: The setting.
        device: Where it is trained.
        batch_size: Examples in a step.
    """
    if after != "auto":
        return after
    in_cpp = device.type == "cpu" and module.closed_form() is not None and is_small(module, batch_size)
    return 0 if in_cpp else PYTORCH_COMPILES_FROM


def reaches(max_steps: int, step: int | None) -> bool:
    """Whether a run goes on after a step.

    Args:
        max_steps: At most how many steps it has, as of a trainer: -1 for any number.
        step: The step; None is never reached.

    Example:
        >>> reaches(100, 0), reaches(100, 100), reaches(-1, 100), reaches(-1, None)
        (True, False, True, False)
    """
    return step is not None and not 0 <= max_steps <= step
