"""The executor that runs a study as jobs of SLURM.

Packs are tasks of job arrays. The coordinator, which may run on a login node, trains nothing: it submits, reads the
lines that jobs write, and asks SLURM once a minute at most which jobs there still are. A job that is gone without an
end, and was not begun again by SLURM, has its trials leased again. One that is killed leaves its jobs alone: the next
coordinator takes them over.
"""

from __future__ import annotations

import math
import secrets
import sys
import time
from collections import Counter
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from parity_lightning.engine.trial import TrialResult
from parity_lightning.studies.agenda import MOST_FAILURES, Agenda
from parity_lightning.studies.coordinator import COMMIT_EVERY
from parity_lightning.studies.executors import WorkerFailed
from parity_lightning.studies.executors.slurm.cluster import Cluster, Refused, Waiting, last_words
from parity_lightning.studies.executors.slurm.spool import Batch, Line
from parity_lightning.studies.executors.slurm.task import Task, result_of
from parity_lightning.studies.executors.ticket import Ticket, fair_share, next_ticket
from parity_lightning.studies.work import Work

# So many answers of squeue in a row must lack a task: its last lines may take a while to get here.
_MISSED = 2

# Why jobs wait where nothing is wrong.
_NO_NEWS = {"None", "Priority", "Resources", "BeginTime", "JobArrayTaskLimit"}

# When SLURM was last asked.
_ASKED = "asked"


class Slurm:
    """Has SLURM run trials.

    Args:
        cluster: The cluster.
        spool: A folder that all nodes see, for what passes between jobs and the coordinator.
        processes: How many processes each task uses.
        at_once: How many tasks may run at a time; None for as many as SLURM lets.
        interval: Seconds between two questions to SLURM, and between two submissions while there are jobs.
        pause: Seconds between two looks at the files.
    """

    def __init__(
        self,
        cluster: Cluster,
        spool: Path,
        *,
        processes: int = 1,
        at_once: int | None = None,
        interval: float = 60.0,
        pause: float = 1.0,
    ) -> None:
        self.cluster = cluster
        self.spool = spool
        self.processes = processes
        self.at_once = at_once
        self.interval = interval
        self.pause = pause

    def run(self, work: Work, agenda: Agenda, tell: Callable[[str], None]) -> Generator[list[TrialResult], None, None]:
        """Runs trials until all are settled.

        Raises:
            WorkerFailed: If SLURM takes no jobs, none of them gets to work, or one met what no other could do better.
        """
        self.spool.mkdir(mode=0o700, parents=True, exist_ok=True)
        jobs = _Jobs(self, work, agenda, tell)
        try:
            jobs.take_over()
            while not agenda.is_settled:
                began = time.monotonic()
                results = jobs.results()
                took = time.monotonic() - began
                yield results
                jobs.look_after()
                jobs.submit()
                jobs.clear()
                # Where looking takes long there is much to look at.
                time.sleep(max(self.pause, 5 * took))
            # The last results are on record when this returns.
            time.sleep(COMMIT_EVERY)
            yield jobs.results()
        finally:
            jobs.call_off()
        jobs.finish()


@dataclass
class _OpenTask:
    """A task that is queued or at work.

    Attributes:
        batch: The batch that it is of.
        number: Which task of the batch it is.
        numbers: Its trials that are not done.
        called_off: Whether it was cancelled by the coordinator before this one.
        attempt: The newest attempt that has begun; -1 before the first.
        node: Where that was.
        endings: How attempts have ended that have.
        results: How many results it has had.
        failed: Cells that failed alone, and why.
        missed: How many answers of squeue in a row did not have it.
    """

    batch: Batch
    number: int
    numbers: set[int]
    called_off: bool = False
    attempt: int = -1
    node: str = ""
    endings: dict[int, Line] = field(default_factory=dict)
    results: int = 0
    failed: dict[int, str] = field(default_factory=dict)
    missed: int = 0

    @property
    def trouble(self) -> str | None:
        """Why the newest attempt has ended before all was done, if anything was wrong."""
        ending = self.endings[self.attempt]
        if "broken" in ending:
            return str(ending["broken"])
        if ending["end"] == "time" and not self.results:
            return "no trial came to its end in the time of a job; give a longer --time"
        return None


