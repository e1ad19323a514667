"""What a study found: cells chosen and grouped, their shares and times, and the paper's rule."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np
import yaml

from parity_lightning.errors import SettingError, nearest
from parity_lightning.statistics.scaling import ScalingCurve, scaling_curves
from parity_lightning.studies.cells import Extent

LEARNING_RATE = "lr"

RULE_SHARE = 0.2
"""A configuration is called solvable if so many of its trials are solved at one learning rate (Section 3.1)."""

_CONDITION = re.compile(r"\s*([\w.]+)\s*(<=|>=|!=|=|<|>)\s*(.*?)\s*")
_COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "=": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


MOST_FOR_LAWS = 5_000
"""Of more groups no power laws are fitted."""


class Stored(Protocol):
    """A study on disk, a `StoredStudy` for example."""

    @property
    def extent(self) -> Extent:
        """How many trials each cell has."""
        ...

    @property
    def shared(self) -> Mapping[str, Any]:
        """What all cells have, by column."""
        ...

    @property
    def own(self) -> Sequence[Mapping[str, Any]]:
        """What each cell has beside, by column."""
        ...

    @property
    def varied(self) -> Sequence[str]:
        """The columns that vary in the plan."""
        ...

    def times(self) -> list[np.ndarray]:
        """The convergence times of each cell's trials that have a row, infinite where one was not solved."""
        ...


class Group(NamedTuple):
    """Cells that have the same values in some columns.

    Attributes:
        values: The values, by column.
        parts: The convergence times of each cell's trials that have a row, infinite where one was not solved.
        max_steps: After how many steps the first of the cells' trials are given up.
    """

    values: dict[str, Any]
    parts: list[np.ndarray]
    max_steps: int

    @property
    def cells(self) -> int:
        """How many cells these are."""
        return len(self.parts)

    @property
    def times(self) -> np.ndarray:
        """The convergence times of all of them."""
        return np.concatenate(self.parts)


class Rule(NamedTuple):
    """How many configurations are solvable by the paper's rule; one is all that varies but the learning rate.

    Attributes:
        solvable: For at least one learning rate, at least 20 % of the trials are solved.
        not_solvable: For no learning rate, and all trials have a row.
        open: Not known yet.
    """

    solvable: int
    not_solvable: int
    open: int


