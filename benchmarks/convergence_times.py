"""Convergence times of many seeds, beside the published medians.

    python benchmarks/convergence_times.py seeds       # 25 seeds of configs/online.yaml's setting
    python benchmarks/convergence_times.py grokking --seeds 10   # of configs/grokking.yaml's setting
    python benchmarks/convergence_times.py published   # (n,k) in {10,20,30,40} x {2,3}, beside Figure 1 (right)

Each seed decides support, examples and initial weights. Runs that do not solve the parity are censored, not dropped.
Medians come with the distribution-free 95 % interval of order statistics.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from typing import NamedTuple

from published import PUBLISHED
from trials import run_trial

from parity_lightning.trials.survival import quantile_of

CONFIGS = Path(__file__).parents[1] / "configs"


class Outcome(NamedTuple):
    """What came of one seed; times are infinite where the run did not get there."""

    convergence_time: float
    onset: float


def run_seed(options: Sequence[str], seed: int) -> Outcome:
    """Runs one fit."""
    summary = run_trial(options, seed)
    solved, onset = summary["convergence_time"], summary["onset"]
    return Outcome(solved or math.inf, onset if solved and onset else math.inf)


def many(seeds: int, workers: int, options: Sequence[str]) -> list[Outcome]:
    """Runs seeds 0, 1, ... side by side."""
    with ProcessPoolExecutor(workers) as pool:
        return list(pool.map(partial(run_seed, options), range(seeds)))


def _row(outcomes: Sequence[Outcome]) -> str:
    middle, low, high = quantile_of([outcome.convergence_time for outcome in outcomes])
    solved = sum(math.isfinite(outcome.convergence_time) for outcome in outcomes)
    return f"{solved:>3} of {len(outcomes)}   {middle:>7,g}   [{low:,g}, {high:,g}]"


def main() -> None:
    """Runs what is asked for and prints a table."""
    parser = argparse.ArgumentParser(description="Convergence times of many seeds.")
    parser.add_argument("what", choices=["seeds", "grokking", "published"])
    parser.add_argument("--seeds", type=int, default=25)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--batch_size", type=int, default=64, help="of 'published'; the paper does not state it")
    parser.add_argument("--initialization", default="uniform", help="of 'published'")
    parser.add_argument("--screen", type=int, default=1024)
    arguments = parser.parse_args()
    pool = {"seeds": arguments.seeds, "workers": arguments.workers}
    screen = f"--model.screen={arguments.screen}"
    if arguments.what in ("seeds", "grokking"):
        config = "online" if arguments.what == "seeds" else "grokking"
        outcomes = many(**pool, options=[f"--config={CONFIGS / config}.yaml", screen])
        print(f"configs/{config}.yaml")
        print("   solved    median t_c   95 % interval")
        print(_row(outcomes))
        shares = [outcome.onset / outcome.convergence_time for outcome in outcomes if math.isfinite(outcome.onset)]
        print(f"median plateau share of the solved {sorted(shares)[len(shares) // 2]:.2f}")
        print("onset -> t_c:", ", ".join(f"{outcome.onset:g} -> {outcome.convergence_time:g}" for outcome in outcomes))
        return
    print(f"ReLU width 100, eta=1, B={arguments.batch_size}, {arguments.initialization}, evaluated every step")
    print(" n  k   solved    median t_c   95 % interval   published   ratio")
    for k in (2, 3):
        for n, published in PUBLISHED["relu_mlp"][k].items():
            options = [
                f"--config={CONFIGS / 'online.yaml'}",
                *(f"--data.n={n}", f"--data.k={k}", f"--data.batch_size={arguments.batch_size}"),
                *("--model.optimizer.lr=1", f"--model.initialization={arguments.initialization}", screen),
                *("--trainer.val_check_interval=1", "--trainer.max_steps=10000"),
            ]
            outcomes = many(**pool, options=options)
            middle = quantile_of([outcome.convergence_time for outcome in outcomes]).value
            print(f"{n:>2}  {k}  {_row(outcomes):<38} {published:>7}   {middle / published:.2f}", flush=True)


if __name__ == "__main__":
    main()