class _Jobs:
    """The batches of a coordinator, from their submission until what they did is on record."""

    def __init__(self, executor: Slurm, work: Work, agenda: Agenda, tell: Callable[[str], None]) -> None:
        self._executor = executor
        self._cluster = executor.cluster
        self._computed = dict(work.computed)
        self._work = work._replace(computed=self._computed)
        self._agenda = agenda
        self._tell = tell
        self._places = {work.keys[place]: place for place in range(len(work.keys))}
        self._batches: dict[str, Batch] = {}
        self._tasks: dict[tuple[str, int], _OpenTask] = {}
        self._at_once: dict[str, int] = {}
        self._closed: dict[str, float] = {}
        self._looked = 0.0
        self._may_ask_at = time.monotonic() + _seconds_to_wait(executor)
        self._submitted = -math.inf
        self._most_tasks = 0
        self._begun: set[str] = set()
        self._idle = 0
        self._nodes = _Nodes()

    def take_over(self) -> None:
        """Takes over the jobs that an earlier coordinator has left."""
        for batch in Batch.left_in(self._executor.spool):
            self._batches[batch.name] = batch
            called_off = batch.is_cancelled
            for number, seeds in enumerate(batch.tasks):
                numbers = [self._number_of(key, seed) for key, own in seeds.items() for seed in own]
                mine = self._agenda.adopt(each for each in numbers if each is not None)
                self._tasks[batch.name, number] = _OpenTask(batch, number, set(mine), called_off)
        if count := sum(not task.called_off for task in self._tasks.values()):
            self._tell(f"SLURM: {count:,} tasks of an earlier start are taken over")

    def _number_of(self, key: str, seed: int) -> int | None:
        """The number of a trial in the plan; None if it is no part of it any more."""
        place, trial = self._places.get(key), seed - self._work.extent.first_seed
        if place is None or not 0 <= trial < self._work.extent.trials:
            return None
        return place * self._work.extent.trials + trial

    def results(self) -> list[TrialResult]:
        """Takes in what jobs have written since the last call.

        Raises:
            WorkerFailed: If one met what no other could do better.
        """
        found: list[TrialResult] = []
        for batch in self._batches.values():
            for growth in batch.growth():
                task = self._tasks.get((batch.name, growth.task))
                if task is not None:
                    for line in growth.lines:
                        found += self._taken(task, growth.attempt, line)
        self._looked = time.monotonic()
        self._agenda.settle(found)
        return found

    def _taken(self, task: _OpenTask, attempt: int, line: Line | None) -> Iterator[TrialResult]:
        if line is None:
            self._tell(f"SLURM: a line in {task.batch.folder} is damaged; its trial is run again")
        elif "cell" in line:
            trial = self._number_of(line["cell"], line["seed"])
            if trial is None or trial not in task.numbers:
                return
            result, place = result_of(line, trial), trial // self._work.extent.trials
            if self._computed.setdefault(place, result.computed) != result.computed:
                self._tell(f"SLURM: {task.node} computes in another way ({result.computed}); its trials are run again")
                return
            task.numbers.remove(trial)
            task.results += 1
            yield result
        elif "note" in line:
            self._tell(line["note"])
        elif "failed" in line:
            if line["failed"] in self._places:
                task.failed[self._places[line["failed"]]] = line["error"]
        elif "fatal" in line:
            raise WorkerFailed(f"a worker process failed: {line['fatal']}")
        elif "begun" in line:
            self._begun.add(task.batch.name)
            if attempt > task.attempt:
                task.attempt, task.node = attempt, line["begun"]["node"]
        else:
            task.endings[attempt] = line

    def look_after(self) -> None:
        """Closes tasks that have come to an end, or are gone without one.

        Raises:
            WorkerFailed: If jobs end before they get to work, again and again.
        """
        for task in [*self._tasks.values()]:
            if task.attempt in task.endings:
                self._close(task, task.trouble)
            elif task.called_off:
                self._close(task, None)
        if not self._tasks or not self._may_ask():
            return
        try:
            found = self._cluster.queue([name for name in self._batches if name not in self._closed])
        except Refused as refused:
            self._tell(f"SLURM: squeue does not answer ({refused})")
            return
        self._tell_why_they_wait(found.values())
        for key, task in [*self._tasks.items()]:
            task.missed = 0 if key in found else task.missed + 1
            if task.missed >= _MISSED:
                words = last_words(task.batch.folder, task.number if len(task.batch.tasks) > 1 else None)
                if task.attempt < 0:
                    self._tell(f"SLURM: a job was gone before it began to work: {words or 'it left no word'}")
                    self._close(task, None)
                else:
                    self._close(task, f"its job was killed{words and f' ({words})'}", killed=True)

    def _may_ask(self) -> bool:
        """Whether the last question, which may have been another coordinator's, is long enough ago."""
        if time.monotonic() < self._may_ask_at:
            return False
        self._may_ask_at = time.monotonic() + self._executor.interval
        (self._executor.spool / _ASKED).write_text(str(time.time()))
        return True

    def _tell_why_they_wait(self, waiting: Iterable[Waiting]) -> None:
        for reason in sorted({each.reason for each in waiting if each.state == "PENDING"} - _NO_NEWS):
            self._tell(f"SLURM: tasks wait ({reason})")

    def _close(self, task: _OpenTask, trouble: str | None, *, killed: bool = False) -> None:
        """Hands back what a task has not done."""
        del self._tasks[task.batch.name, task.number]
        counts, trials = not self._nodes.is_excluded(task.node), self._work.extent.trials
        for place, error in task.failed.items():
            own = [number for number in sorted(task.numbers) if number // trials == place]
            self._agenda.hand_back((place,), own, error if counts else None)
            task.numbers.difference_update(own)
        left = sorted(task.numbers)
        pack = tuple(dict.fromkeys(number // trials for number in left))
        self._agenda.hand_back(pack, left, trouble if counts else None, killed=killed and counts)
        self._judge(task)
        if not any(name == task.batch.name for name, _ in self._tasks):
            self._close_batch(task)

    def _judge(self, task: _OpenTask) -> None:
        """Sets the node aside, if it only fails where others do not."""
        if bad := self._nodes.judged(task.node, task.results, list(task.failed)):
            node, places = bad
            self._agenda.retract_failures(places)
            self._tell(f"SLURM: node {node} has only failed of late and is set aside")

    def _close_batch(self, task: _OpenTask) -> None:
        name = task.batch.name
        self._closed[name] = time.monotonic()
        if name in self._begun:
            self._idle = 0
        elif not task.called_off:
            self._idle += 1
        if self._idle >= MOST_FAILURES:
            words = last_words(task.batch.folder)
            raise WorkerFailed(f"SLURM's jobs end before they begin to work: {words or 'they left no word'}")

    def submit(self) -> None:
        """Submits what is to be done, as far as there is room.

        Raises:
            WorkerFailed: If SLURM takes no jobs, and there are none to wait for.
        """
        if self._tasks and time.monotonic() - self._submitted < self._executor.interval:
            return
        self._most_tasks = self._most_tasks or self._cluster.most_tasks()
        free = self._free()
        tickets: list[Ticket] = []
        most, at_once = sys.maxsize, self._executor.at_once
        # A job knows that a cell is decided if it has all of its trials.
        if at_once is not None and self._work.extent.decided_at is None:
            most = fair_share(self._agenda, at_once)
        while free and len(self._tasks) + len(tickets) < self._most_tasks:
            if (ticket := next_ticket(self._work, self._agenda, most)) is None:
                break
            tickets.append(ticket)
        if tickets:
            self._submitted = time.monotonic()
            self._submit(tickets, free)

    def _free(self) -> int:
        """How many more tasks may run at a time; none while that would be few."""
        most = self._executor.at_once
        if most is None:
            return self._most_tasks
        counts = Counter(name for name, _ in self._tasks)
        free = most - sum(min(count, self._at_once.get(name, most)) for name, count in counts.items())
        return free if 2 * free >= most else 0

    def _submit(self, tickets: Sequence[Ticket], free: int) -> None:
        name = f"parity-{secrets.token_hex(4)}"
        folder = self._executor.spool / name
        tasks = [Task.of(ticket, folder, number, self._executor.processes) for number, ticket in enumerate(tickets)]
        batch = Batch.new(folder, [dict(zip(task.keys, task.seeds, strict=True)) for task in tasks])
        try:
            job = self._cluster.submit(tasks, folder, free if self._executor.at_once else None, self._nodes.excluded)
        except Refused as refused:
            for ticket in tickets:
                self._agenda.hand_back(ticket.lease.pack, ticket.lease.numbers)
            batch.remove()
            if not self._tasks:
                raise WorkerFailed(f"SLURM takes no jobs: {refused}") from None
            self._tell(f"SLURM takes no more jobs for now: {refused}")
            return
        self._batches[name] = batch
        self._at_once[name] = free
        for number, ticket in enumerate(tickets):
            self._tasks[name, number] = _OpenTask(batch, number, set(ticket.lease.numbers))
        trials = sum(len(ticket.lease.numbers) for ticket in tickets)
        self._tell(f"SLURM job {job}: {len(tickets):,} {'task' if len(tickets) == 1 else 'tasks'}, {trials:,} trials")

    def clear(self) -> None:
        """Removes the files of batches whose results are on record: all that were yielded so long before the last."""
        for name, closed in [*self._closed.items()]:
            if closed + COMMIT_EVERY < self._looked:
                self._batches.pop(name).remove()
                del self._closed[name]

    def call_off(self) -> None:
        """Cancels the jobs, unless all is settled."""
        if self._agenda.is_settled:
            return
        count = len(self._tasks)
        for name in {name for name, _ in self._tasks}:
            self._batches[name].note_cancelled()
            try:
                self._cluster.cancel(name)
            except Refused as refused:
                self._tell(f"SLURM: scancel --name={name} was refused ({refused})")
        if count:
            self._tell(f"SLURM: {count:,} tasks cancelled; what they have done is kept")

    def finish(self) -> None:
        """Removes all files; a job that is still there, to do again what another attempt has done, is cancelled."""
        for name in {task.batch.name for task in self._tasks.values() if task.attempt not in task.endings}:
            with suppress(Refused):
                self._cluster.cancel(name)
        for batch in self._batches.values():
            batch.remove()


def _seconds_to_wait(executor: Slurm) -> float:
    """How long SLURM must be left alone, for another coordinator may have asked just now."""
    with suppress(OSError, ValueError):
        ago = time.time() - float((executor.spool / _ASKED).read_text())
        return min(max(executor.interval - ago, 0.0), executor.interval)
    return 0.0


class _Nodes:
    """Which nodes do their work."""

    def __init__(self) -> None:
        self.excluded: list[str] = []
        self._good: set[str] = set()
        self._failed: dict[str, list[int]] = {}

    def is_excluded(self, node: str) -> bool:
        """Whether a node was set aside."""
        return node in self.excluded

    def judged(self, node: str, results: int, failed: list[int]) -> tuple[str, list[int]] | None:
        """Takes note of what came of a task.

        Args:
            node: Where it was.
            results: How many results it had.
            failed: The cells that failed.

        Returns:
            A node that is set aside now, for nothing has come of so many cells there while others have results; and
            the cells that failed there.
        """
        if node in self.excluded or not node:
            return None
        if results:
            self._good.add(node)
            self._failed[node] = []
        else:
            self._failed.setdefault(node, []).extend(failed)
        for each, places in self._failed.items():
            if len(set(places)) >= MOST_FAILURES and self._good.difference([each, *self.excluded]):
                self.excluded.append(each)
                return each, self._failed.pop(each)
        return None
