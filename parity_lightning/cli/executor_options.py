"""Who runs the trials of a study: its options, and the executor that they describe."""

from __future__ import annotations

import re
from dataclasses import dataclass, fields
from importlib.util import find_spec
from typing import TYPE_CHECKING, Literal, get_args

from jsonargparse.typing import NonNegativeFloat, PositiveInt

from parity_lightning.cli.cores import cores
from parity_lightning.errors import SettingError, nearest

if TYPE_CHECKING:
    from parity_lightning.studies.executors import Executor

ExecutorName = Literal["embedded", "ray", "slurm"]

_NEEDS = {"ray": ("ray", "Ray", "ray"), "slurm": ("submitit", "submitit", "slurm")}
"""The module that an executor needs, what it is called, and the extra that installs it."""

_OF_ONE = {"address": "ray", "gpus_per_pack": "ray"}
"""Options that only one executor has."""


@dataclass(frozen=True)
class ExecutorOptions:
    """Who runs the trials of a study, and where.

    Args:
        executor: Who runs the trials: embedded is this machine's processes, ray a Ray cluster, slurm jobs of SLURM.
        workers: How many processes; by default one for each core, of this machine or of all of the Ray cluster.
        threads: How many threads each process uses.
        address: The Ray cluster, HOST:PORT or auto; by default Ray is started on this machine and stopped in the end.
        gpus_per_pack: The share of a GPU that each process gets from Ray, 0.5 for two on one; with 0 it sees none.
    """

    executor: ExecutorName = "embedded"
    workers: PositiveInt | None = None
    threads: PositiveInt = 1
    address: str | None = None
    gpus_per_pack: NonNegativeFloat = 0.0

    def check(self, spelled: str = "--") -> None:
        """Refuses what cannot work, before anything is parsed.

        Args:
            spelled: What stands before an option's name, for messages.

        Raises:
            SettingError: If an executor needs what is not installed, or an option is another executor's.
        """
        if self.executor not in get_args(ExecutorName):
            raise SettingError(f"{spelled}executor", self.executor, nearest(self.executor, get_args(ExecutorName)))
        for each in fields(self):
            value = getattr(self, each.name)
            owner = _OF_ONE.get(each.name, self.executor)
            if owner != self.executor and value != each.default:
                raise SettingError(f"{spelled}{each.name}", value, f"is an option of {spelled}executor {owner}")
        if self.address not in (None, "auto") and not re.fullmatch(r"[^/]+:\d+", self.address):
            raise SettingError(
                f"{spelled}address", self.address, "must be HOST:PORT, or auto for the cluster of this machine"
            )
        if self.gpus_per_pack > 1:
            raise SettingError(f"{spelled}gpus_per_pack", self.gpus_per_pack, "a pack trains on one GPU; at most 1")
        if self.executor in _NEEDS:
            module, name, extra = _NEEDS[self.executor]
            if find_spec(module) is None:
                hint = f"needs {name}: pip install 'parity-lightning[{extra}]'"
                raise SettingError(f"{spelled}executor", self.executor, hint)

    @property
    def on_a_machine(self) -> int:
        """How many processes share a machine's memory."""
        return self.workers or cores()

    def made(self) -> Executor:
        """Makes the executor, and imports what it needs: the command line does without until then."""
        if self.executor == "embedded":
            from parity_lightning.studies.executors.embedded import Embedded

            return Embedded(self.on_a_machine)
        if self.executor == "ray":
            from parity_lightning.studies.executors.ray_core import RayCore

            return RayCore(self.workers, self.address, self.gpus_per_pack, self.on_a_machine)
        raise SettingError("--executor", self.executor, "is not part of this version")
