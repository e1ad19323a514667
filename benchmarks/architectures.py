"""Every setting of the paper, 25 seeds each, as a table in docs/architectures.md.

    python benchmarks/architectures.py                    # all of it; goes on where it was interrupted
    python benchmarks/architectures.py --only i xv        # some settings, printed only

Each trial is `parity-lightning fit --config configs/architectures/NAME.yaml --seed_everything SEED`, for seeds 0 to 24:
a seed decides support, examples and initial weights. Unsolved trials are censored, not dropped. Trials are kept in
runs/architectures.jsonl, and each is run once for a given configuration.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import math
import multiprocessing
import os
import sys
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import yaml
from published import PUBLISHED

from parity_lightning.cli.fit_once import fit_once
from parity_lightning.statistics.survival import quantile_of

ROOT = Path(__file__).parents[1]
CONFIGS = ROOT / "configs" / "architectures"
PAGE = ROOT / "docs" / "architectures.md"
KEPT = ROOT / "runs" / "architectures.jsonl"

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
    def options(self) -> list[str]:
        """The command line, but for the seed."""
        config = load(self.name)
        n, interval = config["data"]["init_args"]["n"], config["trainer"]["val_check_interval"]
        options = [f"--config={CONFIGS / self.name}.yaml", f"--data.k={self.k}"]
        if self.k != 3:
            # Of its 21 inputs a disjoint-PolyNet of 2 or 4 blocks leaves one out.
            options += [f"--data.n={n - n % self.k}"]
        if self.k == 4:
            options += [f"--trainer.val_check_interval={max(interval, 10)}"]
        if self.lr is not None:
            options += [f"--model.optimizer.lr={self.lr}"]
        return options

    @property
    def key(self) -> str:
        """Tells configurations apart by what they say, not by their comments and their own seed."""
        config = {name: settings for name, settings in load(self.name).items() if name != "seed_everything"}
        told = json.dumps([config, [option for option in self.options if "--config" not in option]])
        return f"{self.name}-k{self.k}-{hashlib.sha256(told.encode()).hexdigest()[:12]}"


@cache
def load(name: str) -> dict[str, Any]:
    content: dict[str, Any] = yaml.safe_load((CONFIGS / f"{name}.yaml").read_text())
    return content


def run(cell: Cell, seed: int) -> dict[str, Any]:
    """Runs one trial and returns what is kept of it; its convergence time is None if it was stopped unsolved."""
    summary = fit_once([*cell.options, "--trainer.accelerator=cpu"], seed)
    told = ("convergence_time", "stop_reason", "steps", "elapsed_seconds", "recovered_support", "support")
    return {"key": cell.key, "name": cell.name, "k": cell.k, "seed": seed, **{name: summary[name] for name in told}}


Trials = dict[tuple[str, int], dict[str, Any]]


def kept_trials() -> Trials:
    if not KEPT.exists():
        return {}
    trials = (json.loads(line) for line in KEPT.read_text().splitlines())
    return {(trial["key"], trial["seed"]): trial for trial in trials}


def run_all(cells: list[Cell], seeds: int, workers: int) -> None:
    """Runs what is not yet kept, and keeps each trial as it comes."""
    known = kept_trials()
    wanted = [(cell, seed) for cell in cells for seed in range(seeds) if (cell.key, seed) not in known]
    KEPT.parent.mkdir(exist_ok=True)
    # Read by whoever is started from here: one thread each.
    os.environ["OMP_NUM_THREADS"] = "1"
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, mp_context=spawn) as pool, KEPT.open("a") as file:
        futures = [pool.submit(run, *each) for each in wanted]
        for done, future in enumerate(as_completed(futures), 1):
            print(json.dumps(future.result()), file=file, flush=True)
            print(f"\r{done:,} of {len(wanted):,} trials", end="", file=sys.stderr, flush=True)
    if wanted:
        print(file=sys.stderr)


def outcome(known: Trials, cell: Cell, seeds: int) -> tuple[str, str]:
    """How many trials are solved, and the median with its interval."""
    times = [known[cell.key, seed]["convergence_time"] for seed in range(seeds) if (cell.key, seed) in known]
    if not times:
        return "-", "-"
    reached = [math.inf if time is None else time for time in times]
    return f"{sum(map(math.isfinite, reached))} of {len(times)}", str(quantile_of(reached))


def published(name: str, n: int, k: int) -> str:
    return f"{PUBLISHED[PUBLISHED_OF[name]][k][n]:g}" if name in PUBLISHED_OF else ""


def rows_at_k3(known: Trials, names: list[str], seeds: int) -> Iterator[str]:
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
            solved, median = outcome(known, Cell(name, lr=lr), seeds)
            rate = lr or f"{model['optimizer']['init_args']['lr']:g}"
            adam = " (Adam)" if optimizer == "Adam" else ""
            beside = published(name, data["n"], 3) if lr is None else ""
            yield f"{where}| {data['batch_size']} | {rate}{adam} | {solved} | {median} | {beside} |"


def rows_by_k(known: Trials, names: list[str], seeds: int) -> Iterator[str]:
    yield "| setting | k = 2 | published | k = 3 | published | k = 4 | published |"
    yield "|---|---|---|---|---|---|---|"
    for name in names:
        parts = [label(name)]
        for k in (2, 3, 4):
            solved, median = outcome(known, Cell(name, k), seeds)
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
    parser.add_argument("--workers", type=int, default=2)
    arguments = parser.parse_args()
    cells = [Cell(name, k) for k in arguments.degrees for name in arguments.only]
    if 3 in arguments.degrees:
        cells += [Cell(name, lr=lr) for name, lr in OTHER_RATES.items() if name in arguments.only]
    run_all(cells, arguments.seeds, arguments.workers)
    known = kept_trials()
    tables = {
        "settings": list(rows_at_k3(known, arguments.only, arguments.seeds)),
        "degrees": list(rows_by_k(known, arguments.only, arguments.seeds)),
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
