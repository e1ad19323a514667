"""What the coordinator says to SLURM, in few words: a cluster's controller serves everybody.

Jobs are submitted by submitit, which writes the script, pickles the call and has the job unpickle it. Its own way to
learn what came of a job, `sacct` and a pickled result, is not used: not every cluster has accounting, and results come
as lines of files. `squeue` tells which jobs there are, `scancel` calls them off, by the name of their array, which is
known before they are submitted.
"""

from __future__ import annotations

import io
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import redirect_stderr
from pathlib import Path
from typing import Any, NamedTuple

PROGRAMS = ("sbatch", "squeue", "scancel", "scontrol", "srun")
"""What must be on the PATH; srun is for submitit, which looks whether it is there."""

_SECONDS = 60
_DEFAULT_ARRAY = 1001


class Refused(RuntimeError):
    """SLURM has refused something; the text is its own, in a line."""


class Waiting(NamedTuple):
    """A task that SLURM knows.

    Attributes:
        state: `PENDING`, `RUNNING` and so on.
        reason: Why it is there.
    """

    state: str
    reason: str


def missing_programs() -> list[str]:
    """Those of SLURM's programs that are not on the PATH."""
    return [name for name in PROGRAMS if shutil.which(name) is None]


class Cluster:
    """The cluster of this machine.

    Args:
        directives: The options of sbatch by their names, `{"cpus-per-task": 4, "exclusive": True}`.
    """

    def __init__(self, directives: Mapping[str, Any]) -> None:
        self.directives = dict(directives)

    def check(self) -> None:
        """Has SLURM look at the options, and submits nothing.

        Raises:
            Refused: If it would not take them.
        """
        options = [f"--{name}" if value is True else f"--{name}={value}" for name, value in self.directives.items()]
        _told(["sbatch", "--test-only", "--array=0", *options, "--wrap=true"])

    def most_tasks(self) -> int:
        """How many tasks an array may have: MaxArraySize."""
        try:
            found = re.search(r"^MaxArraySize\s*=\s*(\d+)", _told(["scontrol", "show", "config"]), re.MULTILINE)
        except Refused:
            found = None
        return int(found[1]) if found else _DEFAULT_ARRAY

    def submit(
        self, tasks: Sequence[Callable[..., None]], folder: Path, at_once: int | None, excluded: Sequence[str] = ()
    ) -> str:
        """Submits calls as the tasks of an array.

        Args:
            tasks: What they call; task i is the i-th.
            folder: Gets submitit's files; its name becomes the array's.
            at_once: How many may run at a time; None for all.
            excluded: Nodes that they must not run on.

        Returns:
            The number of the job.

        Raises:
            Refused: If SLURM takes none.
        """
        from submitit import SlurmExecutor
        from submitit.core.utils import FailedJobError, FailedSubmissionError

        # Replaces the shell, so that the warning, which goes to the first process, reaches it.
        executor = SlurmExecutor(folder / "jobs", python=f"exec {shlex.quote(sys.executable)}")
        directives = {"signal": "B:USR2@60", "requeue": True, **self.directives}
        if excluded:
            directives["exclude"] = ",".join([*excluded, *str(directives.get("exclude", "")).split(",")]).rstrip(",")
        executor.update_parameters(
            job_name=folder.name,
            time=None,
            wckey=None,
            use_srun=False,
            array_parallelism=at_once or len(tasks),
            setup=[f"export PYTHONPATH={shlex.quote(_import_path())}"],
            additional_parameters=directives,
        )
        try:
            # It prints what it raises.
            with redirect_stderr(io.StringIO()):
                job: str = executor.submit_array(list(tasks))[0].job_id
        except (FailedJobError, FailedSubmissionError, OSError) as error:
            raise Refused(_in_a_line(str(error))) from error
        return job.partition("_")[0]

    def queue(self, names: Sequence[str]) -> dict[tuple[str, int], Waiting]:
        """The tasks that are queued or running.

        Args:
            names: The names of arrays.

        Returns:
            Tasks by the name of their array and their numbers.

        Raises:
            Refused: If SLURM does not answer.
        """
        found = {}
        table = _told(["squeue", "--noheader", "--array", f"--name={','.join(names)}", "--format=%j|%K|%T|%r"])
        for line in table.splitlines():
            name, number, state, reason = (part.strip() for part in line.split("|", 3))
            # A single task is no array.
            found[name, int(number) if number.isdigit() else 0] = Waiting(state, reason)
        return found

    def cancel(self, name: str) -> None:
        """Calls off what is left of an array.

        Raises:
            Refused: If SLURM does not answer.
        """
        _told(["scancel", f"--name={name}"])


def last_words(folder: Path, task: int | None = None) -> str:
    """The last line that a job of a batch, or one task of it, has written into its log; empty if there is none."""
    for log in sorted((folder / "jobs").glob("*_log.err" if task is None else f"*_{task}_0_log.err")):
        lines = log.read_text(errors="replace").strip().splitlines()
        if lines:
            return lines[-1].strip()
    return ""


def _import_path() -> str:
    """What a job must have to import what this process can."""
    return os.pathsep.join(os.path.abspath(path) for path in sys.path)


def _told(words: Sequence[str]) -> str:
    try:
        done = subprocess.run(words, capture_output=True, text=True, timeout=_SECONDS, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Refused(_in_a_line(str(error))) from error
    if done.returncode:
        raise Refused(_in_a_line(done.stderr or done.stdout))
    return done.stdout


def _in_a_line(text: str) -> str:
    return " ".join(re.sub(r"(?m)^(sbatch|squeue|scancel|scontrol): (error: )?", "", text).split())
