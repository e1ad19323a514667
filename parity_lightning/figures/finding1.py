"""Finding 1: which cells of the robustness grid are solvable, on cells drawn at random."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from parity_lightning.display.style import BLUE, VERMILION, legend_below
from parity_lightning.figures.figure import PaperFigure, Plan
from parity_lightning.figures.robustness_grid import (
    BUDGETS,
    FEWEST_STEPS,
    LESS_ROBUST,
    MOST_STEPS,
    NEEDED,
    ROBUST,
    TRIALS,
    GridCell,
    Try,
    next_cells,
    states,
    steps_within,
)
from parity_lightning.figures.runs import Runs
from parity_lightning.figures.scales import SCALES, Scale
from parity_lightning.statistics.binomial import share_interval
from parity_lightning.studies.claims import Claim, Estimate, Statement

_SECTION = "Empirical Finding 1, Section 3.1"
_QUOTE = (
    "for all combinations of n in {10, 20, 30}, k in {2, 3, 4}, batch sizes B in {1, 2, 4, ..., 1024}, initializations "
    "{uniform, Gaussian, Bernoulli}, loss functions {hinge, square, cross entropy}, and architecture configurations "
    "{(i), (ii), ..., (xv)}, SGD solved the parity problem [...] in at least 20% of 25 random trials, for at least one "
    "choice of learning rate"
)
_LESS = "In these settings, the same positive results as above only held for sufficiently large batch sizes: B >= 16."
_ENOUGH = 16
_CHOICES = (
    "300 of the 16,038 cells (smoke 6, paper all), drawn before the first run and never replaced",
    f"a cell is solvable once {NEEDED} of {TRIALS} trials are solved at one rate, not solvable once that can no longer "
    "happen at any of the four rates: trials diverged, or had the paper's 100,000 steps; undecided otherwise",
    "a trial is given up after about 3 x 10^8 multiplications, and tried again with 5 x 10^9 if no rate solves its "
    "cell; with 100,000 steps at the scale paper only",
    f"a cell for which that is less than {FEWEST_STEPS} steps, and the Transformer, are not run on a laptop: undecided",
    "rates in the order in which they solved cells alike; evaluated 100 times, on 2^13 examples",
)


def plan(scale: Scale) -> Plan:
    """The first try of each cell."""
    return Plan(next_cells(Runs([], [], [], scale=scale)), TRIALS, decided_at=NEEDED)


class SettingRow(NamedTuple):
    """How many cells of a setting are solvable."""

    setting: str
    cells: int
    solvable: int
    not_solvable: int
    undecided: int
    low: float | None
    high: float | None


class CellRow(NamedTuple):
    """A cell that was looked at, and what came of it."""

    setting: str
    n: int
    k: int
    batch_size: int
    initialization: str
    loss: str
    solvable: str
    lr: float | None
    tries: int
    most_steps: int


_State = tuple[GridCell, bool | None, Sequence[Try]]


def tables(runs: Runs) -> Mapping[str, Sequence[SettingRow | CellRow]]:
    """A row for each setting; and one for each cell, in a table of its own."""
    found = list(states(runs))
    whole = runs.scale == SCALES[-1]
    data = [
        _setting_row(name, [each for each in found if each[0].setting == name], whole)
        for name in (*ROBUST, *LESS_ROBUST)
    ]
    cells = [
        CellRow(*cell, _WORDS[solvable], _solved_at(tries), len(tries), max((each.steps for each in tries), default=0))
        for cell, solvable, tries in found
    ]
    return {"data": [row for row in data if row.cells], "cells": cells}


def notes(runs: Runs) -> list[str]:
    """The cells that are not solvable, and how many are not decided."""
    found = list(states(runs))
    refuted = [cell for cell, solvable, _ in found if solvable is False]
    names = (
        f"({_short(cell.setting)}) at ({cell.n}, {cell.k}), B={cell.batch_size:,}, "
        f"{cell.initialization}, {cell.loss.replace('_', ' ')}"
        for cell in sorted(refuted)
    )
    return [
        f"not solvable: {'; '.join(names) or 'none'}",
        f"undecided: {_count(found, None):,} of {len(found):,} cells, see cells.csv",
    ]


_WORDS = {True: "yes", False: "no", None: "undecided"}


def _solved_at(tries: Sequence[Try]) -> float | None:
    return next((each.lr for each in tries if each.solved >= NEEDED), None)


def _setting_row(name: str, found: Sequence[_State], whole: bool) -> SettingRow:
    estimate = _share(found, whole)
    counts = {"solvable": True, "not_solvable": False, "undecided": None}
    by_state = {column: _count(found, state) for column, state in counts.items()}
    return SettingRow(_short(name), len(found), **by_state, low=estimate.low, high=estimate.high)


def _count(found: Sequence[_State], state: bool | None) -> int:
    """How many cells are in a state: solvable, not solvable, or undecided."""
    return sum(solvable is state for _, solvable, _ in found)


def _short(setting: str) -> str:
    """The paper's name of a setting.

    Example:
        >>> _short("star-ii")
        '*ii'
    """
    return setting.replace("star-", "*")


def _share(found: Sequence[_State], whole: bool) -> Estimate:
    """The share of cells that are known to be solvable; its interval has room for what those undecided may be.

    Args:
        found: The cells.
        whole: Whether these are all cells there are, so that nothing is left to chance.
    """
    count, solvable, undecided = len(found), _count(found, True), _count(found, None)
    if not count:
        return Estimate("none drawn", n=0)
    low, high = solvable / count, (solvable + undecided) / count
    if not whole:
        low, high = share_interval(solvable, count)[0], share_interval(solvable + undecided, count)[1]
    return Estimate(solvable / count, low, high, n=count, censored=undecided)


def claims(runs: Runs) -> list[Claim]:
    """Each setting's cells are solvable; those of (*i) to (*iii) where B is at least 16."""
    found, whole = list(states(runs)), runs.scale == SCALES[-1]
    robust = [each for each in found if each[0].setting in ROBUST]
    made = [_all_solvable("all", "(i) to (xv): share of cells known to be solvable", _QUOTE, robust, whole)]
    # Not those that were decided: most cells can only be decided by being solvable.
    full = [each for each in robust if steps_within(BUDGETS[runs.scale][-1], each[0]) == MOST_STEPS]
    text = "(i) to (xv): the same of cells whose trials may have all 100,000 steps (rule changed after a first look)"
    made.append(Claim.at_least(Statement("full", text, _SECTION, _QUOTE, 1.0), _share(full, whole), 0.9, tolerance=0.1))
    for name in (*ROBUST, *LESS_ROBUST):
        own = [each for each in found if each[0].setting == name]
        text = f"({_short(name)}): share of cells known to be solvable"
        if name in ROBUST:
            made.append(_all_solvable(name, text, _QUOTE, own, whole))
        else:
            large = [each for each in own if each[0].batch_size >= _ENOUGH]
            made.append(_all_solvable(name, f"{text}, B >= {_ENOUGH}", _LESS, large, whole))
    return made


