"""A ticket: trials of one pack with all that a worker elsewhere needs to run them, and to stop where they are decided.

Where workers cannot ask for more trials while they are at work, on another machine say, they get many at once.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from parity_lightning.studies.agenda import TRIALS_AT_ONCE, Agenda, Lease
from parity_lightning.studies.executors.messages import Message, messages
from parity_lightning.studies.work import Work


class Ticket(NamedTuple):
    """Trials to be run by one worker; can be pickled and sent anywhere.

    Attributes:
        work: How trials are run, of this pack's cells alone.
        lease: The trials.
        counts: How many trials of each cell are solved and done so far, by the place of the cell.
    """

    work: Work
    lease: Lease
    counts: Mapping[int, tuple[int, int]]

    def run(self, worker: int = 0) -> Iterator[Message]:
        """Runs the trials, but for those of cells that are decided meanwhile.

        Args:
            worker: The number of the worker, which decides its device among those that it sees.

        Yields:
            What comes of them.
        """
        extent, counts = self.work.extent, dict(self.counts)
        waiting = deque(self.lease.numbers)

        def more() -> Lease | None:
            numbers: list[int] = []
            while waiting and len(numbers) < TRIALS_AT_ONCE:
                number = waiting.popleft()
                if not extent.is_decided(*counts[number // extent.trials]):
                    numbers.append(number)
            return Lease(self.lease.pack, tuple(numbers)) if numbers else None

        first = more()
        if first is None:
            return
        for message in messages(self.work, worker, first, more):
            if message[0] == "results":
                for result in message[1]:
                    place = result.number // extent.trials
                    solved, done = counts[place]
                    counts[place] = (solved + (result.convergence_time is not None), done + 1)
            yield message


def next_ticket(work: Work, agenda: Agenda, most: int) -> Ticket | None:
    """Leases trials of the next pack.

    Args:
        work: How trials are run, of all cells.
        agenda: Leases them.
        most: How many trials, or a few more.

    Returns:
        The ticket; None if there are no trials now. There may be some later, as long as not all is settled.
    """
    lease = agenda.lease()
    if lease is None:
        return None
    numbers = list(lease.numbers)
    while len(numbers) < most and (following := agenda.lease(lease.pack)) is not None:
        numbers += following.numbers
    places = lease.pack
    own = work._replace(
        cells={place: work.cells[place] for place in places},
        computed={place: work.computed[place] for place in places if place in work.computed},
        keys={place: work.keys[place] for place in places},
    )
    return Ticket(own, Lease(places, tuple(numbers)), agenda.counts(places))


def fair_share(agenda: Agenda, workers: int) -> int:
    """How many trials a ticket may have, so that no worker is left with many when others have none.

    Args:
        agenda: Knows how many are left.
        workers: How many tickets are worked on at a time.
    """
    return max(TRIALS_AT_ONCE, agenda.left // (4 * workers))
