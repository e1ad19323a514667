"""Stacked trials beside JAX, and what a solved trial costs; all on one core, as ratios within the same run.

    pip install jax
    python benchmarks/stacked_trials.py                 # training only, several networks
    python benchmarks/stacked_trials.py solve           # the cost of a solved trial, evaluation included

Work: (50,3), B=32, SGD 0.1, fresh examples at every step. Both are compiled before the clock starts. They take turns,
and of the numbers of trials at a time (1, 16 and 64) each has its best.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time

os.environ["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"
if hasattr(os, "sched_setaffinity"):
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})

import jax_peer
import torch
from jax_peer import Work

from parity_lightning import ParityDataModule
from parity_lightning.engine.runner import StackRunner
from parity_lightning.engine.trial import TrialSpec
from parity_lightning.engine.trial_config import TrialConfig
from parity_lightning.modules import MLP, Neuron, ParityModule, PolyNet

WORKS = {
    "ReLU, r=100": Work("relu"),
    "x^3, r=100": Work("power", lr=0.01),
    "sinusoid": Work("sinusoid", width=1),
    "PolyNet": Work("polynet"),
    "ReLU, r=1000, B=1024": Work("relu", width=1000, batch_size=1024),
}
AT_A_TIME = (1, 16, 64)


def module(work: Work) -> ParityModule:
    """The same network."""
    common = {
        "initialization": "uniform",
        "optimizer": lambda parameters: torch.optim.SGD(parameters, lr=work.lr),
        "val_screen_size": 1024,
    }
    if work.family == "polynet":
        return PolyNet(work.n, work.k, **common)
    if work.family == "sinusoid":
        return Neuron(work.n, work.k, activation="sinusoid", **common)
    return MLP(work.n, work.k, work.width, activation=work.family, **common)


def runner(work: Work, trials: int, every: int = 100) -> StackRunner:
    """A compiled stack with its trials begun."""
    data = ParityDataModule(work.n, work.k, batch_size=work.batch_size)
    return StackRunner([TrialConfig(module(work), data, max_steps=10**6, every=every)], trials, compiled=True)


def rate(work: Work, trials: int, seconds: float = 1.5) -> float:
    """Trial-steps per second of a stack, without evaluation and without compiling."""
    steps = 100 if work.width * work.batch_size < 100_000 else 5
    stack = runner(work, trials)
    with torch.no_grad():
        for seed, start in enumerate(stack._settings[0].starts(range(trials))):
            stack._begin(TrialSpec(seed, 0, seed), start)
        stack._compile()
        assert stack.note is None, stack.note
        stack._take_steps(steps)
        calls, start_time = 0, time.perf_counter()
        while time.perf_counter() - start_time < seconds:
            stack._take_steps(steps)
            calls += 1
    return calls * steps * trials / (time.perf_counter() - start_time)


def matrix_products() -> float:
    """Floating-point operations per second of this core in a large matrix product."""
    a, b = torch.randn(1024, 1024), torch.randn(1024, 1024)
    best = float("inf")
    for _ in range(10):
        start = time.perf_counter()
        torch.mm(a, b)
        best = min(best, time.perf_counter() - start)
    return 2 * 1024**3 / best


def train(rounds: int, only: str | None) -> None:
    """Compares training alone."""
    print(f"{'trial-steps per second':<24} {'ours (T)':>16} {'JAX (T)':>16}   ratio (range)   of mm's rate")
    for name, work in WORKS.items():
        if only and only not in name:
            continue
        counts = AT_A_TIME if work.batch_size < 1000 else (1, 4, 16)
        ours: dict[int, list[float]] = {count: [] for count in counts}
        theirs: dict[int, list[float]] = {count: [] for count in counts}
        for _ in range(rounds):
            for count in counts:
                ours[count].append(rate(work, count))
                theirs[count].append(jax_peer.rate(work, count))
        mine = max(counts, key=lambda count: statistics.median(ours[count]))
        its = max(counts, key=lambda count: statistics.median(theirs[count]))
        a, b = statistics.median(ours[mine]), statistics.median(theirs[its])
        ratios = sorted(x / y for x, y in zip(ours[mine], theirs[its], strict=True))
        # Forward, and the gradient of the first layer: two products of n x r numbers for every example.
        units = work.k if work.family == "polynet" else work.width
        share = a * 4 * work.batch_size * work.n * units / matrix_products()
        print(
            f"{name:<24} {f'{a:,.0f} ({mine})':>16} {f'{b:,.0f} ({its})':>16}   "
            f"{a / b:.2f} ({ratios[0]:.2f}-{ratios[-1]:.2f})   {share:.2f}",
            flush=True,
        )


def solve(rounds: int, trials: int) -> None:
    """Compares the cost of solved trials."""
    work = Work("relu")
    ratios = []
    for _ in range(rounds):
        stack = runner(work, 64)
        list(stack.run(TrialSpec(10**6 + seed, 0, 10**6 + seed) for seed in range(2)))
        start = time.perf_counter()
        results = [each for some in stack.run(TrialSpec(seed, 0, seed) for seed in range(trials)) for each in some]
        ours = time.perf_counter() - start
        assert all(result.stop_reason == "solved" for result in results)
        theirs = jax_peer.solve(work, trials)
        ratios.append(ours / theirs)
        print(f"{trials} trials of (50,3): ours {ours / trials:.3f} s a trial, JAX {theirs / trials:.3f} s", flush=True)
    print(f"ours costs {statistics.median(ratios):.2f} of JAX with naive evaluation (2^13 every 100 steps)")
    single = runner(Work("relu", n=20), 1, every=50)
    list(single.run([TrialSpec(100, 0, 100)]))
    took = []
    for seed in range(20):
        start = time.perf_counter()
        list(single.run([TrialSpec(seed, 0, seed)]))
        took.append(time.perf_counter() - start)
    print(f"one (20,3), warm: median {statistics.median(took):.3f} s of {len(took)} ({max(took):.3f} at most)")


def main() -> None:
    """Measures what is asked for."""
    parser = argparse.ArgumentParser(description="Stacked trials beside JAX.")
    parser.add_argument("what", choices=["train", "solve"], nargs="?", default="train")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--trials", type=int, default=128)
    parser.add_argument("--only", help="works whose names hold this")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    if arguments.what == "train":
        train(arguments.rounds, arguments.only)
    else:
        solve(arguments.rounds, arguments.trials)


if __name__ == "__main__":
    main()
