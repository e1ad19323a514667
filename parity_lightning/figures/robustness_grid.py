"""The grid of Finding 1: which of its cells are looked at, how each is tried, and when it is decided.

A cell is a setting, an (n, k), a batch size, an initialization and a loss. It is solvable if at least 20 % of 25 trials
are solved within 10^5 steps at one of four learning rates or more. Most cells that are solvable are so within far fewer
steps, at a rate that also solves cells like them. So each cell is tried with few steps first, at the rates that solved
its neighbours, and with more steps only if no rate did.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from typing import Any, NamedTuple

import numpy as np

from parity_lightning.figures.runs import Runs
from parity_lightning.figures.scales import Scale
from parity_lightning.studies.cells import Cell, Grid

TRIALS, NEEDED = 25, 5
"""Trials of a cell at one rate, and how many of them must be solved: 20 %."""

MOST_STEPS = 100_000
RATES = (0.1, 0.01, 1.0, 0.001)
"""The learning rates of the paper; in this order where no neighbour says otherwise."""

ROBUST = ("i", "ii", "iii", "iv", "v", "vi", "vii", "viii", "ix", "x", "xi", "xii", "xiii", "xiv", "xv")
LESS_ROBUST = ("star-i", "star-ii", "star-iii")
"""Settings (*i), (*ii) and (*iii), for which the paper asks for B >= 16."""

_GRID = Grid(
    {
        "setting": [*ROBUST, *LESS_ROBUST],
        "n": [10, 20, 30],
        "k": [2, 3, 4],
        "batch_size": [2**power for power in range(11)],
        "initialization": ["uniform", "gaussian", "bernoulli"],
        "loss": ["hinge", "square", "cross_entropy"],
    }
)
_DRAWN: Mapping[Scale, int] = {"smoke": 6, "laptop": 300, "paper": len(_GRID)}
_DRAWN_BY = 2207_08799
"""The seed that the cells are drawn by: the number of the paper."""

BUDGETS: Mapping[Scale, Sequence[float]] = {
    "smoke": (3e8,),
    "laptop": (3e8, 5e9),
    "paper": (3e8, 5e9, math.inf),
}
"""Multiplications that a trial may take, from the first tries to the last."""

FEWEST_STEPS = 20
"""A cell is not tried with fewer steps."""

_EVALUATIONS = 100
_WIDTHS = {"i": 10, "ii": 100, "iii": 1000, "iv": 10, "v": 100, "vi": 1000}
_STEP, _EXAMPLE = 5_000, 300
"""Multiplications in whose time a step is prepared, and an example is drawn and its activations are computed."""


class GridCell(NamedTuple):
    """A cell of the grid, without a learning rate."""

    setting: str
    n: int
    k: int
    batch_size: int
    initialization: str
    loss: str


class Try(NamedTuple):
    """What came of the trials of a cell at one rate.

    Attributes:
        lr: The rate.
        steps: After how many steps trials were given up.
        solved: How many were solved.
        failed: How many were not and never would be: they diverged, or had all of the paper's steps.
    """

    lr: float
    steps: int
    solved: int
    failed: int


@cache
def drawn(scale: Scale) -> list[GridCell]:
    """The cells that are looked at: drawn at random, those of a smaller scale first, before anything is run.

    Example:
        >>> len(drawn("laptop")), drawn("laptop")[:6] == drawn("smoke")
        (300, True)
    """
    order = np.random.default_rng(_DRAWN_BY).permutation(len(_GRID))
    return [GridCell(**_GRID[int(place)]) for place in order[: _DRAWN[scale]]]


def steps_within(budget: float, cell: GridCell) -> int:
    """How many steps a trial of a cell may take: 1, 2 or 5 times a power of ten, at most the paper's 10^5.

    Args:
        budget: Multiplications.
        cell: The cell.

    Example:
        >>> cell = GridCell("i", n=30, k=3, batch_size=32, initialization="uniform", loss="hinge")
        >>> steps_within(3e8, cell), steps_within(3e9, cell), steps_within(math.inf, cell)
        (2000, 20000, 100000)
    """
    most = budget / (3 * cell.batch_size * (_weights(cell) + _EXAMPLE) + _STEP)
    below = [leading * 10**power for power in range(6) for leading in (1, 2, 5) if leading * 10**power <= most]
    return min(max(below, default=0), MOST_STEPS)


def _weights(cell: GridCell) -> float:
    """How many multiplications an output takes."""
    if cell.setting == "star-iii":
        # Of the Transformer, keys and values of each bit; its trials cannot share a stack, either.
        return 2 * 1024**2 * cell.n
    if cell.setting == "xv":
        return cell.k * cell.n
    width = _WIDTHS.get(cell.setting, cell.k if cell.setting in LESS_ROBUST else 1)
    return width * (cell.n + 1)


def tries_of(runs: Runs) -> dict[GridCell, list[Try]]:
    """What came of all runs, by cell."""
    found = defaultdict(list)
    for cell, outcomes, limit in zip(runs.cells, runs.outcomes, runs.limits, strict=True):
        solved = np.isfinite(outcomes["convergence_time"])
        # A trial that ends unsolved before the limit has diverged.
        failed = ~solved & ((outcomes["steps"] < limit) | (limit >= MOST_STEPS))
        lr = float(cell["model.optimizer.lr"])
        found[_grid_cell(cell)].append(Try(lr, limit, int(solved.sum()), int(failed.sum())))
    return dict(found)


def is_solvable(tries: Sequence[Try]) -> bool | None:
    """Whether a cell is solvable; None if that is not decided.

    Example:
        >>> is_solvable([Try(0.1, 500, solved=2, failed=0), Try(1.0, 500, solved=5, failed=3)])
        True
        >>> is_solvable([Try(lr, 500, solved=0, failed=25) for lr in RATES])
        False
        >>> is_solvable([Try(lr, 500, solved=4, failed=20) for lr in RATES]) is None
        True
    """
    if any(each.solved >= NEEDED for each in tries):
        return True
    refuted = {each.lr for each in tries if each.failed > TRIALS - NEEDED}
    return False if refuted == set(RATES) else None


def next_cells(runs: Runs) -> list[Cell]:
    """The next try of each cell that is not decided and has one left.

    Args:
        runs: What has been run so far; nothing before the first tries.
    """
    found = list(states(runs))
    pilots = _pilots()
    neighbours = _Neighbours({cell: tries for cell, _, tries in found if cell in pilots})
    return [
        _options(cell, *chosen)
        for cell, solvable, tries in found
        if solvable is None and (chosen := _next_try(runs.scale, cell, tries, neighbours)) is not None
    ]


@cache
def _pilots() -> frozenset[GridCell]:
    # Enough to judge all others by, whose number makes no more work then.
    return frozenset(drawn("laptop"))


def _next_try(scale: Scale, cell: GridCell, tries: Sequence[Try], neighbours: _Neighbours) -> tuple[float, int] | None:
    """The rate and the steps of the next try of a cell; None if there is none left."""
    if cell.setting == "star-iii" and scale != "paper":
        return None
    for budget in BUDGETS[scale]:
        steps = steps_within(budget, cell)
        known = {each.lr for each in tries if each.steps >= steps or each.failed > TRIALS - NEEDED}
        left = [lr for lr in RATES if lr not in known]
        if left and steps >= FEWEST_STEPS:
            return max(left, key=neighbours.promise_of(cell, tries).__getitem__), steps
    return None


class _Neighbours:
    """What rates are worth a try, by what they did for cells that are alike.

    Args:
        tries: What came of the cells of the pilot.
    """

    def __init__(self, tries: Mapping[GridCell, Sequence[Try]]) -> None:
        found = [(cell, each) for cell, own in tries.items() for each in own]
        self._cells = np.array([cell for cell, _ in found], dtype=object).reshape(len(found), len(GridCell._fields))
        self._octaves = np.log2(self._cells[:, 3].astype(float))
        self._rates = np.array([RATES.index(each.lr) for _, each in found], dtype=int)
        self._solved = np.array([_success(each) for _, each in found])

    def promise_of(self, cell: GridCell, own: Sequence[Try]) -> dict[float, float]:
        """The share of tries in which each rate solves: of the cells alike, each weighted by how alike it is."""
        differs = self._cells != np.array(cell, dtype=object)
        octaves = np.abs(self._octaves - math.log2(cell.batch_size))
        # A setting tells more than the other things together; three doublings of B as much as one of them.
        apart = differs[:, [1, 2, 4, 5]].sum(1) + octaves / 3 + 2 * differs[:, 0]
        rates = np.append(self._rates, [RATES.index(each.lr) for each in own]).astype(int)
        weights = np.append(0.5 ** apart.astype(float), np.ones(len(own)))
        solved = np.append(self._solved, [_success(each) for each in own])
        # As if one try of each had been made: so much is expected of the rates before anything is known.
        total = 1 + np.bincount(rates, weights, minlength=len(RATES))
        share = (np.array(_EXPECTED) + np.bincount(rates, weights * solved, minlength=len(RATES))) / total
        return dict(zip(RATES, share.tolist(), strict=True))


_EXPECTED = (0.4, 0.3, 0.2, 0.1)


def _success(each: Try) -> float:
    return min(each.solved / NEEDED, 1.0)


_PATHS = {
    "n": "data.n",
    "k": "data.k",
    "batch_size": "data.batch_size",
    "initialization": "model.initialization",
    "loss": "model.loss",
}


def _options(cell: GridCell, lr: float, steps: int) -> Cell:
    """The options of ``fit`` of a try."""
    beside: dict[str, Any] = {path: getattr(cell, name) for name, path in _PATHS.items()}
    limits = {"trainer.max_steps": steps, "trainer.val_check_interval": max(steps // _EVALUATIONS, 1)}
    return {"config": f"architectures/{cell.setting}.yaml", **beside, "model.optimizer.lr": lr, **limits}


def _grid_cell(cell: Cell) -> GridCell:
    setting = str(cell["config"]).rpartition("/")[2].removesuffix(".yaml")
    return GridCell(setting, **{name: cell[path] for name, path in _PATHS.items()})


def states(runs: Runs) -> Iterator[tuple[GridCell, bool | None, Sequence[Try]]]:
    """Each cell that is looked at at the scale of these runs, whether it is solvable, and its tries."""
    tries = tries_of(runs)
    for cell in drawn(runs.scale):
        own = tries.get(cell, [])
        yield cell, is_solvable(own), own
