"""Whole runs of a figure, whose curves are drawn: each is a ``fit``, and its ``metrics.csv`` is kept."""

from __future__ import annotations

import csv
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from parity_lightning.cli.fit_once import fit_quietly
from parity_lightning.cli.fit_settings import command_line
from parity_lightning.figures.runs import Curve
from parity_lightning.studies.cells import Cell


def curve_file(folder: Path, key: str, seed: int) -> Path:
    """Where the curves of a run are kept.

    Args:
        folder: That of all curves of a figure.
        key: The name of the setting.
        seed: The seed of the run.
    """
    return folder / f"{key}-seed{seed}.csv"


def run_curves(
    folder: Path, cells: Sequence[Cell], keys: Sequence[str], seeds: Sequence[int], compiled: bool = True
) -> Iterator[str]:
    """Makes the runs whose curves are not there yet.

    Args:
        folder: Where curves are kept.
        cells: The settings.
        keys: Their names.
        seeds: The seeds of the runs of each.
        compiled: Whether steps are compiled, where that can be.

    Yields:
        A line for each run that is made, before it is.

    Raises:
        RunError: If a run is refused.
    """
    # As in trials, whose numbers they then have, bit for bit.
    beside = [f"--model.compile_after={0 if compiled else 'null'}"]
    missing = [
        (number, seed)
        for number in range(len(cells))
        for seed in seeds
        if not curve_file(folder, keys[number], seed).is_file()
    ]
    for count, (number, seed) in enumerate(missing, 1):
        yield f"curve {count:,} of {len(missing):,}: seed {seed}"
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder) as place:
            options = [*command_line((), cells[number]), f"--seed_everything={seed}", *beside]
            fit_quietly(options, Path(place))
            (metrics,) = Path(place).glob("*/metrics.csv")
            shutil.move(metrics, curve_file(folder, keys[number], seed))


def read_curve(path: Path) -> Curve:
    """The columns of a ``metrics.csv``, NaN where there is no value."""
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    return {name: np.array([float(row[name] or "nan") for row in rows]) for name in rows[0]}
