"""Stacked trials beside JAX: speed, its share of what the core can do, cold starts, and what a solved trial costs.

    pip install jax
    python benchmarks/stacked_trials.py speed    # trial-steps a second, training alone, once all is compiled
    python benchmarks/stacked_trials.py cold     # from nothing compiled to the first 200 steps of 16 trials
    python benchmarks/stacked_trials.py solve    # the cost of a solved trial, evaluation included
    python benchmarks/stacked_trials.py compilers    # speed by the compiler here, by that of a package, without any

Everything is measured on one core in processes of its own (``--processes``), in which both take turns: what is printed
is the median of the processes' ratios, with their range. The work is the (50,3)-parity with fresh examples at every
step.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from typing import Any

os.environ["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"

import jax_peer
import torch
from jax_peer import Work

from parity_lightning import SparseParity
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
SECONDS = 1.0


def units_of(work: Work) -> int:
    """How many linear forms of the inputs a network has."""
    return work.k if work.family == "polynet" else work.width


def flops_of(work: Work) -> int:
    """Floating-point operations of a step's two products: forward, and the gradient of the first layer."""
    return 4 * work.batch_size * work.n * units_of(work)


def module_of(work: Work) -> ParityModule:
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


def runner_of(work: Work, trials: int, every: int = 100, device: str = "cpu") -> StackRunner:
    """A stack that has compiled steps, and room for so many trials."""
    setting = TrialConfig(
        module_of(work),
        SparseParity(work.n, work.k),
        work.batch_size,
        num_samples=None,
        max_steps=10**6,
        every=every,
    )
    return StackRunner([setting], trials, compiled=True, device=device)


def calls_per_second(call: Callable[[], Any], seconds: float = SECONDS) -> float:
    """How often something can be called in a second, measured for so many of them."""
    call()
    calls, begun = 0, time.perf_counter()
    while time.perf_counter() - begun < seconds:
        call()
        calls += 1
    return calls / (time.perf_counter() - begun)


def our_rate(work: Work, trials: int, device: str = "cpu", seconds: float = SECONDS, is_compiled: bool = True) -> float:
    """Trial-steps per second of a stack, without evaluation; compiling, if it is compiled, takes no part."""
    steps = 100 if work.width * work.batch_size < 100_000 else 5
    runner = runner_of(work, trials, device=device)
    with torch.no_grad():
        runner.add(*(TrialSpec(seed, 0, seed) for seed in range(trials)))
        if is_compiled:
            runner.stack.compile()
        # The losses are looked at, so a GPU is waited for.
        return calls_per_second(lambda: runner.train(steps).cpu(), seconds) * steps * trials


def products_rate(work: Work, trials: int) -> float:
    """Trial-steps per second of the two matrix products of a step alone, by PyTorch."""
    x = torch.randn(trials, work.batch_size, work.n)
    weights, gradient = (
        torch.randn(trials, work.n, units_of(work)),
        torch.randn(trials, work.batch_size, units_of(work)),
    )

    def multiply() -> None:
        torch.bmm(x, weights)
        torch.bmm(x.transpose(1, 2), gradient)

    return calls_per_second(multiply) * trials


def large_product() -> float:
    """Floating-point operations per second of this core in a large matrix product."""
    a = torch.randn(1024, 1024)
    return calls_per_second(lambda: torch.mm(a, a)) * 2 * 1024**3


def measure_speed(only: str) -> dict[str, Any]:
    """Trial-steps per second of all works, in this process."""
    measured: dict[str, Any] = {"large": large_product()}
    for name, work in WORKS.items():
        for trials in (1, 16, 64) if work.batch_size < 1000 else (1, 4, 16):
            if only in name:
                rates = (our_rate(work, trials), jax_peer.rate(work, trials, SECONDS), products_rate(work, trials))
                measured[f"{name}|{trials}"] = rates
    return measured


def measure_cold(only: str) -> dict[str, Any]:
    """Seconds from nothing compiled to the first 200 steps of 16 trials, then the same for another n."""
    measured = {}
    for name, work in WORKS.items():
        if only not in name or work.batch_size > 1000:
            continue
        times = []
        for shape in (work, work._replace(n=work.n - 9)):
            begun = time.perf_counter()
            runner = runner_of(shape, 16)
            with torch.no_grad():
                runner.add(*(TrialSpec(seed, 0, seed) for seed in range(16)))
                runner.stack.compile()
                runner.train(200)
            ours = time.perf_counter() - begun
            begun = time.perf_counter()
            run, carry, _ = jax_peer.make(shape, 16, 200)
            jax_peer.jax.block_until_ready(run(carry))
            times += [ours, time.perf_counter() - begun]
        measured[name] = times
        break
    return measured


def measure_solve(_: str) -> dict[str, Any]:
    """Seconds that a solved trial costs, ours and JAX's; and one of (20,3) alone."""
    work, trials = WORKS["ReLU, r=100"], 128
    runner = runner_of(work, 64)
    list(runner.run(TrialSpec(10**6 + seed, 0, 10**6 + seed) for seed in range(2)))
    begun = time.perf_counter()
    results = [each for some in runner.run(TrialSpec(seed, 0, seed) for seed in range(trials)) for each in some]
    ours = (time.perf_counter() - begun) / trials
    assert all(result.stop_reason == "solved" for result in results)
    single = runner_of(Work("relu", n=20), 1, every=50)
    list(single.run([TrialSpec(100, 0, 100)]))
    took = []
    for seed in range(20):
        begun = time.perf_counter()
        list(single.run([TrialSpec(seed, 0, seed)]))
        took.append(time.perf_counter() - begun)
    steps = statistics.mean(result.steps for result in results)
    return {
        "ours": ours,
        "theirs": jax_peer.solve(work, trials) / trials,
        "products": steps / products_rate(work, 64),
        "single": statistics.median(took),
    }


