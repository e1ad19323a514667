"""How trials are run in a worker, whatever executor it belongs to."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple, Protocol

import torch

from parity_lightning.engine.trial import TrialResult, TrialSpec
from parity_lightning.studies.agenda import Lease
from parity_lightning.studies.cells import Cell, Extent


class Runner(Protocol):
    """Runs trials; `StackRunner` is one."""

    note: str | None
    """Why trials do not run as fast as they could, if so."""

    def run(self, specs: Iterator[TrialSpec]) -> Iterator[list[TrialResult]]:
        """Runs trials and yields outcomes from time to time."""
        ...


class Work(NamedTuple):
    """What every worker must know; can be pickled.

    Attributes:
        make_runner: Makes the runner of a pack's cells on the device of a worker, given how earlier rows of theirs were
            computed.
        cells: All cells of the study by their places, or those of them that the worker is to have.
        extent: How many trials each has.
        computed: How rows on record were computed, by the place of their cell.
        threads: How many threads a worker uses.
        keys: The names of these cells, by which they are known when the study has grown.
    """

    make_runner: Callable[[Sequence[Cell], int, str | None], Runner]
    cells: Sequence[Cell] | Mapping[int, Cell]
    extent: Extent
    computed: dict[int, str]
    threads: int = 1
    keys: Sequence[str] | Mapping[int, str] = ()

    def run(
        self, first: Lease, worker: int, more: Callable[[], Lease | None], tell: Callable[[str], None]
    ) -> Iterator[list[TrialResult]]:
        """Runs leased trials in a stack, and further ones of the same pack as there is room for them.

        Args:
            first: The first trials.
            worker: The number of the worker, which decides its device.
            more: Asks for more trials of the same pack.
            tell: Called once with what the user should know.

        Yields:
            Results as they come, perhaps none.
        """
        torch.set_num_threads(self.threads)
        computed = next((self.computed[place] for place in first.pack if place in self.computed), None)
        runner = self.make_runner([self.cells[place] for place in first.pack], worker, computed)
        setting_of = {place: setting for setting, place in enumerate(first.pack)}

        def specs() -> Iterator[TrialSpec]:
            lease: Lease | None = first
            while lease is not None:
                for number in lease.numbers:
                    place, trial = divmod(number, self.extent.trials)
                    yield TrialSpec(number, setting_of[place], self.extent.first_seed + trial)
                lease = more()

        is_noted = False
        for results in runner.run(specs()):
            if runner.note and not is_noted:
                is_noted = True
                tell(runner.note)
            yield results
