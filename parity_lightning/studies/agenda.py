"""What is still to be done of a study: who runs which trials, and what becomes of those that fail.

Trials are numbered: trial j of the cell at place i has the number ``i * trials + j``. They are leased to workers a few
at a time. A lease that comes back undone is leased again; a cell whose trials fail three times is set aside.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from parity_lightning.engine.trial import TrialResult
from parity_lightning.studies.cells import Extent
from parity_lightning.studies.packs import Pack

MOST_FAILURES = 3
"""So often a cell may fail, and so many cells in a row a worker, before it is set aside."""

TRIALS_AT_ONCE = 8


class Lease(NamedTuple):
    """Trials for one worker; it can be pickled and sent anywhere.

    Attributes:
        pack: The places of the cells that the worker's stack may hold.
        numbers: The trials, all of these cells.
    """

    pack: Pack
    numbers: tuple[int, ...]


class Fault(NamedTuple):
    """A cell has failed.

    Attributes:
        place: Which one.
        failures: How often by now; with `MOST_FAILURES` it is set aside.
        error: Why, the last time.
    """

    place: int
    failures: int
    error: str


class Agenda:
    """Hands out trials and takes back what is not done; may be called from several threads.

    Args:
        extent: How many trials each cell has, and when it needs no more.
        packs: Cells that can share a stack; they are done pack by pack.
        done: Whether each trial has a row already, by number.
        solved: How many of the trials with a row are solved, of each cell.
        failures: How often cells have failed before, by their places.
    """

    def __init__(
        self,
        extent: Extent,
        packs: Sequence[Pack],
        done: np.ndarray,
        solved: Sequence[int] | np.ndarray,
        failures: Mapping[int, int] | None = None,
    ) -> None:
        self.extent = extent
        self._done = done.copy()
        self._solved = np.array(solved)
        self._had = done.reshape(-1, extent.trials).sum(1)
        self._failures = dict(failures or {})
        self._again: deque[Lease] = deque()
        self._suspects: set[int] = set()
        self._out = 0
        self._adopted: set[int] = set()
        self._faults: list[Fault] = []
        self._fresh = (lease for pack in packs for lease in self._leases_of(pack))
        self._ahead: Lease | None = None
        self._changed = threading.Condition(threading.RLock())

    def _leases_of(self, pack: Pack) -> Iterator[Lease]:
        """The trials of a pack, a few at a time.

        A cell after the other; or, where cells are decided early, a trial of each after the other, so that fewer are
        at work when one is.
        """
        trials = self.extent.trials
        if self.extent.decided_at is None:
            numbers = (place * trials + trial for place in pack for trial in range(trials))
        else:
            numbers = (place * trials + trial for trial in range(trials) for place in pack)
        some: list[int] = []
        for number in numbers:
            if self._is_open(number) and number not in self._adopted:
                some.append(number)
            if len(some) == TRIALS_AT_ONCE:
                yield Lease(pack, tuple(some))
                some = []
        if some:
            yield Lease(pack, tuple(some))

    def _is_open(self, number: int) -> bool:
        place = number // self.extent.trials
        if self._done[number] or self._failures.get(place, 0) >= MOST_FAILURES:
            return False
        return not self.extent.is_decided(self._solved[place], self._had[place])

    def lease(self, pack: Pack | None = None) -> Lease | None:
        """The next trials for a worker.

        Args:
            pack: The pack whose trials the worker's stack can take; None for any.

        Returns:
            The trials; None if there are none now. There may be some later, as long as not all is settled.
        """
        with self._changed:
            while True:
                if self._ahead is None:
                    self._ahead = next(self._fresh, None)
                following = self._ahead
                if following is None and self._again:
                    following = self._again[0]
                if following is None or (pack is not None and following.pack != pack):
                    return None
                if following is self._ahead:
                    self._ahead = None
                else:
                    self._again.popleft()
                # Of a cell that was decided or set aside meanwhile nothing is run.
                numbers = tuple(filter(self._is_open, following.numbers))
                if numbers:
                    self._out += len(numbers)
                    return following._replace(numbers=numbers)

    @property
    def left(self) -> int:
        """How many trials have no row yet; some of them may be decided or set aside."""
        with self._changed:
            return int(self._done.size - self._had.sum())

    def counts(self, places: Iterable[int]) -> dict[int, tuple[int, int]]:
        """How many trials of cells are solved and how many done, by their places."""
        with self._changed:
            return {place: (int(self._solved[place]), int(self._had[place])) for place in places}

    def adopt(self, numbers: Iterable[int]) -> tuple[int, ...]:
        """Leases trials that workers have already, from a coordinator that was killed; before any others are leased.

        Args:
            numbers: The trials.

        Returns:
            Those that are still to be done.
        """
        with self._changed:
            mine = tuple(number for number in numbers if number not in self._adopted and self._is_open(number))
            self._adopted.update(mine)
            self._out += len(mine)
            return mine

    def wait(self, seconds: float) -> None:
        """Returns when something has changed, or after so long."""
        with self._changed:
            self._changed.wait(seconds)

    @property
    def is_settled(self) -> bool:
        """Whether no trial is left, neither waiting nor with a worker."""
        with self._changed:
            if self._out:
                return False
            if self._ahead is None:
                self._ahead = next(self._fresh, None)
            waiting = [self._ahead] if self._ahead else []
            return not any(self._is_open(number) for lease in [*waiting, *self._again] for number in lease.numbers)

    def settle(self, results: Iterable[TrialResult]) -> None:
        """Takes note of trials that are done."""
        with self._changed:
            for result in results:
                place = result.number // self.extent.trials
                self._out -= 1
                self._suspects.discard(place)
                if not self._done[result.number]:
                    self._done[result.number] = True
                    self._had[place] += 1
                    self._solved[place] += result.convergence_time is not None
            self._changed.notify_all()

    def hand_back(self, pack: Pack, numbers: Iterable[int], error: str | None = None, *, killed: bool = False) -> None:
        """Takes back trials that a worker did not do; they are leased again after all others.

        Cells of a pack that failed are run alone from then on, so that the one which fails is found. One that fails
        alone has failed; after the third time it is set aside.

        Args:
            pack: The cells that were in the worker's stack.
            numbers: The trials.
            error: Why they failed; None if they did not.
            killed: The worker was killed: a chance that may befall any cell once before it is run alone.
        """
        trials = self.extent.trials
        with self._changed:
            by_place: dict[int, list[int]] = {}
            for number in numbers:
                by_place.setdefault(number // trials, []).append(number)
                self._out -= 1
            innocent = error is None or (killed and not self._suspects.intersection(by_place))
            if killed:
                self._suspects.update(by_place)
            if innocent:
                if by_place:
                    self._again.append(Lease(pack, tuple(number for own in by_place.values() for number in own)))
            else:
                if len(pack) == 1:
                    self._fail(pack[0], error or "")
                self._again += [Lease((place,), tuple(own)) for place, own in by_place.items()]
            self._changed.notify_all()

    def _fail(self, place: int, error: str) -> None:
        if self._failures.get(place, 0) >= MOST_FAILURES:
            # Several workers had trials of it.
            return
        self._failures[place] = self._failures.get(place, 0) + 1
        self._faults.append(Fault(place, self._failures[place], error))

    def retract_failures(self, places: Iterable[int]) -> None:
        """Takes failures back that were the worker's, not the cells'."""
        with self._changed:
            for place in places:
                if self._failures.get(place, 0):
                    self._failures[place] -= 1
                    self._faults.append(Fault(place, self._failures[place], "its worker was set aside"))
            self._changed.notify_all()

    def faults(self) -> list[Fault]:
        """The faults since the last call."""
        with self._changed:
            faults, self._faults = self._faults, []
            return faults
