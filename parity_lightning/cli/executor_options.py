"""Who runs the trials of a study: its options, and the executor that they describe."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, fields
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

from jsonargparse.typing import NonNegativeFloat, PositiveInt

from parity_lightning.cli.cores import cores
from parity_lightning.cli.slurm_options import check_time, sbatch_options
from parity_lightning.errors import SettingError, nearest

if TYPE_CHECKING:
    from parity_lightning.studies.executors import Executor

ExecutorName = Literal["embedded", "ray", "slurm"]

_NEEDS = {"ray": ("ray", "Ray", "ray"), "slurm": ("submitit", "submitit", "slurm")}
"""The module that an executor needs, what it is called, and the extra that installs it."""

_OWNERS = {
    "address": ("ray",),
    "gpus_per_pack": ("ray", "slurm"),
    **dict.fromkeys(("partition", "account", "time", "cpus_per_task", "sbatch", "spool"), ("slurm",)),
}
"""The executors of options that not all have."""


@dataclass(frozen=True)
class ExecutorOptions:
    """Who runs the trials of a study, and where.

    Args:
        executor: Who runs the trials: embedded is this machine's processes, ray a Ray cluster, slurm jobs of SLURM.
        workers: How many processes; by default one for each core, of this machine or of all of the Ray cluster. With
            SLURM so many tasks at a time at most, by default as many as it lets.
        threads: How many threads each process uses.
        address: The Ray cluster, HOST:PORT or auto; by default Ray is started on this machine and stopped in the end.
        gpus_per_pack: The share of a GPU that each process gets from Ray, 0.5 for two on one; with 0 it sees none. A
            task of SLURM gets one or none.
        partition: SLURM's partition.
        account: The account at SLURM.
        time: How long a SLURM job may take, minutes or [DAYS-]HOURS:MINUTES:SECONDS; what it leaves, another does.
        cpus_per_task: The cores of a SLURM task, which uses a process for each.
        sbatch: NAME=VALUE or NAME, any other option of sbatch: constraint=avx512. May be given several times.
        spool: A folder that all of SLURM's nodes see, for what jobs leave; by default beside the store.
    """

    executor: ExecutorName = "embedded"
    workers: PositiveInt | None = None
    threads: PositiveInt = 1
    address: str | None = None
    gpus_per_pack: NonNegativeFloat = 0.0
    partition: str | None = None
    account: str | None = None
    time: str | None = None
    cpus_per_task: PositiveInt = 1
    sbatch: list[str] = field(default_factory=list)
    spool: str | None = None

    @classmethod
    def taken_from(cls, given: dict[str, Any]) -> ExecutorOptions:
        """Takes these options out of all that a command was given."""
        return cls(**{each.name: given.pop(each.name) for each in fields(cls)})

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
            owners = _OWNERS.get(each.name, (self.executor,))
            default = [] if each.name == "sbatch" else each.default
            if self.executor not in owners and value != default:
                hint = f"is an option of {spelled}executor {' or '.join(owners)}"
                raise SettingError(f"{spelled}{each.name}", value, hint)
        if self.address not in (None, "auto") and not re.fullmatch(r"[^/]+:\d+", self.address):
            hint = "must be HOST:PORT, or auto for the cluster of this machine"
            raise SettingError(f"{spelled}address", self.address, hint)
        if self.gpus_per_pack > 1:
            raise SettingError(f"{spelled}gpus_per_pack", self.gpus_per_pack, "a pack trains on one GPU; at most 1")
        if self.executor in _NEEDS:
            module, name, extra = _NEEDS[self.executor]
            if find_spec(module) is None:
                hint = f"needs {name}: pip install 'parity-lightning[{extra}]'"
                raise SettingError(f"{spelled}executor", self.executor, hint)
        if self.executor == "slurm":
            self._check_slurm(spelled)

    def _check_slurm(self, spelled: str) -> None:
        from parity_lightning.studies.executors.slurm.cluster import Cluster, Refused, missing_programs

        if self.gpus_per_pack not in (0, 1):
            raise SettingError(f"{spelled}gpus_per_pack", self.gpus_per_pack, "SLURM gives a task 1 GPU or none")
        directives = self._directives()
        if missing := missing_programs():
            hint = f"needs a machine of a SLURM cluster: there is no {', '.join(missing)} on the PATH"
            raise SettingError(f"{spelled}executor", self.executor, hint)
        try:
            Cluster(directives).check()
        except Refused as refused:
            raise SettingError(f"{spelled}executor", self.executor, f"SLURM refuses these options: {refused}") from None

    def _directives(self) -> dict[str, Any]:
        """What SLURM is asked for, as sbatch spells it."""
        if self.time is not None:
            check_time(self.time)
        own = {
            "partition": self.partition,
            "account": self.account,
            "time": self.time,
            "cpus-per-task": self.cpus_per_task,
            "gpus-per-node": int(self.gpus_per_pack) or None,
        }
        return {name: value for name, value in own.items() if value is not None} | sbatch_options(self.sbatch)

    @property
    def on_a_machine(self) -> int:
        """How many processes share a machine's memory; those of one task of SLURM."""
        if self.executor == "slurm":
            return 1 if self.gpus_per_pack else max(1, self.cpus_per_task // self.threads)
        return self.workers or cores()

    @property
    def in_words(self) -> str:
        """Who runs the trials, for the plan."""
        processes = f"{self.on_a_machine} {'process' if self.on_a_machine == 1 else 'processes'}"
        return f"tasks of {processes} each" if self.executor == "slurm" else processes

    def made(self, store: Path) -> Executor:
        """Makes the executor, and imports what it needs: the command line does without until then.

        Args:
            store: The file that gets the rows.
        """
        if self.executor == "embedded":
            from parity_lightning.studies.executors.embedded import Embedded

            return Embedded(self.on_a_machine)
        if self.executor == "ray":
            from parity_lightning.studies.executors.ray_core import RayCore

            return RayCore(self.workers, self.address, self.gpus_per_pack, self.on_a_machine)
        from parity_lightning.studies.executors.slurm.cluster import Cluster
        from parity_lightning.studies.executors.slurm.executor import Slurm

        spool = Path(self.spool or f"{store}.slurm").expanduser().absolute()
        cluster = Cluster(self._directives())
        return Slurm(cluster, spool, processes=self.on_a_machine, at_once=self.workers)
