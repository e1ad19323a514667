"""What a worker has leased and not done: settled as results come, handed back when it fails or dies."""

from __future__ import annotations

from parity_lightning.engine.trial import TrialResult
from parity_lightning.studies.agenda import Agenda, Lease
from parity_lightning.studies.executors.one_line import in_a_line
from parity_lightning.studies.packs import Pack


class OpenTrials:
    """The trials that a worker has leased and not done.

    Args:
        agenda: Leases them.
    """

    def __init__(self, agenda: Agenda) -> None:
        self._agenda = agenda
        self._pack: Pack = ()
        self._numbers: dict[int, None] = {}

    def taken(self, lease: Lease) -> Lease:
        """Takes note of a lease."""
        self._pack = lease.pack
        self._numbers |= dict.fromkeys(lease.numbers)
        return lease

    def more(self) -> Lease | None:
        """Leases more trials of the same pack."""
        lease = self._agenda.lease(self._pack)
        return lease and self.taken(lease)

    def settle(self, results: list[TrialResult]) -> None:
        """Takes note of trials that are done."""
        for result in results:
            del self._numbers[result.number]
        self._agenda.settle(results)

    def fail(self, error: Exception | str, *, killed: bool = False) -> Pack:
        """Hands back what is not done, for it failed; returns the pack."""
        return self._hand_back(in_a_line(error), killed)

    def give_up(self) -> None:
        """Hands back what is not done; nothing in it has failed."""
        self._hand_back(None, False)

    def _hand_back(self, error: str | None, killed: bool) -> Pack:
        numbers, self._numbers = self._numbers, {}
        self._agenda.hand_back(self._pack, numbers, error, killed=killed)
        return self._pack
