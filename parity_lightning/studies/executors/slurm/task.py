"""What a job does: a small study of its own, whose rows go to a file instead of a store."""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from parity_lightning.engine.trial import MixedComputation, TrialResult
from parity_lightning.errors import SettingError
from parity_lightning.studies.agenda import MOST_FAILURES, Agenda, Fault
from parity_lightning.studies.executors import WorkerFailed
from parity_lightning.studies.executors.embedded import Embedded
from parity_lightning.studies.executors.one_line import in_a_line
from parity_lightning.studies.executors.slurm.spool import Line, Lines, attempts_of, read_lines
from parity_lightning.studies.executors.ticket import Ticket
from parity_lightning.studies.work import Work

_ENDS = {"SIGUSR2": "time", "SIGTERM": "stopped"}
"""What SLURM sends a minute before a job's time is over, and to one that is cancelled or makes room for another."""


class _Stopped(BaseException):
    """A signal has come. No `Exception`: no trial has failed."""


@dataclass(frozen=True)
class Task:
    """Runs the trials of a ticket; can be pickled and called anywhere.

    Attributes:
        folder: Where its lines go.
        number: Which task of the batch it is.
        keys: The names of the cells, in the order of the work.
        work: How trials are run, of these cells alone.
        seeds: The seeds of each cell's trials.
        solved: How many of the trials that each cell has already are solved.
        processes: How many processes to use.
    """

    folder: Path
    number: int
    keys: tuple[str, ...]
    work: Work
    seeds: tuple[tuple[int, ...], ...]
    solved: tuple[int, ...]
    processes: int

    @classmethod
    def of(cls, ticket: Ticket, folder: Path, number: int, processes: int) -> Task:
        """Makes the task of a ticket.

        Args:
            ticket: The trials.
            folder: Where lines go.
            number: Which task of the batch it is.
            processes: How many processes to use.
        """
        extent = ticket.work.extent
        seeds: dict[int, list[int]] = {}
        for each in ticket.lease.numbers:
            place, trial = divmod(each, extent.trials)
            seeds.setdefault(place, []).append(extent.first_seed + trial)
        if any(len(own) + ticket.counts[place][1] < extent.trials for place, own in seeds.items()):
            # Trials of a cell that are elsewhere: whether it is decided cannot be known here.
            extent = extent._replace(decided_at=None)
        work = ticket.work._replace(
            cells=[ticket.work.cells[place] for place in seeds],
            extent=extent,
            keys=(),
            computed={own: how for own, place in enumerate(seeds) if (how := ticket.work.computed.get(place))},
        )
        names = tuple(ticket.work.keys[place] for place in seeds)
        solved = tuple(ticket.counts[place][0] for place in seeds)
        return cls(folder, number, names, work, tuple(map(tuple, seeds.values())), solved, processes)

    def __call__(self) -> None:
        """Runs what no earlier attempt has done, and writes lines of what comes of it."""
        earlier = [line for path in attempts_of(self.folder, self.number) for line in read_lines(path)[0] if line]
        if any("end" in line for line in earlier):
            # The rest is another task's by now.
            return
        agenda = self._agenda(earlier)
        lines = Lines(self.folder, self.number)
        node = os.environ.get("SLURMD_NODENAME") or socket.gethostname()
        lines.write([{"begun": {"node": node, "job": os.environ.get("SLURM_JOB_ID")}}])
        ending: Line = {"end": "all"}
        signals = _Signals()
        try:
            self._run(agenda, lines, signals)
        except _Stopped as stopped:
            ending = {"end": str(stopped)}
        except SettingError as error:
            ending = {"fatal": in_a_line(str(error))}
        except (MixedComputation, WorkerFailed) as error:
            # Another node may compute as the rows on record were computed.
            ending = {"broken": in_a_line(str(error))}
        signals.ignore()
        lines.write([ending])
        lines.close()

    def _agenda(self, earlier: Sequence[Line]) -> Agenda:
        """What is to be done: a cell that fails alone has failed here, and is tried again elsewhere."""
        trials, first = self.work.extent.trials, self.work.extent.first_seed
        done = np.ones((len(self.keys), trials), bool)
        for place, own in enumerate(self.seeds):
            done[place, [seed - first for seed in own]] = False
        solved = list(self.solved)
        place_of = {key: place for place, key in enumerate(self.keys)}
        for line in earlier:
            if "cell" in line:
                place, trial = place_of[line["cell"]], line["seed"] - first
                solved[place] += not done[place, trial] and line["result"]["convergence_time"] is not None
                done[place, trial] = True
        failures = dict.fromkeys(range(len(self.keys)), MOST_FAILURES - 1)
        return Agenda(self.work.extent, [tuple(range(len(self.keys)))], done.reshape(-1), solved, failures)

    def _run(self, agenda: Agenda, lines: Lines, signals: _Signals) -> None:
        faults: dict[int, Fault] = {}
        notes: list[str] = []
        for results in Embedded(self.processes).run(self.work, agenda, notes.append):
            told = [self._line_of(result) for result in results]
            told += [{"note": note} for note in dict.fromkeys(notes)]
            notes.clear()
            if told:
                with signals.held_back():
                    lines.write(told)
            faults |= {fault.place: fault for fault in agenda.faults()}
        faults |= {fault.place: fault for fault in agenda.faults()}
        failed = [fault for fault in faults.values() if fault.failures >= MOST_FAILURES]
        with signals.held_back():
            lines.write([{"failed": self.keys[fault.place], "error": fault.error} for fault in failed])

    def _line_of(self, result: TrialResult) -> Line:
        place, trial = divmod(result.number, self.work.extent.trials)
        content = result._asdict()
        del content["number"]
        return {"cell": self.keys[place], "seed": self.work.extent.first_seed + trial, "result": content}


def result_of(line: Line, number: int) -> TrialResult:
    """The result that a line tells of.

    Args:
        line: The line.
        number: The number of the trial in the plan.
    """
    content: dict[str, Any] = line["result"]
    values = {name: tuple(value) if isinstance(value, list) else value for name, value in content.items()}
    return TrialResult(number, **values)  # type: ignore[arg-type]


class _Signals:
    """Raises when SLURM says that the job must end, but never in the middle of a line."""

    def __init__(self) -> None:
        self._is_writing = False
        self._why: str | None = None
        for name in _ENDS:
            signal.signal(getattr(signal, name), self._receive)

    def _receive(self, number: int, _: Any) -> None:
        self._why = self._why or _ENDS[signal.Signals(number).name]
        if not self._is_writing:
            raise _Stopped(self._why)

    @contextmanager
    def held_back(self) -> Iterator[None]:
        """While this lasts nothing is raised."""
        self._is_writing = True
        yield
        self._is_writing = False
        if self._why:
            raise _Stopped(self._why)

    def ignore(self) -> None:
        """From now on nothing is raised."""
        for name in _ENDS:
            signal.signal(getattr(signal, name), signal.SIG_IGN)
