"""Trials shared out over processes.

Small networks do not gain from several threads: a process with one thread for each core does. The first trials run in
the process that was called, at once; helpers, which take seconds to start, come when there is work left for them. All
claim trials from one counter, so a faster process runs more of them, and only the first process writes the record.
"""

from __future__ import annotations

import multiprocessing
import os
import queue
import threading
import time
import traceback
from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from itertools import accumulate
from typing import Any, NamedTuple, Protocol

import torch

from parity_lightning.engine.trial import MixedComputation, TrialResult, TrialSpec
from parity_lightning.errors import SettingError

_CLAIM = 8
_HELP_AFTER = 8.0
"""Seconds of work after which helpers are started."""


class Runner(Protocol):
    """Runs trials; `StackRunner` is one."""

    note: str | None
    """Why trials do not run as fast as they could, if so."""

    def run(self, specs: Iterator[TrialSpec]) -> Iterator[list[TrialResult]]:
        """Runs trials and yields outcomes from time to time."""
        ...


class Group(NamedTuple):
    """Settings that share stacks: their numbers among all settings."""

    settings: tuple[int, ...]


class Job(NamedTuple):
    """What every process must know.

    Attributes:
        make_runner: Makes the runner of a group, on the device of a worker; must be picklable.
        groups: The groups; trials are done group by group.
        spans: The trials to be done, as pairs of first and last number plus one, in order and within one group each.
        trials: Trials of each setting.
        first_seed: The seed of the first trial of each setting.
        threads: How many threads a process uses.
    """

    make_runner: Callable[[Group, int], Runner]
    groups: Sequence[Group]
    spans: Sequence[tuple[int, int, int]]
    trials: int
    first_seed: int
    threads: int

    @property
    def total(self) -> int:
        """How many trials are to be done."""
        return sum(end - first for _, first, end in self.spans)


