"""Median convergence times beside the published ones, (n,k) in {10,20,30,40} x {2,3,4} of Figure 1 (right).

    python benchmarks/convergence_times.py

ReLU MLP of width 100, eta = 1, evaluated at every step, by `parity-lightning trials`. Trials that do not solve the
parity are censored, not dropped. Medians come with the distribution-free 95 % interval of order statistics.
"""

from __future__ import annotations

import argparse
import math
import tempfile
from pathlib import Path

import pyarrow.parquet as parquet
from published import PUBLISHED

from parity_lightning.cli import main as parity_lightning
from parity_lightning.statistics.survival import quantile_of

CONFIG = Path(__file__).parents[1] / "configs" / "online.yaml"


def main() -> None:
    """Runs the trials and prints a table."""
    parser = argparse.ArgumentParser(description="Median convergence times beside Figure 1 (right).")
    parser.add_argument("--trials", type=int, default=25)
    parser.add_argument("--batch_size", type=int, default=64, help="the paper does not state it")
    parser.add_argument("--initialization", default="uniform", help="the paper does not state it")
    arguments = parser.parse_args()
    published = PUBLISHED["relu_mlp"]
    with tempfile.TemporaryDirectory() as folder:
        output = f"{folder}/trials.parquet"
        parity_lightning(
            [
                *("trials", f"--config={CONFIG}", f"--trials={arguments.trials}", f"--output={output}"),
                *("--vary", f"data.k={sorted(published)}", "--vary", f"data.n={sorted(published[2])}"),
                *(f"--data.batch_size={arguments.batch_size}", f"--model.initialization={arguments.initialization}"),
                *("--model.optimizer.lr=1", "--trainer.val_check_interval=1", "--trainer.max_steps=10000"),
            ]
        )
        rows = parquet.read_table(output, columns=["n", "k", "convergence_time"]).to_pylist()
    print(f"\nReLU width 100, eta=1, B={arguments.batch_size}, {arguments.initialization}, evaluated every step")
    print(" n  k   solved    median t_c   95 % interval   published   ratio")
    for k, medians in published.items():
        for n, beside in medians.items():
            times = [row["convergence_time"] or math.inf for row in rows if (row["n"], row["k"]) == (n, k)]
            middle, low, high = quantile_of(times)
            solved = sum(map(math.isfinite, times))
            told = f"{solved:>3} of {len(times)}   {middle:>7,g}   [{low:,g}, {high:,g}]"
            print(f"{n:>2}  {k}  {told:<38} {beside:>7}   {middle / beside:.2f}")


if __name__ == "__main__":
    main()