def measure_compilers(only: str) -> dict[str, Any]:
    """Trial-steps per second, by the first compiler that is found, or by none."""
    return {"rate": our_rate(WORKS["ReLU, r=100"], 64, is_compiled=only != "none")}


MEASURES = {"speed": measure_speed, "cold": measure_cold, "solve": measure_solve, "compilers": measure_compilers}


def in_processes(
    what: str, only: str, processes: int, environment: Mapping[str, str] | None = None
) -> list[dict[str, Any]]:
    """What several processes have measured, one after another, each with an empty cache if starts are measured."""
    measured = []
    for _ in range(processes):
        with tempfile.TemporaryDirectory() as folder:
            own = {"PARITY_LIGHTNING_CACHE": folder} if what == "cold" else dict(environment or {})
            command = [sys.executable, __file__, what, f"--only={only}", "--processes=0"]
            done = subprocess.run(command, env=os.environ | own, capture_output=True, text=True, check=True)
        measured.append(json.loads(done.stdout.splitlines()[-1]))
    return measured


def summed_up(values: list[float], digits: int = 2) -> str:
    """The median and the range."""
    return f"{statistics.median(values):,.{digits}f} ({min(values):,.{digits}f}-{max(values):,.{digits}f})"


def print_speed(measured: list[dict[str, Any]]) -> None:
    """Prints rates, and ratios within each process."""
    large = [each["large"] for each in measured]
    print(f"a large matrix product: {summed_up([rate / 1e9 for rate in large], 0)} GFLOP/s")
    head = f"{'':<22}{'T':>4}{'FLOP a step':>13}{'steps/s':>11}  {'times JAX':<18}{'of products alone':<20}"
    print(f"{head}of the large product")
    for key in measured[0]:
        if key == "large":
            continue
        name, trials = key.split("|")
        ours, jax, products = zip(*(each[key] for each in measured), strict=True)
        flops = flops_of(WORKS[name])
        shares = [rate * flops / limit for rate, limit in zip(ours, large, strict=True)]
        print(
            f"{name:<22}{trials:>4}{flops:>13,}{statistics.median(ours):>11,.0f}  "
            f"{summed_up([a / b for a, b in zip(ours, jax, strict=True)]):<18}"
            f"{summed_up([a / b for a, b in zip(ours, products, strict=True)]):<20}{summed_up(shares)}"
        )


def print_cold(measured: list[dict[str, Any]]) -> None:
    """Prints the seconds to the first result."""
    for name in measured[0]:
        first, jax_first, second, jax_second = ([each[name][place] for each in measured] for place in range(4))
        ratios = [a / b for a, b in zip(first, jax_first, strict=True)]
        print(f"{name}, nothing compiled: ours {summed_up(first)} s, JAX {summed_up(jax_first)} s; {summed_up(ratios)}")
        faster = [b / a for a, b in zip(second, jax_second, strict=True)]
        times = f"ours {summed_up(second)} s, JAX {summed_up(jax_second)} s"
        print(f"{name}, another n: {times}; {summed_up(faster, 0)} times as fast")


def print_solve(measured: list[dict[str, Any]]) -> None:
    """Prints the cost of a solved trial."""
    ours, theirs, products, single = (
        [each[name] for each in measured] for name in ("ours", "theirs", "products", "single")
    )
    print(f"a solved trial of (50,3): {summed_up(ours, 3)} s of a core, evaluation included")
    print(f"  JAX, 2^13 examples every 100 steps: {summed_up(theirs, 3)} s")
    print(f"  ours of JAX's: {summed_up([a / b for a, b in zip(ours, theirs, strict=True)])}")
    shares = [a / b for a, b in zip(ours, products, strict=True)]
    print(f"  ours of the two products of its steps alone: {summed_up(shares)}")
    print(f"one trial of (20,3) alone, warm: {summed_up(single, 3)} s")


def print_compilers(processes: int) -> None:
    """Measures and prints the speed by each compiler."""
    package = {"CXX": "", "PATH": ""}
    rates = {
        name: [each["rate"] for each in in_processes("compilers", only, processes, environment)]
        for name, only, environment in (
            ("this machine's compiler", "", {}),
            ("Clang of parity-lightning[compiler]", "", package),
            ("no compiler", "none", {}),
        )
    }
    print("trial-steps a second of 64 trials, ReLU, r=100")
    (best, *_) = rates.values()
    for name, found in rates.items():
        shares = [rate / limit for rate, limit in zip(found, best, strict=True)]
        print(f"  {name:<36} {statistics.median(found):>8,.0f}, {summed_up(shares)} of this machine's")


def main() -> None:
    """Measures what is asked for."""
    parser = argparse.ArgumentParser(description="Stacked trials beside JAX.")
    parser.add_argument("what", choices=list(MEASURES), nargs="?", default="speed")
    parser.add_argument("--processes", type=int, default=5, help="0 measures in this one and prints JSON")
    parser.add_argument("--only", default="", help="works whose names hold this")
    arguments = parser.parse_args()
    if not arguments.processes:
        if hasattr(os, "sched_setaffinity"):
            os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
        torch.set_num_threads(1)
        print(json.dumps(MEASURES[arguments.what](arguments.only)))
        return
    if arguments.what == "compilers":
        print_compilers(arguments.processes)
        return
    measured = in_processes(arguments.what, arguments.only, arguments.processes)
    {"speed": print_speed, "cold": print_cold, "solve": print_solve}[arguments.what](measured)


if __name__ == "__main__":
    main()