def spans_of(missing: Iterator[int], groups: Sequence[Group], trials: int) -> list[tuple[int, int, int]]:
    """Sums up numbers of trials as spans ``(group, first, end)``, group by group.

    Example:
        >>> spans_of(iter([0, 1, 2, 5, 6, 9]), [Group((0, 2)), Group((1,))], trials=4)
        [(0, 0, 3), (0, 9, 10), (1, 5, 7)]
    """
    group_of = {setting: place for place, group in enumerate(groups) for setting in group.settings}
    spans: list[tuple[int, int, int]] = []
    for number in missing:
        group = group_of[number // trials]
        if spans and spans[-1][0] == group and spans[-1][2] == number:
            spans[-1] = (group, spans[-1][1], number + 1)
        else:
            spans.append((group, number, number + 1))
    return sorted(spans)


class _Claims:
    """Hands out the trials of a job, a few at a time, to several processes."""

    def __init__(self, job: Job, counter: Any) -> None:
        self._job = job
        self._counter = counter
        self._ends = list(accumulate(end - first for _, first, end in job.spans))
        self._claimed = range(0)

    def _next(self) -> tuple[int, int] | None:
        """The group and number of the next trial, without taking it."""
        if not self._claimed:
            with self._counter.get_lock():
                first = self._counter.value
                self._counter.value = first + _CLAIM
            self._claimed = range(first, min(first + _CLAIM, self._job.total))
        if not self._claimed:
            return None
        place = self._claimed[0]
        span = bisect_right(self._ends, place)
        group, _, end = self._job.spans[span]
        return group, end - (self._ends[span] - place)

    def group(self) -> int | None:
        """The group of the next trial; None when all are taken."""
        following = self._next()
        return None if following is None else following[0]

    def specs(self, group: int) -> Iterator[TrialSpec]:
        """Takes the trials of a group."""
        place_of = {setting: place for place, setting in enumerate(self._job.groups[group].settings)}
        while (following := self._next()) is not None and following[0] == group:
            self._claimed = self._claimed[1:]
            setting, trial = divmod(following[1], self._job.trials)
            yield TrialSpec(following[1], place_of[setting], self._job.first_seed + trial)


def _work(job: Job, counter: Any, worker: int, tell: Callable[[str], None]) -> Iterator[list[TrialResult]]:
    """Claims trials and runs them, group by group."""
    torch.set_num_threads(job.threads)
    claims = _Claims(job, counter)
    while (group := claims.group()) is not None:
        runner = job.make_runner(job.groups[group], worker)
        is_noted = False
        for results in runner.run(claims.specs(group)):
            if runner.note and not is_noted:
                is_noted = True
                tell(runner.note)
            yield results


def _end_with_parent() -> None:
    """Ends this process when the one that started it is killed."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


class _Note(str):
    """A note of a helper for the user."""


def _help(job: Job, counter: Any, worker: int, messages: Any) -> None:
    """Runs trials in a helper and sends results and notes; None when it is done, a text if it failed."""
    threading.Thread(target=_end_with_parent, daemon=True).start()
    try:
        for results in _work(job, counter, worker, lambda note: messages.put(_Note(note))):
            if results:
                messages.put(results)
        messages.put(None)
    except KeyboardInterrupt:
        messages.put(None)
    except (SettingError, MixedComputation, OSError) as error:
        messages.put(" ".join(f"{error}".split()))
    except Exception:
        messages.put(f"\n{traceback.format_exc()}")


class WorkerFailed(RuntimeError):
    """A helper stopped before its trials were done."""


def run_job(job: Job, workers: int, tell: Callable[[str], None]) -> Iterator[list[TrialResult]]:
    """Runs all trials of a job.

    Args:
        job: The job.
        workers: How many processes to use at most, this one among them.
        tell: Called with a line that says why trials run more slowly than they could; once for each process.

    Yields:
        Outcomes as they come.

    Raises:
        WorkerFailed: If a helper fails or is killed; what was yielded before is right, and the trials it had claimed
            are not done.
    """
    context = multiprocessing.get_context("spawn")
    counter = context.Value("q", 0)
    messages = context.Queue()
    helpers: list[Any] = []
    threads = torch.get_num_threads()
    began = time.monotonic()
    try:
        for results in _work(job, counter, 0, tell):
            yield results
            if workers > 1 and not helpers and time.monotonic() - began > _HELP_AFTER and counter.value < job.total:
                helpers = [
                    context.Process(target=_help, args=(job, counter, worker, messages), daemon=True)
                    for worker in range(1, workers)
                ]
                for helper in helpers:
                    helper.start()
            yield from _received(messages, tell)
            _check_alive(helpers)
        at_work = len(helpers)
        while at_work:
            try:
                message = messages.get(timeout=1)
            except queue.Empty:
                _check_alive(helpers)
                yield []
                continue
            if message is None:
                at_work -= 1
            else:
                yield _checked(message, tell)
    finally:
        torch.set_num_threads(threads)
        for helper in helpers:
            helper.terminate()
        messages.cancel_join_thread()


def _check_alive(helpers: Sequence[Any]) -> None:
    if any(helper.exitcode not in (0, None) for helper in helpers):
        raise WorkerFailed("a worker process was killed")


def _received(messages: Any, tell: Callable[[str], None]) -> Iterator[list[TrialResult]]:
    """What helpers have sent so far; that one is done is left for the end."""
    done = 0
    while True:
        try:
            message = messages.get_nowait()
        except queue.Empty:
            break
        if message is None:
            done += 1
        else:
            yield _checked(message, tell)
    for _ in range(done):
        messages.put(None)


def _checked(message: Any, tell: Callable[[str], None]) -> list[TrialResult]:
    if isinstance(message, _Note):
        tell(message)
        return []
    if isinstance(message, str):
        raise WorkerFailed(f"a worker process failed: {message}")
    results: list[TrialResult] = message
    return results
