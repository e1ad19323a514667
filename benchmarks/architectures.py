"""Every setting of the paper, 25 seeds each, as a table in docs/architectures.md.

    python benchmarks/architectures.py                    # all of it; goes on where it was interrupted
    python benchmarks/architectures.py --only i xv        # some settings, printed only

Each row is `parity-lightning trials --config configs/architectures/NAME.yaml --trials 25`, with another k or learning
rate where it says so, for seeds 0 to 24: a seed decides support, examples and initial weights. Unsolved trials are
censored, not dropped. Trials are kept in runs/architectures/, and each is run once for a given configuration.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import math
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import yaml
from published import PUBLISHED

from parity_lightning import run_trials
from parity_lightning.statistics.survival import quantile_of

ROOT = Path(__file__).parents[1]
CONFIGS = ROOT / "configs" / "architectures"
PAGE = ROOT / "docs" / "architectures.md"
KEPT = ROOT / "runs" / "architectures"

SETTINGS = (
    *("i", "ii", "iii", "iv", "v", "vi", "vii", "viii", "ix", "x", "xi", "xii", "xiii", "xiv", "xv"),
    *("star-i", "star-ii", "star-iii", "disjoint-polynet"),
)
# Settings of which the paper has published medians.
PUBLISHED_OF = {"ii": "relu_mlp", "v": "poly_mlp", "xiv": "sinusoid", "xv": "polynet"}
# The configurations' learning rates are the paper's where it has one; these are of its Finding 1.
OTHER_RATES = {"xv": "0.1", "star-iii": "0.001"}


class Cell(NamedTuple):
    """One row of trials: a configuration and what is changed in it."""

    name: str
    k: int = 3
    lr: str | None = None

    @property
    def options(self) -> dict[str, Any]:
        """Options beside the configuration file."""
        config = load(self.name)
        n, interval = config["data"]["init_args"]["n"], config["trainer"]["val_check_interval"]
        options: dict[str, Any] = {"data.k": self.k}
        if self.k != 3:
            # Of its 21 inputs a disjoint-PolyNet of 2 or 4 blocks leaves one out.
            options["data.n"] = n - n % self.k
        if self.k == 4:
            options["trainer.val_check_interval"] = max(interval, 10)
        if self.lr is not None:
            options["model.optimizer.lr"] = float(self.lr)
        return options

    @property
    def key(self) -> str:
        """Tells configurations apart by what they say, not by their comments and their own seed."""
        config = {name: settings for name, settings in load(self.name).items() if name != "seed_everything"}
        told = json.dumps([config, self.options])
        return f"{self.name}-k{self.k}-{hashlib.sha256(told.encode()).hexdigest()[:12]}"


@cache
def load(name: str) -> dict[str, Any]:
    content: dict[str, Any] = yaml.safe_load((CONFIGS / f"{name}.yaml").read_text())
    return content


Times = Mapping[Cell, list[float]]
"""The convergence times of each row's trials; infinity where one was stopped unsolved."""


def run(cell: Cell, seeds: int) -> list[float]:
    """Runs the trials of a row that are not kept yet."""
    KEPT.mkdir(parents=True, exist_ok=True)
    config, store = CONFIGS / f"{cell.name}.yaml", KEPT / f"{cell.key}.sqlite"
    own = {"trainer.accelerator": "cpu", "seed_everything": 0}
    table = run_trials(config, seeds, options=cell.options | own, store=store, progress=False)
    return [
        time if solved else math.inf for time, solved in zip(table["convergence_time"], table["solved"], strict=True)
    ]


def outcome(known: Times, cell: Cell) -> tuple[str, str]:
    """How many trials are solved, and the median with its interval."""
    if cell not in known:
        return "-", "-"
    return f"{sum(map(math.isfinite, known[cell]))} of {len(known[cell])}", str(quantile_of(known[cell]))


def published(name: str, n: int, k: int) -> str:
    return f"{PUBLISHED[PUBLISHED_OF[name]][k][n]:g}" if name in PUBLISHED_OF else ""


