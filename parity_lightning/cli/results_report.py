"""What ``results`` prints and draws, and ``sweep`` in the end."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from parity_lightning.display.heading import conditions, heading
from parity_lightning.display.power_law_lines import power_laws
from parity_lightning.display.table import format_table, format_value
from parity_lightning.statistics.scaling import Course, courses_of
from parity_lightning.statistics.survival import quantile_of, solved_share
from parity_lightning.studies.results import LEARNING_RATE, Group, Results

_MOST_ROWS = 40
_MOST_FOR_LAWS = 5_000


def report_results(results: Results, by: Sequence[str] | None = None, against: str | None = None) -> Iterator[str]:
    """The lines of a report: what was run, a table, power laws, and the paper's rule.

    Args:
        results: The cells.
        by: Columns whose values tell groups apart; by default every cell is a row.
        against: The number that power laws are fitted against; by default the one with the most values.
    """
    rows = [{**results.shared, **own} for own in results.own] if len(results.own) <= _MOST_FOR_LAWS else []
    if rows:
        yield ", ".join([heading(rows), *conditions(rows)])
    done, solved = results.counts()
    total = len(results.own) * results.trials
    yield f"{int(done.sum()):,} of {total:,} trials of {len(results.own):,} settings; {int(solved.sum()):,} solved"
    groups = results.groups(by)
    yield table(groups)
    yield from power_laws(courses_of_groups(groups, against))
    yield from _rule(results)
    early = int(((done > 0) & (done < results.trials)).sum())
    if early:
        yield f"{early:,} settings have fewer trials than {results.trials}: their shares are of those that were run."
    yield "Unsolved trials are censored. Intervals are exact, at 95 %: of the binomial share, and of order statistics."


def courses_of_groups(groups: Sequence[Group], against: str | None = None) -> list[Course]:
    """The courses of groups along a number, with their power laws; none of very many groups."""
    if len(groups) > _MOST_FOR_LAWS or not (groups := [group for group in groups if len(group.times)]):
        return []
    settings = [{**group.values, "max_steps": group.max_steps} for group in groups]
    return courses_of(settings, list(groups[0].values), [group.times for group in groups], against)


def table(groups: Sequence[Group]) -> str:
    """Groups as a table for a terminal."""
    names = list(groups[0].values)
    several = any(group.cells > 1 for group in groups)
    rows = []
    for group in groups[:_MOST_ROWS]:
        values = [_short(group.values[name]) for name in names]
        counts = [group.cells] if several else []
        times = group.times
        if not len(times):
            rows.append([*values, *counts, "-", "-", "-"])
            continue
        share, median = solved_share(times), quantile_of(times)
        solved = f"{round(share.value * len(times)):,}/{len(times):,}"
        ends = f"{100 * share.value:.0f} % ({100 * share.low:.0f} to {100 * share.high:.0f})"
        rows.append([*values, *counts, solved, ends, median.in_words()])
    headers = [*names, *(["settings"] if several else []), "solved", "share", "median t_c"]
    lines = [format_table(rows, headers)]
    if len(groups) > _MOST_ROWS:
        lines.append(f"... and {len(groups) - _MOST_ROWS:,} more: choose by --where, or put together by --group_by")
    return "\n".join(lines)


def _short(value: object) -> str:
    """A value of a cell; a configuration by the name of its file, a class by its own."""
    text = format_value(value)
    if text.endswith((".yaml", ".yml")):
        return Path(text).stem
    return text.rpartition(".")[2] if isinstance(value, str) and value.count(".") and " " not in value else text


def _rule(results: Results) -> Iterator[str]:
    rule = results.rule()
    count = sum(rule)
    where = "at one learning rate or more" if LEARNING_RATE in results.varied else "at the learning rate given"
    left = f", {rule.open:,} not known yet" if rule.open else ""
    yield (
        f"The paper's rule (20 % of the trials, {where}): {rule.solvable:,} of {count:,} configurations solvable{left}."
    )
