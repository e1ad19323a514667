"""What ``results`` prints and writes as JSON, and ``sweep`` in the end."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from parity_lightning.cli.study_records import law_records, setting_record
from parity_lightning.display.heading import conditions, heading
from parity_lightning.display.power_law_lines import power_laws
from parity_lightning.display.table import Table, format_table, short_value
from parity_lightning.statistics.survival import quantile_of, solved_share
from parity_lightning.studies.results import MOST_FOR_LAWS, Group, Results, scaling_curves_of_groups

_MOST_ROWS = 40


def report_results(results: Results, by: Sequence[str] | None = None, against: str | None = None) -> Iterator[str]:
    """The lines of a report: what was run, a table, power laws, and the paper's rule.

    Args:
        results: The cells.
        by: Columns whose values tell groups apart; by default every cell is a row.
        against: The number that power laws are fitted against; by default the one with the most values.
    """
    rows = [{**results.shared, **own} for own in results.own] if len(results.own) <= MOST_FOR_LAWS else []
    if rows:
        yield ", ".join([heading(rows), *conditions(rows)])
    done, solved = results.counts()
    total = len(results.own) * results.trials
    yield f"{int(done.sum()):,} of {total:,} trials of {len(results.own):,} settings; {int(solved.sum()):,} solved"
    groups = results.groups(by)
    yield table(groups)
    yield from power_laws(scaling_curves_of_groups(groups, against))
    yield results.rule_in_words()
    early = int(((done > 0) & (done < results.trials)).sum())
    if early:
        yield f"{early:,} settings have fewer trials than {results.trials}: their shares are of those that were run."
    yield "Unsolved trials are censored. Intervals are exact, at 95 %: of the binomial share, and of order statistics."


def record_of_results(results: Results, by: Sequence[str] | None = None, against: str | None = None) -> dict[str, Any]:
    """The same as ``--json`` has it; the arguments are those of `report_results`."""
    groups = results.groups(by)
    settings = [{**setting_record(group.values, group.times), "settings": group.cells} for group in groups]
    return {
        "shared": results.shared,
        "trials_of_each": results.trials,
        "settings": settings,
        "power_laws": law_records(scaling_curves_of_groups(groups, against)),
        "rule": results.rule()._asdict(),
    }


def table(groups: Sequence[Group]) -> Table:
    """Groups as a table for a terminal."""
    names = list(groups[0].values)
    several = any(group.cells > 1 for group in groups)
    rows = []
    for group in groups[:_MOST_ROWS]:
        values = [short_value(group.values[name]) for name in names]
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
    told = format_table(rows, headers)
    lines: list[str] = [told]
    if len(groups) > _MOST_ROWS:
        lines.append(f"... and {len(groups) - _MOST_ROWS:,} more: choose by --where, or put together by --group_by")
    return Table("\n".join(lines), told.head)
