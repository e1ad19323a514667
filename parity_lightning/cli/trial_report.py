"""What ``trials`` prints in the end."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from parity_lightning.cli.paths import shown_path
from parity_lightning.cli.study_records import QUANTILES, law_records, setting_record
from parity_lightning.display.heading import conditions, heading
from parity_lightning.display.power_law_lines import power_laws
from parity_lightning.display.table import Table, format_table
from parity_lightning.statistics.scaling import ScalingCurve, scaling_curves
from parity_lightning.statistics.survival import quantile_of, solved_share
from parity_lightning.studies.trials_file import TrialsFile
from parity_lightning.terminal.output import path, record, show

_MOST_ROWS = 40


def report(file: TrialsFile, varied: Sequence[Mapping[str, Any]], output: str | None = None) -> None:
    """Prints a table, a row for each setting, and draws the convergence times.

    Args:
        file: Of trials that are all done.
        varied: What varies, by column, of each setting.
        output: The file that was asked for; None for one in a folder of its own.
    """
    times = file.convergence_times()
    settings = [{**each.row(), **own} for each, own in zip(file.settings, varied, strict=True)]
    names = list(varied[0])
    trials = f"{file.extent.trials:,} trials" + (" of each setting" if len(settings) > 1 else "")
    show(f"{', '.join([heading(settings), *conditions(settings)])}: {trials}")
    show(table(varied, times))
    curves = scaling_curves(settings, names, list(times))
    for line in power_laws(curves):
        show(line)
    # Matplotlib takes half a second to import.
    from parity_lightning.display.trials_picture import draw_trials

    picture = draw_trials(file.path.with_suffix(".png"), settings, names, times)
    path("picture", shown_path(picture, output))
    path("trials", shown_path(file.path, output))
    files = {"picture": picture, "trials": file.path}
    record("trials", files, lambda: record_of_trials(varied, times, curves))


def record_of_trials(
    varied: Sequence[Mapping[str, Any]], times: np.ndarray, curves: Sequence[ScalingCurve]
) -> dict[str, Any]:
    """The same as ``--json`` has it.

    Args:
        varied: What tells the settings apart.
        times: Convergence times of shape ``(settings, trials)``, infinite where a trial was not solved.
        curves: The medians along the number that varies.
    """
    settings = [setting_record(own, each) for own, each in zip(varied, times, strict=True)]
    return {"settings": settings, "power_laws": law_records(curves)}


def table(settings: Sequence[Mapping[str, Any]], times: np.ndarray) -> Table:
    """Convergence times as a table for a terminal.

    Args:
        settings: What tells the settings apart.
        times: Convergence times of shape ``(settings, trials)``, infinite where a trial was not solved.

    Example:
        >>> print(table([{}], np.array([[10.0, 20.0, 30.0, np.inf]])))
        solved (95 %)          t_c: 10 %  median (95 %)                        90 %
        75.0 % (19.4 to 99.4)  10         25 (too few trials for an interval)  unsolved
        <BLANKLINE>
        Unsolved trials are censored. Intervals are exact: of the binomial share, and of order statistics.
    """
    names = list(settings[0])
    rows = []
    for setting, own in list(zip(settings, times, strict=True))[:_MOST_ROWS]:
        share = solved_share(own)
        low, middle, high = (quantile_of(own, quantile) for quantile in QUANTILES)
        message = f"{share.value:.1%} ({100 * share.low:.1f} to {100 * share.high:.1f})".replace("%", " %", 1)
        ends = (f"{end.value:,g}" if np.isfinite(end.value) else "unsolved" for end in (low, high))
        first, last = ends
        rows.append([*(str(setting[name]) for name in names), message, first, middle.in_words(), last])
    headers = [*names, "solved (95 %)", "t_c: 10 %", "median (95 %)", "90 %"]
    told = format_table(rows, headers)
    lines: list[str] = [told]
    if len(settings) > _MOST_ROWS:
        lines.append(f"... and {len(settings) - _MOST_ROWS:,} more settings, in the file")
    lines += ["", "Unsolved trials are censored. Intervals are exact: of the binomial share, and of order statistics."]
    return Table("\n".join(lines), told.head)
