"""The cells of a study: combinations of values of options, enumerated by index.

A cell is a mapping from options of ``fit`` to values. Which cell has an index is a pure function of the index, so a
study of a million cells takes no more memory than its axes, and every machine enumerates the same cells.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple, Protocol, overload

import numpy as np

from parity_lightning.errors import SettingError

Cell = dict[str, Any]
"""Values by the options that have them."""

_MOST_CELLS = 10_000_000
_TRIES = 100


class Distribution(Protocol):
    """What values of an option are drawn from."""

    def draw(self, random: np.random.Generator) -> Any:
        """Draws a value, as plain JSON has it."""
        ...


class _Cells(Sequence[Cell]):
    """Cells, of which each is made when it is asked for."""

    def __len__(self) -> int:
        raise NotImplementedError

    def _cell(self, index: int) -> Cell:
        raise NotImplementedError

    @overload
    def __getitem__(self, index: int) -> Cell: ...

    @overload
    def __getitem__(self, index: slice) -> list[Cell]: ...

    def __getitem__(self, index: int | slice) -> Cell | list[Cell]:
        if isinstance(index, slice):
            return [self._cell(place) for place in range(*index.indices(len(self)))]
        if not -len(self) <= index < len(self):
            raise IndexError(index)
        return self._cell(index % len(self))


class Grid(_Cells):
    """All combinations of values, the last option's changing fastest.

    Args:
        axes: The values of each option.

    Raises:
        SettingError: If there are more than ten million.

    Example:
        >>> grid = Grid({"data.k": [2, 3], "data.n": [10, 20, 30]})
        >>> len(grid), grid[1], grid[5]
        (6, {'data.k': 2, 'data.n': 20}, {'data.k': 3, 'data.n': 30})
        >>> Grid({})[0]
        {}
    """

    def __init__(self, axes: Mapping[str, Sequence[Any]]) -> None:
        self.axes = {option: list(values) for option, values in axes.items()}
        self._count = math.prod(len(values) for values in self.axes.values())
        if self._count > _MOST_CELLS:
            raise SettingError("grid", f"{self._count:,} settings", f"more than {_MOST_CELLS:,}; give fewer values")

    def __len__(self) -> int:
        return self._count

    def _cell(self, index: int) -> Cell:
        cell = {}
        for option, values in reversed(self.axes.items()):
            index, place = divmod(index, len(values))
            cell[option] = values[place]
        return dict(reversed(cell.items()))


class Sampled(_Cells):
    """Cells drawn at random, all different: cell i depends on the seed and on i, and on no other machine or run.

    Args:
        axes: What the values of each option are drawn from.
        count: How many cells; more of them begin with the same ones.
        seed: Decides which.

    Raises:
        SettingError: If there are not so many different cells.

    Example:
        >>> class Coin:
        ...     def draw(self, random): return int(random.integers(2))
        >>> len(Sampled({"data.k": Coin()}, 2)), Sampled({"a": Coin(), "b": Coin()}, 4)[:2] == Sampled(
        ...     {"a": Coin(), "b": Coin()}, 2)[:]
        (2, True)
    """

    def __init__(self, axes: Mapping[str, Distribution], count: int, seed: int = 0) -> None:
        self.axes = dict(axes)
        self._drawn: dict[str, Cell] = {}
        for index in range(count):
            for attempt in range(_TRIES):
                # A number of its own for each cell and attempt, whatever the others were.
                random = np.random.default_rng([seed, index, attempt])
                cell = {option: distribution.draw(random) for option, distribution in self.axes.items()}
                if (name := json.dumps(cell, default=str)) not in self._drawn:
                    self._drawn[name] = cell
                    break
            else:
                found = len(self._drawn)
                raise SettingError("run_cap", count, f"only {found} different cells were found; give fewer")
        self._list = list(self._drawn.values())

    def __len__(self) -> int:
        return len(self._list)

    def _cell(self, index: int) -> Cell:
        return dict(self._list[index])


class Extent(NamedTuple):
    """How many trials each cell has, and when it needs no more.

    Attributes:
        trials: Trials of each cell.
        first_seed: The seed of the first of them; the others count on from it. Seeds are replicates and no options.
        decided_at: A cell with so many solved trials, or so many others that it cannot have them any more, is decided:
            whether at least that many of all its trials are solved no longer depends on those that are left, and
            these are not run. None: every trial is run.
    """

    trials: int
    first_seed: int = 0
    decided_at: int | None = None

    def is_decided(self, solved: int, done: int) -> bool:
        """Whether a cell needs no more trials.

        Example:
            >>> extent = Extent(trials=25, decided_at=5)
            >>> [extent.is_decided(*counts) for counts in [(5, 5), (4, 24), (0, 21), (0, 20), (4, 25)]]
            [True, False, True, False, True]
        """
        if done >= self.trials:
            return True
        return self.decided_at is not None and (
            solved >= self.decided_at or done - solved > self.trials - self.decided_at
        )


def options_of(cells: Sequence[Cell]) -> list[str]:
    """The options that cells have values of, in their order."""
    if isinstance(cells, (Grid, Sampled)):
        return list(cells.axes)
    return list(dict.fromkeys(option for cell in cells for option in cell))


def values_of(cells: Sequence[Cell], option: str) -> Iterator[Any]:
    """The different values of an option, in the order in which cells have them first."""
    if isinstance(cells, Grid):
        yield from cells.axes[option]
        return
    seen = set()
    for cell in cells:
        if option in cell and (name := json.dumps(cell[option], default=str)) not in seen:
            seen.add(name)
            yield cell[option]
