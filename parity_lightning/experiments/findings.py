"""What an experiment found: rows, claims and a picture, and how they are written into a folder."""

from __future__ import annotations

import csv
import dataclasses
import json
import math
import os
import platform
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from matplotlib.figure import Figure

import parity_lightning
from parity_lightning.display.style import draw_to
from parity_lightning.display.table import format_table
from parity_lightning.run_dir.atomic_write import atomic_write
from parity_lightning.run_dir.stopwatch import Stopwatch
from parity_lightning.studies.claims import Claim, all_hold

if TYPE_CHECKING:
    from _typeshed import DataclassInstance


class Row(Protocol):
    """A row of a table: a NamedTuple, whose fields are the columns."""

    @property
    def _fields(self) -> tuple[str, ...]: ...

    def _asdict(self) -> dict[str, Any]: ...


@dataclasses.dataclass(frozen=True)
class Findings:
    """What an experiment found.

    Attributes:
        rows: The table, all rows of one type; it is printed, and written to ``data.csv``.
        claims: What is claimed, and what was found.
        draw: Draws the picture into an empty figure.
        choices: Settings that the paper does not state: ours.
        more: Other tables for files of their own, by name, such as single trials or trajectories.
        size: Width and height of the picture in inches.
        notes: What was found beside, in sentences.
        configs: The configurations that were run, by their names below ``configs``.
    """

    rows: Sequence[Row]
    claims: Sequence[Claim]
    draw: Callable[[Figure], None]
    choices: Sequence[str] = ()
    more: Mapping[str, Sequence[Row]] = dataclasses.field(default_factory=dict)
    size: tuple[float, float] = (8.0, 5.0)
    notes: Sequence[str] = ()
    configs: Sequence[str] = ()

    def table(self) -> str:
        """The rows as a table for a terminal."""
        return format_table([list(row._asdict().values()) for row in self.rows], self.rows[0]._fields)


def write_findings(
    folder: Path,
    name: str,
    options: DataclassInstance,
    findings: Findings,
    watch: Stopwatch,
    command: str | None = None,
    scale: str | None = None,
    formats: Sequence[str] = ("png",),
) -> None:
    """Writes what was found into a folder.

    ``verdict.json`` has the options, each claim with its rule, the paper's value, ours and the verdict, and the
    settings that the paper does not state. ``data.csv`` has the rows; each other table has a CSV file of its own, and
    the picture is called after the experiment.

    Args:
        folder: An empty folder.
        name: The experiment's name.
        options: What it was run with.
        findings: What was found.
        watch: What it took.
        command: The command line that does the same again; made from the options unless given.
        scale: At which scale it was run, if there are several.
        formats: The endings of the files that the picture is drawn into.
    """
    for title, rows in {"data": findings.rows, **findings.more}.items():
        with atomic_write(folder / f"{title}.csv") as new, new.open("w", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(rows[0]._fields)
            writer.writerows(row._asdict().values() for row in rows)
    for ending in formats:
        draw_to(folder / f"{name}.{ending}", findings.draw, findings.size)
    command = command or command_of(name, options)
    choices = list(findings.choices)
    beside = {"scale": scale, "choices": choices, "command": command}
    verdict = {
        "experiment": name,
        "version": parity_lightning.__version__,
        "command": command,
        "options": dataclasses.asdict(options),
        "scale": scale,
        "claims": [{**claim.as_dict(), **beside} for claim in findings.claims],
        "holds": all_hold(list(findings.claims)),
        "our_choices": choices,
        "notes": list(findings.notes),
        "configs": list(findings.configs),
        "seconds": round(watch.seconds, 1),
        "core_seconds": round(watch.core_seconds, 1),
        "machine": f"{platform.machine()}, {os.cpu_count()} cores",
    }
    with atomic_write(folder / "verdict.json") as new:
        new.write_text(json.dumps(_plain(verdict), indent=2, allow_nan=False) + "\n")


def command_of(name: str, options: DataclassInstance) -> str:
    """The command line that runs an experiment with these options, those at their defaults left out."""
    given = (
        (field.name, getattr(options, field.name))
        for field in dataclasses.fields(options)
        if getattr(options, field.name) != field.default
    )
    return " ".join(["parity-lightning theory", name, *(f"--{option}={_argument(value)}" for option, value in given)])


def _argument(value: object) -> str:
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    return ",".join(map(str, value)) if isinstance(value, tuple) else str(value)


def _plain(value: Any) -> Any:
    """A value as JSON can hold it: of infinite numbers and NaN their names, of NumPy's numbers Python's."""
    if isinstance(value, Mapping):
        return {key: _plain(each) for key, each in value.items()}
    if isinstance(value, Iterable) and not isinstance(value, str):
        return [_plain(each) for each in value]
    number = value.item() if isinstance(value, np.generic) else value
    return str(number) if isinstance(number, float) and not math.isfinite(number) else number
