"""A Ray cluster of several nodes on this machine, each of which can be killed as a machine that loses power."""

from __future__ import annotations

import contextlib
import os
import secrets
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import psutil
from processes import free_port

PROGRAM = Path(sys.executable).parent / "ray"


def processes_of(root: int) -> list[psutil.Process]:
    """A process and all that it has started, also by others."""
    with contextlib.suppress(psutil.NoSuchProcess):
        process = psutil.Process(root)
        return [process, *process.children(recursive=True)]
    return []


def workers_of(root: int) -> list[psutil.Process]:
    """The processes among them that are running a task of Ray's."""
    found = []
    for process in processes_of(root):
        with contextlib.suppress(psutil.Error):
            if process.name().startswith("ray::run_tick"):
                found.append(process)
    return found


class Cluster:
    """The nodes, by the processes that started them.

    Args:
        folder: A folder with a short path, for Ray's files.
    """

    def __init__(self, folder: Path) -> None:
        self.address = f"127.0.0.1:{free_port()}"
        self.environment = {
            "RAY_USAGE_STATS_ENABLED": "0",
            "RAY_USAGE_STATS_REPORT_URL": "http://127.0.0.1:9/",
            "RAY_AUTH_MODE": "token",
            "RAY_AUTH_TOKEN": secrets.token_hex(32),
        }
        self.nodes: list[subprocess.Popen[bytes]] = []
        self._started = 0
        self._folder = folder
        port = self.address.rpartition(":")[2]
        # No trials on the first node, which has the cluster's records, and to which the driver belongs.
        self._start(["--head", f"--port={port}", f"--temp-dir={folder}", "--include-dashboard=false"], 0, {})

    def add(self, environment: Mapping[str, str] | None = None) -> None:
        """Adds a node with room for one pack."""
        self._start([f"--address={self.address}"], 1, environment or {})

    def _start(self, options: list[str], cpus: int, environment: Mapping[str, str]) -> None:
        command = [str(PROGRAM), "start", *options, f"--num-cpus={cpus}", "--object-store-memory=80000000", "--block"]
        whole = {**os.environ, **self.environment, **environment}
        file = self._folder.parent / f"node-{self._started}.log"
        self._started += 1
        with file.open("wb") as log:
            node = subprocess.Popen(command, env=whole, stdout=log, stderr=log, stdin=subprocess.DEVNULL)
        self.nodes.append(node)
        deadline = time.monotonic() + 900
        while "Ray runtime started" not in (told := file.read_text()):
            if node.poll() is not None:
                # On a busy machine Ray now and then gives a start up.
                assert "timed out during startup" in told, told
                self.kill(node)
                self._start(options, cpus, environment)
                return
            assert time.monotonic() < deadline
            time.sleep(0.1)

    def kill(self, node: subprocess.Popen[bytes]) -> None:
        """Kills all processes of a node."""
        for process in processes_of(node.pid):
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        node.wait()
        self.nodes.remove(node)


@contextmanager
def ray_cluster(folder: Path) -> Iterator[Cluster]:
    """A cluster without room for packs, to which nodes can be added."""
    cluster = Cluster(folder)
    try:
        yield cluster
    finally:
        for node in reversed(list(cluster.nodes)):
            cluster.kill(node)
