"""The executor that needs nothing installed: processes of this machine.

Small networks do not gain from several threads: a process with one thread for each core does. The first trials run in
the process that was called, at once; helpers, which take seconds to start, come when there is work left for them. A
helper that dies is replaced, and the trials it had are leased again.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import queue
import threading
import time
from collections.abc import Callable, Generator
from typing import Any

import torch

from parity_lightning.engine.trial import TrialResult
from parity_lightning.studies.agenda import MOST_FAILURES, Agenda, Lease
from parity_lightning.studies.executors import WorkerFailed
from parity_lightning.studies.executors.messages import FATAL
from parity_lightning.studies.executors.one_line import in_a_line
from parity_lightning.studies.executors.open_trials import OpenTrials
from parity_lightning.studies.executors.worker_process import serve
from parity_lightning.studies.packs import Pack
from parity_lightning.studies.work import Work

HELP_AFTER = 8.0
"""Seconds of work after which helpers are started."""

# So often in a row a helper may be killed, by whatever happens to processes.
_MOST_DEATHS = 10


class Embedded:
    """Runs trials in this process and in helpers.

    Args:
        workers: How many processes to use at most, this one among them.
    """

    def __init__(self, workers: int) -> None:
        self.workers = workers

    def run(self, work: Work, agenda: Agenda, tell: Callable[[str], None]) -> Generator[list[TrialResult], None, None]:
        """Runs trials until all are settled.

        Raises:
            WorkerFailed: If every worker was set aside, or a helper met what no other could do better.
        """
        helpers: list[_Helper] = []
        inbox: queue.SimpleQueue[Any] = queue.SimpleQueue()
        threads = torch.get_num_threads()
        began = time.monotonic()
        own = OpenTrials(agenda)
        try:
            while not agenda.is_settled:
                lease = agenda.lease()
                if lease is None:
                    with contextlib.suppress(queue.Empty):
                        yield from _delivered(inbox.get(timeout=0.5), tell)
                    yield from _received(inbox, tell)
                    yield []
                    continue
                try:
                    for results in work.run(own.taken(lease), 0, own.more, tell):
                        own.settle(results)
                        yield results
                        if not helpers and time.monotonic() - began > HELP_AFTER:
                            helpers = [_Helper(work, agenda, inbox, number) for number in range(1, self.workers)]
                            for helper in helpers:
                                helper.start()
                        yield from _received(inbox, tell)
                except (*FATAL, WorkerFailed):
                    raise
                except Exception as error:
                    own.fail(error)
                    tell(f"a pack of trials failed: {in_a_line(error)}")
            yield from _received(inbox, tell)
        finally:
            torch.set_num_threads(threads)
            for helper in helpers:
                helper.stop()


def _received(inbox: Any, tell: Callable[[str], None]) -> Generator[list[TrialResult], None, None]:
    """What helpers have sent so far."""
    while not inbox.empty():
        yield from _delivered(inbox.get(), tell)


def _delivered(message: Any, tell: Callable[[str], None]) -> Generator[list[TrialResult], None, None]:
    if isinstance(message, WorkerFailed):
        raise message
    if isinstance(message, str):
        tell(message)
    else:
        yield message


class _Helper(threading.Thread):
    """Looks after one process that runs trials: leases for it, takes what it sends, replaces it when it dies.

    Args:
        work: What it runs.
        agenda: Leases trials.
        inbox: Gets lists of results, notes, and what ends the study.
        number: The number of the worker.
    """

    def __init__(self, work: Work, agenda: Agenda, inbox: Any, number: int) -> None:
        super().__init__(name=f"helper {number}", daemon=True)
        self._work = work
        self._agenda = agenda
        self._inbox = inbox
        self._number = number
        self._open = OpenTrials(agenda)
        self._failed: list[Pack] = []
        self._deaths = 0
        self._stopped = False
        self._process: Any = None

    def run(self) -> None:
        """Runs until all trials are settled, or the worker is set aside."""
        context = multiprocessing.get_context("spawn")
        while not self._stopped and not self._agenda.is_settled and not self._is_set_aside:
            ours, its = context.Pipe()
            arguments = (self._work, self._number, its)
            self._process = context.Process(target=serve, args=arguments, daemon=True)
            try:
                self._process.start()
            except OSError as error:
                self._inbox.put(f"a worker process cannot be started ({error}); going on without it")
                return
            its.close()
            try:
                self._look_after(ours)
                is_dead = False
            except (EOFError, OSError):
                is_dead = True
            ours.close()
            if not is_dead:
                self._process.terminate()
            self._process.join()
            if is_dead and not self._stopped:
                why = f"its worker process was killed (exit code {self._process.exitcode})"
                self._inbox.put("a worker process was killed; another takes its place")
                self._deaths += 1
                self._open.fail(why, killed=True)
        if not self._stopped and self._is_set_aside:
            # Its failures say nothing about the cells.
            self._agenda.retract_failures(pack[0] for pack in self._failed if len(pack) == 1)
            self._inbox.put(f"worker {self._number} has only failed of late and is set aside")

    @property
    def _is_set_aside(self) -> bool:
        """Whether nothing has come of the last tries; the first process, which is never set aside, goes on."""
        return len(self._failed) >= MOST_FAILURES or self._deaths >= _MOST_DEATHS

    def _look_after(self, pipe: Any) -> None:
        """Serves the process until there is nothing left for it."""
        while not self._stopped:
            kind, content = pipe.recv()
            if kind == "lease":
                lease = self._lease(content)
                pipe.send(lease)
                if lease is None and content is None:
                    return
            elif kind == "results":
                self._failed, self._deaths = [], 0
                self._open.settle(content)
                self._inbox.put(content)
            elif kind == "note":
                self._inbox.put(content)
            elif kind == "failed":
                self._failed.append(self._open.fail(content))
                self._inbox.put(f"a pack of trials failed: {content}")
                if self._is_set_aside:
                    return
            else:
                self._inbox.put(WorkerFailed(f"a worker process failed: {content}"))
                return

    def _lease(self, pack: Pack | None) -> Lease | None:
        if pack is not None:
            return self._open.more()
        while not self._stopped and not self._agenda.is_settled:
            if (lease := self._agenda.lease()) is not None:
                return self._open.taken(lease)
            self._agenda.wait(0.5)
        return None

    def stop(self) -> None:
        """Ends the process, whatever it does."""
        self._stopped = True
        if self._process is not None and self._process.pid is not None:
            self._process.terminate()
            self._process.join()
