"""Whole runs of a figure, whose curves are drawn: each is a ``fit``, and its ``metrics.csv`` is kept."""

from __future__ import annotations

import csv
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch

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


Wanted = tuple[int, int]
"""The place of a setting, and the seed of a run."""


def missing_curves(folder: Path, keys: Sequence[str], seeds: Sequence[int]) -> list[Wanted]:
    """The runs whose curves are not there yet.

    Args:
        folder: Where curves are kept.
        keys: The names of the settings.
        seeds: The seeds of the runs of each.
    """
    return [
        (place, seed) for place, key in enumerate(keys) for seed in seeds if not curve_file(folder, key, seed).is_file()
    ]


def run_curves(
    folder: Path, cells: Sequence[Cell], keys: Sequence[str], missing: Sequence[Wanted], compiled: bool = True
) -> Iterator[str]:
    """Makes runs of ``fit`` and keeps their curves.

    Args:
        folder: Where curves are kept.
        cells: The settings.
        keys: Their names.
        missing: Which runs.
        compiled: Whether steps are compiled, where that can be.

    Yields:
        A line for each run that is made, before it is.

    Raises:
        RunError: If a run is refused.
    """
    # As in trials, whose numbers they then have, bit for bit; on one thread, too.
    beside = [f"--model.compile_after={0 if compiled else 'null'}"]
    torch.set_num_threads(1)
    for count, (place, seed) in enumerate(missing, 1):
        yield f"curve {count:,} of {len(missing):,}: setting {place + 1:,} of {len(cells):,}, seed {seed}"
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder) as temporary:
            options = [*command_line((), cells[place]), f"--seed_everything={seed}", *beside]
            fit_quietly(options, Path(temporary))
            (metrics,) = Path(temporary).glob("*/metrics.csv")
            shutil.move(metrics, curve_file(folder, keys[place], seed))


def read_curve(path: Path) -> Curve:
    """The columns of a ``metrics.csv``, NaN where there is no value."""
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    return {name: np.array([float(row[name] or "nan") for row in rows]) for name in rows[0]}
