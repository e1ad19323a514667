"""What a worker of Ray does with a ticket. A worker keeps what it has imported from one ticket to the next."""

from __future__ import annotations

import os
import pickle
import sys
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

from parity_lightning import __version__
from parity_lightning.engine.library_cache import FOLDER_VARIABLE

if TYPE_CHECKING:
    from parity_lightning.studies.executors.messages import Message

_SEND_EVERY = 0.5
"""Seconds between two messages of a task, each of which costs a millisecond."""

# A larger message stays on the node until it is asked for, and is lost with it.
_MOST_RESULTS = 200


class Surroundings(NamedTuple):
    """What a worker must find where it is as the coordinator does.

    Attributes:
        folder: The current folder, in which configurations and modules of the user's lie.
        path: Where modules are looked for.
        cache: The folder of compiled functions, if it was named.
        version: That of this package.
    """

    folder: str
    path: tuple[str, ...]
    cache: str | None
    version: str

    @classmethod
    def here(cls) -> Surroundings:
        """Those of this process."""
        return cls(os.getcwd(), tuple(sys.path), os.environ.get(FOLDER_VARIABLE), __version__)

    def enter(self) -> None:
        """Makes them those of a worker.

        Raises:
            OSError: If there is no such folder here.
            RuntimeError: If another version is installed.
        """
        if self.version != __version__:
            raise RuntimeError(f"it has parity-lightning {__version__}, the coordinator {self.version}")
        os.chdir(self.folder)
        sys.path += [entry for entry in self.path if entry not in sys.path]
        if self.cache is not None:
            os.environ[FOLDER_VARIABLE] = self.cache


def run_ticket(pickled: bytes, surroundings: Surroundings) -> Iterator[tuple[str, list[Message]]]:
    """Runs trials.

    Args:
        pickled: The ticket.
        surroundings: Where it can be unpickled and run.

    Yields:
        The node, and what has come of the trials since the last time.
    """
    import ray

    surroundings.enter()
    ticket: Any = pickle.loads(pickled)
    node = ray.get_runtime_context().get_node_id()
    told: list[Message] = []
    results: list[Any] = []
    sent = time.monotonic()

    def waiting() -> list[Message]:
        return [*([("results", results)] if results else []), *told]

    for kind, content in ticket.run():
        if kind == "results":
            results += content
        else:
            told.append((kind, content))
        if len(results) >= _MOST_RESULTS or time.monotonic() - sent > _SEND_EVERY:
            yield node, waiting()
            told, results, sent = [], [], time.monotonic()
    if told or results:
        yield node, waiting()