def rows_at_k3(known: Times, names: list[str]) -> Iterator[str]:
    yield "| setting | network | (n, k) | loss | initialization | B | η | solved | median t_c (95 %) | published |"
    yield "|---|---|---|---|---|---|---|---|---|---|"
    for name in names:
        config = load(name)
        model, data = config["model"]["init_args"], config["data"]["init_args"]
        header = (CONFIGS / f"{name}.yaml").read_text().splitlines()[0]
        what = header.rpartition(": ")[2].rstrip(".")
        where = f"| {label(name)} | {what} | ({data['n']}, 3) | {model['loss']} | {model['initialization']} "
        optimizer = model["optimizer"]["class_path"].rpartition(".")[2]
        for lr in (None, *([OTHER_RATES[name]] if name in OTHER_RATES else [])):
            solved, median = outcome(known, Cell(name, lr=lr))
            rate = lr or f"{model['optimizer']['init_args']['lr']:g}"
            adam = " (Adam)" if optimizer == "Adam" else ""
            beside = published(name, data["n"], 3) if lr is None else ""
            yield f"{where}| {data['batch_size']} | {rate}{adam} | {solved} | {median} | {beside} |"


def rows_by_k(known: Times, names: list[str]) -> Iterator[str]:
    yield "| setting | k = 2 | published | k = 3 | published | k = 4 | published |"
    yield "|---|---|---|---|---|---|---|"
    for name in names:
        parts = [label(name)]
        for k in (2, 3, 4):
            solved, median = outcome(known, Cell(name, k))
            parts += [f"{solved}: {median}", published(name, 20, k)]
        yield f"| {' | '.join(parts)} |"


def label(name: str) -> str:
    link = f"../configs/architectures/{name}.yaml"
    shown = f"({name.replace('star-', '*')})" if name != "disjoint-polynet" else name
    return f"[{shown}]({link})".replace("*", r"\*")


def write(section: str, rows: list[str]) -> None:
    """Puts a table between its two marks on the page."""
    marks = f"<!-- {section}: written by make architectures -->", f"<!-- end of {section} -->"
    table = "\n".join([marks[0], *rows, marks[1]])
    before, begin, rest = PAGE.read_text().partition(marks[0])
    _, end, after = rest.partition(marks[1])
    assert begin, f"{PAGE} has no place for {section}"
    assert end, f"{PAGE} has no end of {section}"
    PAGE.write_text(f"{before}{table}{after}")


def main() -> None:
    """Runs what is asked for and writes the tables."""
    parser = argparse.ArgumentParser(description="Every setting of the paper, 25 seeds each.")
    parser.add_argument("--only", nargs="+", choices=SETTINGS, default=list(SETTINGS))
    parser.add_argument("--degrees", nargs="+", type=int, choices=(2, 3, 4), default=[3, 2, 4])
    parser.add_argument("--seeds", type=int, default=25)
    arguments = parser.parse_args()
    cells = [Cell(name, k) for k in arguments.degrees for name in arguments.only]
    if 3 in arguments.degrees:
        cells += [Cell(name, lr=lr) for name, lr in OTHER_RATES.items() if name in arguments.only]
    known = {}
    for number, cell in enumerate(cells, 1):
        known[cell] = run(cell, arguments.seeds)
        print(f"{number} of {len(cells)}: {cell.name}, k={cell.k}", flush=True)
    tables = {
        "settings": list(rows_at_k3(known, arguments.only)),
        "degrees": list(rows_by_k(known, arguments.only)),
    }
    if set(arguments.only) == set(SETTINGS) and set(arguments.degrees) == {2, 3, 4} and arguments.seeds >= 25:
        for section, rows in tables.items():
            write(section, rows)
        return
    print("A part of it; the page stays as it is.")
    for rows in tables.values():
        print(*rows, sep="\n")


if __name__ == "__main__":
    main()
