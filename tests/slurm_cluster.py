"""A cluster of Debian's slurmctld, slurmd and munge on this machine alone: two nodes, of two cores each.

A node is a slurmd with a host name of its own, 127.0.0.1 or 127.0.0.2. It needs the rights of root.
"""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

INSTALL = "apt-get install --no-install-recommends slurmctld slurmd slurm-client munge"

NODES = ("n1", "n2")

_CONFIG = """
ClusterName=test
SlurmctldHost=localhost
SlurmUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge.sock
SlurmctldPort={port}
SlurmdPort={node_port}
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool-%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd-%n.pid
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
MpiDefault=none
MailProg=/bin/true
ReturnToService=2
JobRequeue=1
MaxArraySize={most_tasks}
SlurmdTimeout=3
KillWait=2
MinJobAge=60
CommunicationParameters=NoInAddrAny
SchedulerParameters=sched_interval=1,batch_sched_delay=0,sched_min_interval=100000
NodeName=n1 NodeHostname=n1 NodeAddr=127.0.0.1 CPUs=2 RealMemory=4000 State=UNKNOWN
NodeName=n2 NodeHostname=n2 NodeAddr=127.0.0.2 CPUs=2 RealMemory=4000 State=UNKNOWN
PartitionName=main Nodes=n1,n2 Default=YES MaxTime=60 State=UP
"""

# Counts calls, and hands them on.
_COUNTING = """#!/bin/sh
date +%s.%N >> {folder}/calls-{name}
exec {program} "$@"
"""


def why_not() -> str | None:
    """Why there can be no such cluster here."""
    programs = ("slurmctld", "slurmd", "munged", "sbatch", "unshare")
    missing = [name for name in programs if shutil.which(name, path=_PATH) is None]
    if missing:
        return f"{', '.join(missing)} not installed: {INSTALL}"
    return None if hasattr(os, "geteuid") and os.geteuid() == 0 else "only root can give each slurmd a host name"


_PATH = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/sbin"])


