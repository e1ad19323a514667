"""What SLURM is asked for: options of this command and any other of sbatch, as sbatch spells them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from parity_lightning.errors import SettingError

_TIME = re.compile(r"(?:(\d+)-)?(\d+)(?::(\d+))?(?::(\d+))?")

# A job is told a minute before its time is over, and SLURM may say so a minute earlier.
_LEAST_SECONDS = 300

_OWN = {
    "partition": "--partition",
    "account": "--account",
    "time": "--time",
    "cpus-per-task": "--cpus_per_task",
    "gpus-per-node": "--gpus_per_pack",
    "gpus-per-task": "--gpus_per_pack",
}
"""Options of sbatch that have one here."""

_SET_HERE = (
    *("array", "error", "job-name", "nodes", "ntasks", "ntasks-per-node", "open-mode", "output", "requeue", "signal"),
    *("test-only", "wait", "wrap"),
)
"""Options of sbatch on which the executor relies."""


def sbatch_options(options: Sequence[str]) -> dict[str, Any]:
    """Reads options of sbatch.

    Args:
        options: Each ``NAME=VALUE``, or ``NAME`` alone.

    Returns:
        Values by names; True for a name alone.

    Raises:
        SettingError: If one cannot be read, or is set elsewhere.

    Example:
        >>> sbatch_options(["constraint=avx512", "exclusive"])
        {'constraint': 'avx512', 'exclusive': True}
    """
    found: dict[str, Any] = {}
    for option in options:
        name, equals, value = option.strip().removeprefix("--").partition("=")
        if not re.fullmatch(r"[a-z][a-z-]+", name) or "\n" in value or (equals and not value.strip()):
            hint = "give an option of sbatch by its long name: constraint=avx512, or exclusive"
            raise SettingError("--sbatch", option, hint)
        if name in _OWN:
            raise SettingError("--sbatch", option, f"has an option of its own, {_OWN[name]}")
        if name in _SET_HERE:
            raise SettingError("--sbatch", option, "is set by the executor itself; leave it out")
        found[name] = value if equals else True
    return found


def check_time(time: str) -> None:
    """Refuses what is no time of SLURM's, or too short.

    Raises:
        SettingError: If so.

    Example:
        >>> check_time("90"), check_time("2-12:00:00"), check_time("01:30:00")
        (None, None, None)
    """
    found = _TIME.fullmatch(time)
    if found is None:
        raise SettingError("--time", time, "give minutes, or [DAYS-]HOURS:MINUTES:SECONDS")
    days, *parts = (int(part or 0) for part in found.groups())
    # One or two numbers without days are minutes and seconds.
    units = (60, 1, 0) if found[1] is None and found[4] is None else (3600, 60, 1)
    if 86400 * days + sum(part * unit for part, unit in zip(parts, units, strict=True)) < _LEAST_SECONDS:
        raise SettingError("--time", time, f"a job needs at least {_LEAST_SECONDS // 60} minutes")
