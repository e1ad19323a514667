"""The process that deals with Ray: starts it or joins a cluster, submits packs as tasks, passes on what they tell."""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import signal
import socket
import threading
import time
from typing import Any, NamedTuple

from parity_lightning.studies.executors.one_line import in_a_line
from parity_lightning.studies.executors.ray_worker import Surroundings, run_ticket

_LOOK_EVERY = 1.0
"""Seconds between two looks at the nodes of the cluster."""

_SECONDS_TO_END = 15.0

# Of an error of Ray's, which may go on for pages.
_MOST_WORDS = 300

# Ray refuses less than 75 MB, and results are small.
_OBJECT_STORE = 80_000_000

# Nothing is sent anywhere; without an address of its own Ray would report, once, that it is not to report.
_SILENCE = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_USAGE_STATS_REPORT_URL": "http://127.0.0.1:9/"}


class Demand(NamedTuple):
    """What Ray is asked for.

    Attributes:
        address: The cluster; None to start Ray here.
        threads: How many CPUs each pack gets.
        gpus: The share of a GPU that each pack gets.
        here: How many packs there is room for in a Ray that is started here.
    """

    address: str | None
    threads: int
    gpus: float
    here: int

    def in_words(self) -> str:
        """What a pack needs.

        Example:
            >>> Demand(None, 2, 0.5, 1).in_words()
            '2 CPU, 0.5 GPU'
        """
        return f"{self.threads} CPU" + (f", {self.gpus:g} GPU" if self.gpus else "")

    def room_of(self, resources: dict[str, float]) -> int:
        """How many packs fit on a node.

        Args:
            resources: What the node has in all.

        Example:
            >>> Demand(None, 2, 0.5, 1).room_of({"CPU": 16.0, "GPU": 1.0})
            2
        """
        by_cpu = int(resources.get("CPU", 0) / self.threads)
        return min(by_cpu, int(resources.get("GPU", 0) / self.gpus)) if self.gpus else by_cpu


def drive(demand: Demand, surroundings: Surroundings, folder: str, pipe: Any) -> None:
    """Serves a coordinator until it closes its end, or is no more.

    Args:
        demand: What Ray is asked for.
        surroundings: What workers must find.
        folder: An empty folder for Ray's files, removed in the end.
        pipe: Gives ``("run", number, ticket)`` and ``("avoid", nodes)``; takes ``(kind, content, number, node)``.
    """
    # Ctrl-C reaches every process of a terminal; the coordinator decides.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.dup2(nowhere, 2)
    # Before Ray is imported.
    os.environ.update(_SILENCE)
    if demand.address is None:
        # Its ports are open to everyone who reaches the machine, but for a secret.
        os.environ.update(RAY_AUTH_MODE="token", RAY_AUTH_TOKEN=secrets.token_hex(32))
    with contextlib.suppress(EOFError, OSError):
        _Driver(demand, surroundings, pipe, folder).run()
    import ray

    # Of a coordinator that was killed; and if Ray ends this process, the coordinator removes it.
    ray.shutdown()
    shutil.rmtree(folder, ignore_errors=True)


class _Driver:
    """Ray's driver.

    Args:
        demand: What Ray is asked for.
        surroundings: What workers must find.
        pipe: To the coordinator.
        folder: For Ray's files.
    """

    def __init__(self, demand: Demand, surroundings: Surroundings, pipe: Any, folder: str) -> None:
        self._demand = demand
        self._surroundings = surroundings
        self._pipe = pipe
        self._folder = folder
        self._running: dict[Any, int] = {}
        self._avoided: list[str] = []
        self._is_open = True

    def run(self) -> None:
        """Serves until the coordinator closes its end, or Ray is gone."""
        import ray

        threading.Thread(target=self._listen, daemon=True).start()
        try:
            self._connect()
        except Exception as error:
            where = f"at {self._demand.address} cannot be reached" if self._demand.address else "cannot be started"
            self._pipe.send(("gone", f"Ray {where}: {in_a_line(error)[:_MOST_WORDS]}"))
            return
        own = ray.get_runtime_context().get_node_id()
        room: dict[str, int] = {}
        looked = -_LOOK_EVERY
        while self._is_open:
            if time.monotonic() - looked > _LOOK_EVERY:
                known: list[dict[str, Any]] = ray.nodes()  # type: ignore[no-untyped-call]
                nodes = {node["NodeID"]: node["Resources"] for node in known if node["Alive"]}
                if own not in nodes:
                    # Without the node on its machine a driver would wait for ever.
                    return
                if (now := {node: self._demand.room_of(has) for node, has in nodes.items()}) != room:
                    room = now
                    self._pipe.send(("room", room))
                looked = time.monotonic()
            running = list(self._running)
            if not running:
                time.sleep(0.02)
                continue
            ready, _ = ray.wait(running, num_returns=len(running), timeout=0.1, fetch_local=False)
            for task in ready:
                self._pass_on(task)

    def _connect(self) -> None:
        import ray

        common: dict[str, Any] = {"log_to_driver": False, "configure_logging": False}
        if self._demand.address:
            if self._demand.address != "auto":
                # Ray would try for minutes, and then end this process.
                host, _, port = self._demand.address.rpartition(":")
                socket.create_connection((host, int(port)), timeout=10).close()
            ray.init(address=self._demand.address, **common)
            return
        ray.init(
            address="local",
            num_cpus=self._demand.here * self._demand.threads,
            include_dashboard=False,
            object_store_memory=_OBJECT_STORE,
            _temp_dir=self._folder,
            **common,
        )

    def _listen(self) -> None:
        """Does what the coordinator says, until it says no more."""
        with contextlib.suppress(EOFError, OSError):
            while True:
                kind, *content = self._pipe.recv()
                if kind == "avoid":
                    (self._avoided,) = content
                    continue
                number, ticket = content
                try:
                    self._submit(number, ticket)
                except Exception as error:
                    self._pipe.send(("lost", in_a_line(error), number))
        self._is_open = False
        # Whatever Ray is waiting for, nobody needs it any more.
        time.sleep(_SECONDS_TO_END)
        shutil.rmtree(self._folder, ignore_errors=True)
        os._exit(1)

    def _submit(self, number: int, ticket: bytes) -> None:
        import ray

        options: dict[str, Any] = {"num_cpus": self._demand.threads, "num_gpus": self._demand.gpus}
        if self._avoided:
            options["label_selector"] = {"ray.io/node-id": f"!in({','.join(self._avoided)})"}
        # It is the coordinator that has a pack run again, for it knows what has come of it.
        task = ray.remote(run_ticket).options(num_returns="streaming", max_retries=0, **options)
        self._running[task.remote(ticket, self._surroundings)] = number

    def _pass_on(self, task: Any) -> None:
        """Passes on what a task has told; in the end, how it has ended."""
        import ray
        from ray import exceptions

        number = self._running[task]
        ended: tuple[str, str] | None = None
        try:
            node, messages = ray.get(next(task))
        except StopIteration:
            ended = ("done", "")
        except (exceptions.WorkerCrashedError, exceptions.OutOfMemoryError) as error:
            ended = ("killed", in_a_line(error))
        except exceptions.RayTaskError as error:
            ended = ("gone", f"the node {error.ip} of the Ray cluster cannot run trials: {in_a_line(error.cause)}")
        except exceptions.RayError as error:
            ended = ("lost", in_a_line(error))
        else:
            for kind, content in messages:
                self._pipe.send((kind, content, number, node))
            if messages[-1][0] != "failed":
                return
        del self._running[task]
        if ended is not None:
            self._pipe.send((*ended, number))
