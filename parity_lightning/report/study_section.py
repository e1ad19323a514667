"""Trials on the page, of a file or of a sweep's store: shares, times, curves, power laws and how to repeat them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np

from parity_lightning.display.heading import conditions, heading
from parity_lightning.display.power_law_lines import power_laws
from parity_lightning.display.table import short_value
from parity_lightning.report.downloads import Download, download_list
from parity_lightning.report.drawing import Drawing
from parity_lightning.report.markup import Child, Markup, joined, tag
from parity_lightning.report.repeating import Repeat
from parity_lightning.report.section import command, facts, part, settings
from parity_lightning.report.tables import Cell, csv_of, table
from parity_lightning.report.time_figures import MOST_LINES, scaling_figure, times_figure
from parity_lightning.statistics.survival import quantile_of, solved_share
from parity_lightning.studies.results import Group, Results, Stored, scaling_curves_of_groups
from parity_lightning.studies.settings import Settings

_QUANTILES = (0.1, 0.5, 0.9)
_MOST_ROWS = 500
_CENSORED = (
    "Unsolved trials are censored, not left out. Intervals are exact, at 95 %: of the binomial share, and between "
    "order statistics of the times."
)


class StoredWithRows(Stored, Protocol):
    """A study on disk, with what the page says beside its results."""

    @property
    def settings(self) -> Sequence[Settings]:
        """What decides the trials of each cell."""
        ...

    def computed(self) -> list[str]:
        """How trials were computed."""
        ...

    def failures(self) -> list[tuple[int, str]]:
        """How often cells have failed that did, and why the last time."""
        ...


class StudySection(ABC):
    """What came of many trials.

    Args:
        study: They, on disk; nothing is read from it later.
        given: How it was named.
    """

    kind = "study"

    def __init__(self, study: StoredWithRows, given: str) -> None:
        self.path = given
        self.results = Results.of(study)
        self._extent = study.extent
        self._computed = study.computed()
        self._failures = study.failures()
        self._rows: list[dict[str, Any]] = [{**study.shared, **each} for each in study.own]
        cells = study.settings
        self.repeat = Repeat.of(cells, study.extent)
        self._version = cells[0].values.get("version") if cells else None

    @property
    def title(self) -> str:
        """The networks and the parities."""
        return heading(self._rows)

    @property
    def outcome(self) -> str:
        """How many trials there are, how many are solved and, of one setting, the median."""
        done, solved = self.results.counts()
        of = f" of {len(done):,} settings" if len(done) > 1 else ""
        missing = len(done) * self._extent.trials - int(done.sum())
        left = f", {missing:,} more not run" if missing else ""
        median = ""
        if len(done) == 1 and done[0]:
            median = f"; median t_c {quantile_of(self.results.times[0]).in_words()}"
        return f"{int(solved.sum()):,} of {int(done.sum()):,} trials{of} solved{left}{median}"

    @abstractmethod
    def downloads(self) -> list[Download]:
        """The files that hold its trials."""

    @abstractmethod
    def how_to_repeat(self) -> Markup:
        """The command line that makes the same."""

    def body(self, drawing: Drawing) -> Markup:
        """All that is said of it."""
        groups = self.results.groups()
        curves = scaling_curves_of_groups(groups)
        limit = max((group.max_steps for group in groups), default=1)
        headers, rows = self._table(groups[:_MOST_ROWS])
        several = len(groups) > 1
        return joined(
            facts(self._facts()),
            part("Settings and their times" if several else "Times", self._times_table(headers, rows, len(groups))),
            part("How times grow", drawing.draw(scaling_figure(curves, limit)), *_laws(curves)) if curves else None,
            part("Curves", *self._curves(drawing, groups)),
            self._rule(),
            part("Run it again", self.how_to_repeat()),
            settings("All settings that all trials share", self.repeat.common),
            part("Data", download_list([*self.downloads(), *self._made(headers, rows)])),
        )

    def _facts(self) -> list[tuple[str, Child]]:
        extent, first = self._extent, self._extent.first_seed
        seeds = f"{first}" if extent.trials == 1 else f"{first} to {first + extent.trials - 1:,}"
        return [
            ("solved", self.outcome),
            ("trained", ", ".join(conditions(self._rows))),
            ("what varies", ", ".join(self.results.varied)),
            (
                "trials of each setting",
                f"{extent.trials:,}" + ("" if extent.decided_at is None else ", or fewer where decided"),
            ),
            ("seeds", f"{seeds}: trial j is fit with --seed_everything {first}+j"),
            ("computed", "; ".join(self._computed)),
            ("version of parity-lightning", self._version),
            ("failed settings", f"{len(self._failures):,}: {self._failures[0][1]}" if self._failures else None),
        ]

    def _table(self, groups: Sequence[Group]) -> tuple[list[str], list[list[object]]]:
        names = self.results.varied
        rows: list[list[object]] = []
        for group in groups:
            values: list[object] = [_value(group.values[name]) for name in names]
            times = group.times
            if not len(times):
                rows.append([*values, 0, None, None, None, None])
                continue
            share = solved_share(times)
            ends = f"{100 * share.value:.1f} % ({100 * share.low:.1f} to {100 * share.high:.1f})"
            low, middle, high = (quantile_of(times, quantile) for quantile in _QUANTILES)
            words = (f"{end.value:,g}" if np.isfinite(end.value) else "unsolved" for end in (low, high))
            first, last = words
            rows.append(
                [
                    *values,
                    len(times),
                    Cell(ends, share.value),
                    Cell(first, low.value),
                    Cell(middle.in_words(), middle.value),
                    Cell(last, high.value),
                ]
            )
        return [*names, "trials", "solved (95 %)", "t_c: 10 %", "median t_c (95 %)", "90 %"], rows

    def _times_table(self, headers: Sequence[str], rows: Sequence[Sequence[object]], total: int) -> Markup:
        caption = "Share solved and convergence times in SGD steps" + (", a row for each setting" if total > 1 else "")
        more = f"The first {len(rows):,} of {total:,} settings; all are in the data." if total > len(rows) else None
        note = tag("p", more, " " if more else None, _CENSORED, class_="note")
        return joined(table(caption, headers, rows), note)

    def _curves(self, drawing: Drawing, groups: Sequence[Group]) -> list[Markup]:
        groups = [group for group in groups if len(group.times)]
        if not groups:
            return [tag("p", "No trial has been run yet.")]
        # Of many some, evenly spread over the plan.
        count = min(len(groups), MOST_LINES)
        places = sorted({round(place) for place in np.linspace(0, len(groups) - 1, count).tolist()})
        chosen = [groups[place] for place in places]
        every = int(self._rows[0].get("val_check_interval") or 1)
        figure = times_figure(
            [group.values for group in chosen], [group.times for group in chosen], every, [g.max_steps for g in chosen]
        )
        some = (
            f"{len(chosen)} of {len(groups):,} settings, spread evenly over the plan." if len(groups) > count else None
        )
        return [drawing.draw(figure), *([tag("p", some, class_="note")] if some else [])]

    def _rule(self) -> Markup | None:
        return part("The paper's rule", tag("p", self.results.rule_in_words())) if len(self.results.own) > 1 else None

    def _made(self, headers: Sequence[str], rows: Sequence[Sequence[object]]) -> list[Download]:
        """What the page brings beside the trials."""
        files = [Download("settings.yaml", self.repeat.configuration, "the settings that all trials share")]
        return [*files, Download("table.csv", csv_of(headers, rows), "the table above, numbers in full")]


def repeat_or(repeat: Repeat, otherwise: str, about: str) -> Markup:
    """The command that makes the same trials; of settings that no options of ``trials`` make, what is said instead."""
    if repeat.line is None:
        return command(otherwise, about)
    return command(repeat.line, "With settings.yaml, which is below.")


def _value(value: object) -> object:
    return Cell(short_value(value), value) if isinstance(value, str) else value


def _laws(curves: Sequence[Any]) -> list[Markup]:
    lines = list(power_laws(curves))
    return [tag("ul", *(tag("li", line) for line in lines), class_="laws")] if lines else []
