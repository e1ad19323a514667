"""What a whole short run of `fit` costs beside importing Lightning and training.

A fresh process each time, three kinds in turn: one that imports Lightning and PyTorch and ends, a run of
configs/online.yaml, and one that has to compile the steps in C++ first. Training is what the run's summary.json calls
elapsed_seconds. What is left is parsing, our own imports, making the objects, and writing files and the picture.
Medians with the range of all processes, by the clock and by the processor.

    python benchmarks/fit_seconds.py
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from new_user import clocks

_CONFIG = Path(__file__).parent.parent / "configs" / "online.yaml"


class Seconds(NamedTuple):
    """What a process took."""

    clock: float
    processor: float


def measured(command: Sequence[str], **environment: str) -> Seconds:
    """Runs a process to its end."""
    began = clocks()
    subprocess.run(command, check=True, capture_output=True, env=os.environ | environment)
    return Seconds(*(clocks() - began))


def fit(folder: Path, **environment: str) -> tuple[Seconds, float]:
    """What a run takes, and of that what training does by the clock."""
    options = ["fit", f"--config={_CONFIG}", f"--trainer.default_root_dir={folder}", "--quiet"]
    run = measured([sys.executable, "-m", "parity_lightning", *options], **environment)
    (summary,) = folder.glob("*/summary.json")
    return run, json.loads(summary.read_text())["elapsed_seconds"]


def median_and_range(values: Sequence[float]) -> str:
    """A median and the range."""
    return f"{statistics.median(values):.2f} s ({min(values):.2f} to {max(values):.2f})"


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--processes", type=int, default=5)
    options = parser.parse_args()
    imports, runs, training, first = [], [], [], []
    for number in range(options.processes + 1):
        imported = measured([sys.executable, "-c", "import torch, lightning.pytorch"])
        with tempfile.TemporaryDirectory() as folder:
            run, elapsed = fit(Path(folder, "warm"))
            (cache := Path(folder, "cache")).mkdir(mode=0o700)
            cold, _ = fit(Path(folder, "cold"), PARITY_LIGHTNING_CACHE=str(cache))
        # The first process of each kind reads files that are not in memory yet.
        if number:
            imports.append(imported)
            runs.append(run)
            training.append(elapsed)
            first.append(cold)
    for kind in Seconds._fields:
        own = [getattr(each, kind) for each in imports]
        whole = [getattr(each, kind) for each in runs]
        beside = [run - each - trained for run, each, trained in zip(whole, own, training, strict=True)]
        print(f"by the {kind}: fit {median_and_range(whole)}")
        print(f"  importing {median_and_range(own)}, training {median_and_range(training)}")
        print(f"  beside importing and training {median_and_range(beside)}")
        print(f"  with nothing compiled {median_and_range([getattr(each, kind) for each in first])}")


if __name__ == "__main__":
    main()
