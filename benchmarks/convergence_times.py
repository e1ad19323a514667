"""Convergence times of many seeds, beside the published medians.

    python benchmarks/convergence_times.py seeds       # 25 seeds of configs/online.yaml's setting
    python benchmarks/convergence_times.py grokking --seeds 10   # of configs/grokking.yaml's setting
    python benchmarks/convergence_times.py published   # (n,k) in {10,20,30,40} x {2,3}, beside Figure 1 (right)

Each seed decides support, examples and initial weights. Runs that do not solve the parity are censored, not dropped.
Medians come with the distribution-free 95 % interval of order statistics.
"""

from __future__ import annotations

import argparse
import logging
import math
import warnings
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from typing import Any, NamedTuple

import torch
from censored import median_of
from lightning.pytorch import Trainer, seed_everything
from published import PUBLISHED

from parity_lightning import MLP, DecayedSGD, ParityDataModule
from parity_lightning.callbacks import PhaseTransition, StopWhenDiverged, StopWhenSolved


class Outcome(NamedTuple):
    """What came of one seed; times are infinite where the run did not get there."""

    convergence_time: float
    onset: float


def run_seed(
    seed: int, n: int, k: int, every: int, max_steps: int, data: dict[str, Any], module: dict[str, Any]
) -> Outcome:
    """Trains one width-100 ReLU MLP."""
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    for name in ("lightning.pytorch", "lightning.fabric.utilities.seed", "lightning.pytorch.utilities.rank_zero"):
        logging.getLogger(name).setLevel(logging.ERROR)
    optimizer = partial(DecayedSGD, lr=module.pop("lr"), decay=module.pop("decay", 0.0))
    seed_everything(seed)
    transition = PhaseTransition()
    trainer = Trainer(
        accelerator="cpu",
        max_steps=max_steps,
        val_check_interval=every,
        check_val_every_n_epoch=None,
        num_sanity_val_steps=0,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        callbacks=[transition, StopWhenSolved(), StopWhenDiverged()],
    )
    model = MLP(n, k, width=100, optimizer=optimizer, **module)
    trainer.fit(model, datamodule=ParityDataModule(n, k, **data))
    solved = transition.convergence_time
    return Outcome(solved or math.inf, transition.onset if solved and transition.onset else math.inf)


def many(seeds: int, workers: int, **setting: Any) -> list[Outcome]:
    """Runs seeds 0, 1, ... side by side."""
    with ProcessPoolExecutor(workers) as pool:
        return list(pool.map(partial(_run, setting), range(seeds)))


def _run(setting: dict[str, Any], seed: int) -> Outcome:
    return run_seed(seed, **{**setting, "module": dict(setting["module"])})


def _row(outcomes: Sequence[Outcome]) -> str:
    middle, low, high = median_of([outcome.convergence_time for outcome in outcomes])
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
    if arguments.what in ("seeds", "grokking"):
        module = {"lr": 0.1, "initialization": "uniform", "screen": arguments.screen}
        data, every = {"batch_size": 32}, 50
        if arguments.what == "grokking":
            module["decay"], data["num_samples"], every = 0.0007, 1000, 100
        outcomes = many(**pool, n=50, k=3, every=every, max_steps=100_000, data=data, module=module)
        print(f"(50,3), ReLU width 100, eta=0.1, {data}, evaluated every {every} steps")
        print("   solved    median t_c   95 % interval")
        print(_row(outcomes))
        shares = [outcome.onset / outcome.convergence_time for outcome in outcomes if math.isfinite(outcome.onset)]
        print(f"median plateau share of the solved {sorted(shares)[len(shares) // 2]:.2f}")
        print("onset -> t_c:", ", ".join(f"{outcome.onset:g} -> {outcome.convergence_time:g}" for outcome in outcomes))
        return
    module = {"lr": 1.0, "initialization": arguments.initialization, "screen": arguments.screen}
    print(f"ReLU width 100, eta=1, B={arguments.batch_size}, {arguments.initialization}, evaluated every step")
    print(" n  k   solved    median t_c   95 % interval   published   ratio")
    for k in (2, 3):
        for n, published in PUBLISHED["relu_mlp"][k].items():
            data = {"batch_size": arguments.batch_size}
            outcomes = many(**pool, n=n, k=k, every=1, max_steps=10_000, data=data, module=module)
            middle = median_of([outcome.convergence_time for outcome in outcomes]).value
            print(f"{n:>2}  {k}  {_row(outcomes):<38} {published:>7}   {middle / published:.2f}", flush=True)


if __name__ == "__main__":
    main()