def _all_solvable(name: str, text: str, quote: str, found: Sequence[_State], whole: bool) -> Claim:
    """The claim that every cell is solvable."""
    statement = Statement(name, text, _SECTION, quote, 1.0)
    if not found:
        return Claim.not_attempted(statement, "no cell of it was drawn at this scale")
    rule = (
        f"holds if every cell that was drawn is solvable and the lower end is at least {_LEAST:g}, so of 11 cells or "
        "more; does not hold if one is not solvable; undecided cells are those called censored"
    )
    share = _share(found, whole)
    supported = all(solvable for _, solvable, _ in found) and share.ends[0] >= _LEAST
    refuted = any(solvable is False for _, solvable, _ in found)
    return Claim.decided(statement, share, rule, supported=supported, refuted=refuted)


_LEAST = 0.7


_AXES: Mapping[str, Callable[[GridCell], object]] = {
    "n": lambda cell: cell.n,
    "k": lambda cell: cell.k,
    "initialization": lambda cell: cell.initialization,
    "loss": lambda cell: cell.loss.replace("_", " "),
    "B": lambda cell: cell.batch_size,
}


def draw(runs: Runs, figure: Figure) -> None:
    """Draws how many cells of each setting are solvable, and the shares by everything else."""
    found = list(states(runs))
    left, right = figure.subplots(1, 2, width_ratios=[1, 1.1])
    names = [name for name in (*ROBUST, *LESS_ROBUST) if any(cell.setting == name for cell, *_ in found)]
    _bars(left, [(f"({_short(name)})", _of(found, lambda c: c.setting, name)) for name in names], 1.0)
    left.set_title(f"Cells of each setting, {len(found):,} drawn")
    left.set_xlabel("cells")
    left.xaxis.set_major_locator(MaxNLocator(integer=True))
    rows: list[tuple[str, list[_State]]] = []
    for axis, value_of in _AXES.items():
        values = sorted({value_of(cell) for cell, *_ in found}, key=lambda value: (not isinstance(value, int), value))
        rows += [(f"{axis} = {value}", _of(found, value_of, value)) for value in values]
    _bars(right, rows, None)
    right.set_title("Share by everything else")
    right.set_xlabel("share of cells")
    legend_below(figure, left)


def _of(found: Sequence[_State], value_of: Callable[[GridCell], object], value: object) -> list[_State]:
    return [each for each in found if value_of(each[0]) == value]


def _bars(axes: Axes, rows: Sequence[tuple[str, Sequence[_State]]], unit: float | None) -> None:
    """A bar for each row: solvable, undecided, and not solvable; of length 1 if there is no unit."""
    kinds = ((True, BLUE, "solvable"), (None, "0.85", "undecided"), (False, VERMILION, "not solvable"))
    for place, (_, found) in enumerate(rows):
        begin = 0.0
        for kind, color, _ in kinds:
            width = _count(found, kind) * (unit or 1 / len(found))
            axes.barh(place, width, left=begin, color=color, height=0.75)
            begin += width
    for _, color, label in kinds:
        axes.plot([], [], "s", color=color, markersize=8, label=label)
    axes.set_yticks(range(len(rows)), [label for label, _ in rows])
    axes.invert_yaxis()
    axes.tick_params(axis="y", length=0)


FIGURE = PaperFigure(
    "Robustness: which cells of a large grid are solvable",
    plan,
    claims,
    draw,
    _CHOICES,
    (11.0, 7.5),
    then=next_cells,
    tables=tables,
    notes=notes,
)
