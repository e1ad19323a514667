"""Who runs the trials of a study.

An executor gets the work and an agenda, which leases trials, a few at a time; leases and the work can be pickled and
sent anywhere. It yields results as they come. Executors write nothing: that is the coordinator's part alone.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import TYPE_CHECKING, Protocol

from parity_lightning.errors import RunError

if TYPE_CHECKING:
    # What deals with a cluster does without torch.
    from parity_lightning.engine.trial import TrialResult
    from parity_lightning.studies.agenda import Agenda
    from parity_lightning.studies.work import Work


class Executor(Protocol):
    """Runs all trials of an agenda."""

    def run(self, work: Work, agenda: Agenda, tell: Callable[[str], None]) -> Generator[list[TrialResult], None, None]:
        """Runs trials until all are settled.

        Args:
            work: How a trial is run; can be pickled.
            agenda: Leases trials. The executor settles those that are done and hands back those that are not.
            tell: Called with lines for the user, from the thread that iterates.

        Yields:
            Results as they come; now and then none, so that the caller can do its own work.
        """
        ...


class WorkerFailed(RunError):
    """There is no worker left, or one met what no other could do better."""