class SlurmCluster:
    """The daemons.

    Args:
        folder: Gets all their files.
        most_tasks: MaxArraySize.
    """

    def __init__(self, folder: Path, most_tasks: int = 1001) -> None:
        self.folder = folder
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        self._names: dict[str, set[str]] = {node: set() for node in NODES}
        folder.mkdir(parents=True)
        for name in ("state", "bin", *(f"spool-{node}" for node in NODES)):
            (folder / name).mkdir()
        (folder / "key").write_bytes(secrets.token_bytes(1024))
        (folder / "key").chmod(0o400)
        (folder / "hosts").write_text("127.0.0.1 localhost\n127.0.0.1 n1\n127.0.0.2 n2\n")
        config = _CONFIG.format(folder=folder, port=free_port(), node_port=free_port(), most_tasks=most_tasks)
        (folder / "slurm.conf").write_text(config)
        for name in ("squeue", "sacct", "sbatch", "scancel"):
            program = shutil.which(name, path=_PATH) or "/bin/false"
            (folder / "bin" / name).write_text(_COUNTING.format(folder=folder, name=name, program=program))
            (folder / "bin" / name).chmod(0o755)

    @property
    def environment(self) -> dict[str, str]:
        """What SLURM's programs must have, those that count their calls first on the path."""
        path = os.pathsep.join([str(self.folder / "bin"), _PATH])
        return {"SLURM_CONF": str(self.folder / "slurm.conf"), "PATH": path}

    def start(self) -> None:
        """Starts the daemons, and waits for the nodes."""
        folder = self.folder
        munge = ["munged", "--foreground", "--force", f"--key-file={folder}/key", f"--socket={folder}/munge.sock"]
        munge += [f"--{kind}-file={folder}/munge.{kind}" for kind in ("pid", "log", "seed")]
        self._start("munged", munge)
        wait_for((folder / "munge.sock").exists, "munged")
        self._start("slurmctld", ["slurmctld", "-D", "-c"])
        wait_for(lambda: self.told("sinfo", "--noheader") is not None, "slurmctld")
        for node in NODES:
            self.start_node(node)
        wait_for(lambda: (self.told("sinfo", "-h", "-N", "-o", "%N %T") or "").count(" idle") == len(NODES), "slurmd")

    def start_node(self, node: str) -> None:
        """Starts the slurmd of a node."""
        own = f"hostname {node} && mount --bind {self.folder}/hosts /etc/hosts && exec slurmd -D"
        self._start(node, ["unshare", "--uts", "--mount", "sh", "-c", own])

    def _start(self, name: str, words: list[str]) -> None:
        with (self.folder / f"{name}.out").open("ab") as out:
            self._running[name] = subprocess.Popen(
                words, env={**os.environ, **self.environment}, stdout=out, stderr=out, start_new_session=True
            )

    def told(self, *words: str) -> str | None:
        """What a program of SLURM prints; None if it fails."""
        done = subprocess.run(
            words, env={**os.environ, **self.environment}, capture_output=True, text=True, check=False, timeout=60
        )
        return done.stdout if done.returncode == 0 else None

    def calls(self, program: str) -> list[float]:
        """When a program was called."""
        file = self.folder / f"calls-{program}"
        return [float(line) for line in file.read_text().split()] if file.exists() else []

    def kill_slurmd(self, node: str) -> None:
        """Kills a node's slurmd, and leaves its jobs alone."""
        process = self._running.pop(node)
        # Never this machine's own: all that has a name of the node dies with it.
        self._names[node] |= {name_of(process.pid)} - {name_of(os.getpid()), ""}
        process.kill()
        process.wait()

    def kill_node(self, node: str) -> None:
        """Kills all that runs on a node, as a power failure would, and has the controller learn of it."""
        self.kill_slurmd(node)
        for path in Path("/proc").iterdir():
            # What was begun by a slurmd has the host name that it had.
            if path.name.isdigit() and name_of(int(path.name)) in self._names[node]:
                with suppress(ProcessLookupError):
                    os.kill(int(path.name), signal.SIGKILL)
        self.told("scontrol", "update", f"NodeName={node}", "State=DOWN", "Reason=killed")

    def jobs_on(self, node: str | None = None) -> list[int]:
        """The processes of jobs, of one node or of all."""
        conf = self.environment["SLURM_CONF"]
        ours = {process: own for process, own in environments() if own.get("SLURM_CONF") == conf}
        jobs = {process: own for process, own in ours.items() if "SLURM_JOB_ID" in own}
        return [process for process, own in jobs.items() if node in (None, own.get("SLURMD_NODENAME"))]

    def hasten(self) -> None:
        """Has requeued jobs begin now: SLURM lets them wait for two minutes."""
        for line in (self.told("squeue", "-h", "-r", "-t", "PENDING", "-o", "%i|%r") or "").splitlines():
            job, _, reason = line.partition("|")
            if reason == "BeginTime":
                self.told("scontrol", "update", f"JobId={job}", "StartTime=now")

    def stop(self) -> None:
        """Ends all daemons and jobs."""
        self.told("scancel", "--me")
        for process in self.jobs_on():
            with suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)
        for process in [*self._running.values()][::-1]:
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def name_of(process: int) -> str:
    """The namespace of a process's host name; empty if the process is gone."""
    try:
        return os.readlink(f"/proc/{process}/ns/uts")
    except OSError:
        return ""


def environments() -> Iterator[tuple[int, Mapping[str, str]]]:
    """The processes of this machine, with their environments."""
    for path in Path("/proc").iterdir():
        if path.name.isdigit():
            with suppress(OSError):
                text = (path / "environ").read_bytes().decode(errors="replace")
                yield int(path.name), dict(pair.split("=", 1) for pair in text.split("\0") if "=" in pair)


def free_port() -> int:
    """A port at which a daemon can listen."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def wait_for(holds: Callable[[], object], what: str, seconds: float = 60) -> None:
    """Returns once something holds."""
    deadline = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > deadline:
            raise TimeoutError(what)
        time.sleep(0.1)


@contextmanager
def cluster_in(folder: Path, most_tasks: int = 1001) -> Iterator[SlurmCluster]:
    """A cluster, as long as it is needed."""
    cluster = SlurmCluster(folder, most_tasks)
    try:
        cluster.start()
        yield cluster
    finally:
        cluster.stop()


if __name__ == "__main__":
    with cluster_in(Path(sys.argv[1])) as started:
        print(started.told("sinfo", "-N"))
