"""How the cost of a step grows with n, width, batch size and the number of trials: docs/pictures/cost.png.

    python benchmarks/cost.py

A ReLU MLP of width 100 on the (50,3)-parity, B = 32, 16 trials in a stack; one of these numbers at a time is another.
Everything runs on one core, in this process. What is drawn is the best of a few calls: floating-point operations of a
step's two matrix products per second. Where a curve bends, something no longer fits: dashed lines say what.
"""

from __future__ import annotations

import csv
import os
import time
from pathlib import Path
from typing import Any

import torch
from jax_peer import Work
from stacked_trials import flops_of, runner_of

from parity_lightning.display.style import BLUE, GRAY, draw_to
from parity_lightning.engine.trial import TrialSpec

ROOT = Path(__file__).parents[1]
BASE = {"n": 50, "width": 100, "batch_size": 32, "trials": 16}
AXES: dict[str, tuple[int, ...]] = {
    "n": (10, 20, 50, 100, 200, 500, 1000),
    "width": (1, 3, 10, 30, 100, 300, 1000, 3000, 10_000, 100_000),
    "batch_size": (1, 2, 4, 8, 16, 32, 128, 512, 2048, 4096),
    "trials": (1, 4, 16, 64, 256, 1024, 10_000),
}
TITLES = {"n": "inputs n", "width": "width r", "batch_size": "batch size B", "trials": "trials in a stack"}
CALLS = 5
SECONDS = 0.2

# Caches of a core, in bytes; a trial's weights and their gradient take 8 n r.
CACHES = {"L1 (32 KiB)": 2**15, "L2 (512 KiB)": 2**19}


def rate_of(n: int, width: int, batch_size: int, trials: int) -> tuple[float, int]:
    """Trial-steps per second, and floating-point operations of a step."""
    work = Work("relu", n=n, width=width, batch_size=batch_size, lr=0.001)
    runner = runner_of(work, trials)
    steps = 1
    with torch.no_grad():
        runner.add(*(TrialSpec(seed, 0, seed) for seed in range(trials)))
        runner.stack.compile()
        runner.train(1)
        best = 0.0
        for _ in range(CALLS):
            begun = time.perf_counter()
            runner.train(steps)
            seconds = time.perf_counter() - begun
            best = max(best, steps * trials / seconds)
            steps = max(1, min(250, int(SECONDS * best / trials)))
    return best, flops_of(work)


def main() -> None:
    """Measures and draws."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    torch.set_num_threads(1)
    rows = []
    for axis, values in AXES.items():
        for value in values:
            rate, flops = rate_of(**{**BASE, axis: value})
            rows.append({"axis": axis, "value": value, "steps_per_second": rate, "gflops": rate * flops / 1e9})
            print(f"{axis}={value:,}: {rate:,.0f} trial-steps/s, {rate * flops / 1e9:.1f} GFLOP/s", flush=True)
    with (ROOT / "docs" / "pictures" / "cost.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)

    def draw(figure: Any) -> None:
        for axes, (axis, values) in zip(figure.subplots(2, 2).flat, AXES.items(), strict=True):
            own = [row for row in rows if row["axis"] == axis]
            axes.loglog(values, [row["gflops"] for row in own], "o-", color=BLUE)
            axes.set_xlabel(TITLES[axis])
            axes.set_ylabel("GFLOP/s")
            axes.set_ylim(1, 300)
            if axis in ("n", "width"):
                other = BASE["width" if axis == "n" else "n"]
                for name, size in CACHES.items():
                    at = size / (8 * other)
                    if values[0] < at < values[-1]:
                        axes.axvline(at, color=GRAY, linestyle="--", linewidth=1)
                        place = axes.get_xaxis_transform()
                        axes.text(at, 0.03, f"{name} ", color=GRAY, fontsize=8, ha="right", transform=place)
        figure.suptitle("Steps of a ReLU MLP: n = 50, r = 100, B = 32, 16 trials, but for the number shown")

    print(draw_to(ROOT / "docs" / "pictures" / "cost.png", draw, (9, 7)))


if __name__ == "__main__":
    main()
