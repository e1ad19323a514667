"""The executor of Ray Core: packs of trials as tasks of a Ray cluster, or of a Ray that is started here.

Ray lives in a process of its own, the driver (`ray_driver`): whatever becomes of it, the coordinator goes on, has the
trials that were under way run again, and starts another. What Ray prints goes nowhere.
"""

from __future__ import annotations

import multiprocessing
import os
import pickle
import shutil
import tempfile
import time
from collections.abc import Callable, Generator, Iterator
from itertools import count
from typing import Any

from parity_lightning.engine.trial import TrialResult
from parity_lightning.studies.agenda import MOST_FAILURES, Agenda
from parity_lightning.studies.executors import WorkerFailed
from parity_lightning.studies.executors.open_trials import OpenTrials
from parity_lightning.studies.executors.ray_driver import Demand, drive
from parity_lightning.studies.executors.ray_worker import Surroundings
from parity_lightning.studies.executors.ticket import fair_share, next_ticket
from parity_lightning.studies.packs import Pack
from parity_lightning.studies.work import Work

# So often in a row the driver may die before anything has come of it.
_MOST_DEATHS = 5

# Seconds after which one is told that there is no room for a pack.
_PATIENCE = 20.0


class RayCore:
    """Runs trials as tasks of Ray.

    Args:
        workers: How many packs at a time; None for as many as there is room for.
        address: The cluster, ``HOST:PORT``; None has Ray started here, for this run.
        gpus: The share of a GPU that each pack gets.
        here: How many processes Ray may use that is started here.
    """

    def __init__(self, workers: int | None, address: str | None, gpus: float, here: int) -> None:
        self._workers = workers
        self._address = address
        self._gpus = gpus
        self._here = here

    def run(self, work: Work, agenda: Agenda, tell: Callable[[str], None]) -> Generator[list[TrialResult], None, None]:
        """Runs trials until all are settled.

        Raises:
            WorkerFailed: If there is no Ray, or a worker met what no other could do better.
        """
        demand = Demand(self._address, work.threads, self._gpus, self._here)
        session = _Session(work, agenda, tell, self._workers, demand)
        try:
            while not agenda.is_settled:
                yield from session.step()
        finally:
            session.stop()


class _Session:
    """A study's dealings with its driver.

    Args:
        work: How trials are run.
        agenda: Leases them.
        tell: Takes lines for the user.
        workers: How many packs at a time at most.
        demand: What Ray is asked for.
    """

    def __init__(
        self, work: Work, agenda: Agenda, tell: Callable[[str], None], workers: int | None, demand: Demand
    ) -> None:
        self._work = work
        self._agenda = agenda
        self._tell = tell
        self._workers = workers
        self._demand = demand
        self._numbers = count()
        self._open: dict[int, OpenTrials] = {}
        self._room: dict[str, int] = {}
        self._set_aside: set[str] = set()
        self._failed: dict[str, list[Pack]] = {}
        self._deaths = 0
        self._start()

    def _start(self) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipe, its = context.Pipe()
        # The paths of sockets must be short.
        short = "/tmp" if os.access("/tmp", os.W_OK) else None
        self._folder = tempfile.mkdtemp(prefix="parity-ray-", dir=short)
        arguments = (self._demand, Surroundings.here(), self._folder, its)
        self._process = context.Process(target=drive, args=arguments, name="Ray's driver")
        self._process.start()
        its.close()
        self._room = {}
        self._idle_since = float("inf")

    def stop(self) -> None:
        """Ends the driver, and the Ray that it has started."""
        self._pipe.close()
        # It ends by itself when the pipe is closed, whatever Ray does.
        self._process.join()
        shutil.rmtree(self._folder, ignore_errors=True)

    def step(self) -> Iterator[list[TrialResult]]:
        """Hands out what there is room for, and takes what has come."""
        try:
            self._hand_out()
            seconds = 0.5
            while self._pipe.poll(seconds):
                yield self._taken(*self._pipe.recv())
                seconds = 0
        except (EOFError, OSError):
            self._lose_driver()
        yield []

    def _hand_out(self) -> None:
        room = sum(self._room.values())
        if room == 0 and time.monotonic() - self._idle_since > _PATIENCE:
            self._tell(f"no node of the Ray cluster has room for a pack ({self._demand.in_words()}); waiting for one")
            self._idle_since = float("inf")
        # One more than there is room for, so that no worker waits, and a cluster that can grow learns of it.
        most = room and min(self._workers or room + 1, room + 1)
        while len(self._open) < most:
            ticket = next_ticket(self._work, self._agenda, fair_share(self._agenda, room))
            if ticket is None:
                return
            number = next(self._numbers)
            self._open[number] = OpenTrials(self._agenda)
            self._open[number].taken(ticket.lease)
            self._pipe.send(("run", number, pickle.dumps(ticket)))

    def _taken(self, kind: str, content: Any, number: int = -1, node: str = "") -> list[TrialResult]:
        """Takes a message; returns the results in it."""
        if kind == "room":
            self._set_aside &= content.keys()
            if self._set_aside == content.keys():
                # The others are gone.
                self._set_aside = set()
            self._room = {node: room for node, room in content.items() if node not in self._set_aside}
            self._pipe.send(("avoid", sorted(self._set_aside)))
            self._idle_since = time.monotonic()
        elif kind == "note":
            self._tell(content)
        elif kind == "results":
            self._deaths, self._failed[node] = 0, []
            self._open[number].settle(content)
            return list(content)
        elif kind == "failed":
            self._tell(f"a pack of trials failed: {content}")
            self._failed.setdefault(node, []).append(self._open.pop(number).fail(content))
            self._judge(node)
        elif kind == "killed":
            self._tell("a worker process was killed; another takes its place")
            self._open.pop(number).fail(f"its worker process was killed ({content})", killed=True)
        elif kind == "lost":
            self._tell("a node of the Ray cluster is gone; its trials are run again")
            self._open.pop(number).give_up()
        elif kind == "done":
            # What is left of it is of cells that were decided.
            self._open.pop(number).give_up()
        elif kind == "fatal":
            raise WorkerFailed(f"a worker process failed: {content}")
        else:
            raise WorkerFailed(content)
        return []

    def _judge(self, node: str) -> None:
        """Sets a node aside of which nothing has come of late; the last one, which has no substitute, goes on."""
        failed = self._failed[node]
        if len(set(failed)) < MOST_FAILURES or not set(self._room) - {node}:
            return
        self._set_aside.add(node)
        self._room.pop(node, None)
        self._pipe.send(("avoid", sorted(self._set_aside)))
        # Its failures say nothing about the cells.
        self._agenda.retract_failures(pack[0] for pack in failed if len(pack) == 1)
        self._tell(f"node {node[:8]} of the Ray cluster has only failed of late and is set aside")

    def _lose_driver(self) -> None:
        """Has another driver run what this one had."""
        self.stop()
        self._deaths += 1
        for trials in self._open.values():
            trials.give_up()
        self._open.clear()
        if self._deaths > _MOST_DEATHS:
            raise WorkerFailed(f"Ray has died {self._deaths} times in a row")
        self._tell(f"Ray has died (exit code {self._process.exitcode}); starting again")
        self._start()
