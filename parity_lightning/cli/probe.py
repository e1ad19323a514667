"""How long a study may take, from a second of a few of its packs."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from itertools import count

from parity_lightning.cli.make_runner import MakeRunner
from parity_lightning.engine.runner import StackRunner
from parity_lightning.engine.trial import TrialSpec
from parity_lightning.studies.cells import Cell
from parity_lightning.studies.packs import Pack
from parity_lightning.studies.settings import Settings

_PACKS = 3
_SECONDS = 0.4


def probe(
    make_runner: MakeRunner, cells: Sequence[Cell], settings: Sequence[Settings], packs: Sequence[Pack], trials: int
) -> Iterator[str]:
    """Trains trials of a few packs for a moment, and says how long all may take at most.

    Args:
        make_runner: Makes the runner of a pack.
        cells: The cells of the study.
        settings: What decides the trials of each.
        packs: The places of those that can share a stack.
        trials: How many trials are to be run.

    Yields:
        A line; of packs that cannot be stacked, why.
    """
    seconds, longest = 0.0, 0.0
    chosen = [packs[place * (len(packs) - 1) // (_PACKS - 1)] for place in range(_PACKS)][: len(packs)]
    for pack in chosen:
        runner = make_runner([cells[place] for place in pack], 0, None)
        if not isinstance(runner, StackRunner):
            yield f"{runner.note}: no estimate of the time"
            return
        values = settings[pack[0]].values
        each = _seconds_of_a_step(runner, len(pack), int(values["trainer.val_check_interval"]))
        seconds += each / len(chosen)
        longest += each * int(values["trainer.max_steps"]) / len(chosen)
    most = trials * longest / make_runner.workers
    yield f"{1 / seconds:,.0f} steps a second in each process: at most {_in_words(most)}, if no trial is solved"


def _seconds_of_a_step(runner: StackRunner, cells: int, every: int) -> float:
    """The seconds that a step of one trial takes in a full stack, evaluations included."""
    # Seeds that no trial has, for what is drawn is thrown away.
    steps, began, took = 0, 0.0, 0.0
    for number, _ in enumerate(runner.run(TrialSpec(number, number % cells, 2**31 + number) for number in count())):
        if number == 0:
            # What comes before has compiled and filled the stack.
            began = time.perf_counter()
            continue
        steps += every * runner.stack.size_limit
        took = time.perf_counter() - began
        if took > _SECONDS:
            break
    return took / steps


def _in_words(seconds: float) -> str:
    """A time span in the unit that suits it.

    Example:
        >>> _in_words(40), _in_words(5_000), _in_words(1e6)
        ('40 s', '1.4 h', '12 days')
    """
    for unit, size, digits in (("days", 86_400, 0), ("h", 3_600, 1), ("min", 60, 0)):
        if seconds >= 1.3 * size:
            return f"{seconds / size:,.{digits}f} {unit}"
    return f"{seconds:.0f} s"