class Results:
    """Cells of a study with what came of their trials.

    Args:
        shared: What all cells have, by column.
        own: What each cell has beside, by column.
        times: The convergence times of each cell's trials that have a row, infinite where one was not solved.
        trials: How many trials each cell is to have.
        varied: The columns that vary in the plan.
        places: Which cells of the study these are.
    """

    def __init__(
        self,
        shared: Mapping[str, Any],
        own: Sequence[Mapping[str, Any]],
        times: Sequence[np.ndarray],
        trials: int,
        varied: Sequence[str],
        places: Sequence[int] | None = None,
    ) -> None:
        self.shared = shared
        self.own = own
        self.times = times
        self.trials = trials
        self.varied = list(varied)
        self.places = list(range(len(own)) if places is None else places)

    @classmethod
    def of(cls, study: Stored) -> Results:
        """The results of a study on disk."""
        return cls(study.shared, study.own, study.times(), study.extent.trials, study.varied)

    @property
    def columns(self) -> list[str]:
        """The columns there are, those that vary first."""
        return list(dict.fromkeys([*self.varied, *(name for row in self.own[:1] for name in row), *self.shared]))

    def value(self, place: int, column: str) -> Any:
        """What a cell has in a column."""
        return self.own[place].get(column, self.shared.get(column))

    def check_columns(self, option: str, columns: Sequence[str]) -> None:
        """Refuses names of columns that there are not."""
        for column in columns:
            if column not in self.columns:
                raise SettingError(option, column, f"no such column; {nearest(column, self.columns)}")

    def where(self, conditions: Sequence[str]) -> Results:
        """The cells that meet all conditions.

        Args:
            conditions: ``COLUMN=VALUE``, also with ``!=``, ``<``, ``<=``, ``>`` and ``>=``.

        Raises:
            SettingError: If one is none, or no cell meets them.

        Example:
            >>> results = Results({"loss": "hinge"}, [{"n": 10}, {"n": 20}], [np.array([5.0])] * 2, 1, ["n"])
            >>> results.where(["n >= 20", "loss=hinge"]).places
            [1]
        """
        kept = range(len(self.own))
        for text in conditions:
            match = _CONDITION.fullmatch(text)
            if match is None:
                raise SettingError("--where", text, "give COLUMN=VALUE, COLUMN>=VALUE and so on")
            column, sign, value = match[1], match[2], yaml.safe_load(match[3])
            self.check_columns("--where", [column])
            compare = _COMPARE[sign]
            try:
                kept = [place for place in kept if _holds(compare, self.value(place, column), value)]  # type: ignore[assignment]
            except TypeError:
                raise SettingError("--where", text, f"{column} has no order; compare it by = or !=") from None
        if not kept:
            raise SettingError("--where", " ".join(conditions), "holds for no setting of this study")
        own, times = [self.own[place] for place in kept], [self.times[place] for place in kept]
        return Results(self.shared, own, times, self.trials, self.varied, [self.places[place] for place in kept])

    def groups(self, by: Sequence[str] | None = None) -> list[Group]:
        """The cells, or groups of those that have the same values.

        Args:
            by: The columns; by default all that vary, so that each cell is a group of its own.

        Example:
            >>> own = [{"n": n, "lr": lr, "max_steps": 100} for n in (10, 20) for lr in (0.1, 1.0)]
            >>> results = Results({}, own, [np.array([5.0]), np.array([np.inf])] * 2, 1, ["n", "lr"])
            >>> [(group.values, group.cells, group.times.tolist()) for group in results.groups(["n"])][0]
            ({'n': 10}, 2, [5.0, inf])
        """
        by = self.varied if by is None else by
        self.check_columns("--group_by", by)
        return [
            Group(
                {column: self.value(own[0], column) for column in by},
                [self.times[place] for place in own],
                int(self.value(own[0], "max_steps") or 0),
            )
            for own in self._places(by)
        ]

    def _places(self, by: Sequence[str]) -> list[list[int]]:
        """The places of the cells that have the same values."""
        shared = [self.shared.get(column) for column in by]
        places: dict[tuple[Any, ...], list[int]] = {}
        for place, own in enumerate(self.own):
            places.setdefault(tuple(map(own.get, by, shared)), []).append(place)
        return list(places.values())

    def counts(self) -> tuple[np.ndarray, np.ndarray]:
        """How many trials of each cell have a row, and how many of them are solved."""
        done = np.array([len(times) for times in self.times])
        every = np.concatenate([np.array([0]), np.cumsum(np.isfinite(np.concatenate(self.times)))])
        ends = np.cumsum(done)
        return done, every[ends] - every[ends - done]

    def rule(self) -> Rule:
        """How many configurations are solvable by the paper's rule.

        Example:
            >>> own = [{"n": n, "lr": lr} for n in (10, 20) for lr in (0.1, 1.0)]
            >>> times = [np.full(5, np.inf), np.array([7.0, *[np.inf] * 4]), np.full(5, np.inf), np.full(2, np.inf)]
            >>> Results({}, own, times, 5, ["n", "lr"]).rule()
            Rule(solvable=1, not_solvable=0, open=1)
        """
        done, solved = self.counts()
        needed = np.ceil(RULE_SHARE * self.trials - 1e-9)
        solvable, hopeless = solved >= needed, done - solved > self.trials - needed
        # Solvable 2, open 1, not solvable 0: the best learning rate counts.
        verdicts = np.where(solvable, 2, np.where(hopeless, 0, 1)).tolist()
        others = [column for column in self.varied if column != LEARNING_RATE]
        found = [max(verdicts[place] for place in places) for places in self._places(others)]
        return Rule(found.count(2), found.count(0), found.count(1))

    def rule_in_words(self) -> str:
        """How many configurations are solvable by the paper's rule, in a line."""
        rule = self.rule()
        count = sum(rule)
        where = "at one learning rate or more" if LEARNING_RATE in self.varied else "at the learning rate given"
        left = f", {rule.open:,} not known yet" if rule.open else ""
        found = f"{rule.solvable:,} of {count:,} configurations solvable{left}."
        return f"The paper's rule (20 % of the trials, {where}): {found}"


def scaling_curves_of_groups(groups: Sequence[Group], against: str | None = None) -> list[ScalingCurve]:
    """The curves of groups along a number, with their power laws; none of very many groups."""
    if len(groups) > MOST_FOR_LAWS or not (groups := [group for group in groups if len(group.times)]):
        return []
    settings = [{**group.values, "max_steps": group.max_steps} for group in groups]
    return scaling_curves(settings, list(groups[0].values), [group.times for group in groups], against)


def _holds(compare: Callable[[Any, Any], bool], value: Any, other: Any) -> bool:
    if compare in (operator.eq, operator.ne):
        return compare(value, other) or (compare is operator.eq and str(value) == str(other))
    return value is not None and compare(value, other)
