"""Stacked trials on an NVIDIA GPU beside JAX on the same card.

    pip install "jax[cuda13]"
    python benchmarks/gpu_trials.py

Everything is measured in processes of its own (``--processes``); what is printed is their median, with the range. By
default JAX rounds the factors of products to TF32; the last column compares with JAX in full single precision, in which
our kernels always compute.

Networks that our kernels do not know are measured as a CUDA graph and by eager steps.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from typing import Any

os.environ["XLA_PYTHON_CLIENT_PREALLOCATE"] = "false"

import jax_peer
import torch
from stacked_trials import WORKS, calls_per_second, our_rate, runner_of, summed_up
from torch import Tensor, nn

from parity_lightning import SparseParity
from parity_lightning.engine.runner import StackRunner
from parity_lightning.engine.trial import TrialSpec
from parity_lightning.engine.trial_config import TrialConfig
from parity_lightning.modules import ParityModule, Transformer

TRIALS = (1, 64, 1024, 16384)
DEVICE = "cuda"


class ThreeLayers(ParityModule):
    """A network of a user's own, with two hidden layers of 100 units."""

    def __init__(self, n: int, **kwargs: Any) -> None:
        layers = (nn.Linear(n, 100), nn.ReLU(), nn.Linear(100, 100), nn.ReLU(), nn.Linear(100, 1))
        super().__init__(nn.Sequential(*layers), **kwargs)

    @property
    def first_layer(self) -> Tensor:
        """The weight that reads the input."""
        first: Tensor = self.network[0].weight  # type: ignore[index, union-attr]
        return first


OTHERS: dict[str, tuple[Callable[[], ParityModule], tuple[int, ...]]] = {
    "three layers, r=100": (
        lambda: ThreeLayers(50, optimizer=lambda parameters: torch.optim.SGD(parameters, lr=0.1)),
        (1, 64, 1024),
    ),
    # Of the paper's size, 5 million weights: a thousand would not fit.
    "Transformer": (lambda: Transformer(50), (1, 64)),
}
"""Networks without a closed form, and how many trials to stack."""


def rates_of_others(name: str, trials: int, seconds: float) -> list[float]:
    """Trial-steps per second as a CUDA graph, and by eager steps."""
    make, _ = OTHERS[name]
    setting = TrialConfig(make(), SparseParity(50, 3), 32, num_samples=None, max_steps=10**6, every=100)
    runner = StackRunner([setting], trials, compiled=True, device=DEVICE)
    rates = []
    with torch.no_grad():
        runner.add(*(TrialSpec(seed, 0, seed) for seed in range(trials)))
        # Eager steps draw examples by our kernel, too.
        runner.stack.use_native_code()
        for steps in (16, 64):
            rates.append(calls_per_second(lambda: runner.train(steps).cpu(), seconds) * steps * trials)  # noqa: B023
            if len(rates) == 1:
                runner.stack.compile()
    eager, graph = rates
    return [graph, eager]


def measure(only: str, seconds: float) -> dict[str, Any]:
    """What this process measures."""
    measured: dict[str, Any] = {}
    begun = time.perf_counter()
    work = WORKS["ReLU, r=100"]
    runner = runner_of(work, 64, device=DEVICE)
    with torch.no_grad():
        runner.add(*(TrialSpec(seed, 0, seed) for seed in range(64)))
        added = time.perf_counter()
        runner.stack.compile()
        runner.train(200).cpu()
    measured["cold"] = [added - begun, time.perf_counter() - added]
    for name, each in WORKS.items():
        for trials in TRIALS:
            # Eight thousand large networks do not fit.
            if only not in name or (each.batch_size > 100 and trials > 1024):
                continue
            rates = [our_rate(each, trials, DEVICE, seconds)]
            for precision in ("default", "highest"):
                with jax_peer.jax.default_matmul_precision(precision):
                    rates.append(jax_peer.rate(each, trials, seconds))
            measured[f"{name}|{trials}"] = rates
    measured["others"] = {
        f"{name}|{trials}": rates_of_others(name, trials, seconds)
        for name, (_, counts) in OTHERS.items()
        for trials in counts
        if only in name
    }
    trials = 4096
    runner = runner_of(work, trials, device=DEVICE)
    begun = time.perf_counter()
    results = [each for some in runner.run(TrialSpec(seed, 0, seed) for seed in range(trials)) for each in some]
    measured["solve"] = (time.perf_counter() - begun) / trials
    measured["steps"] = sum(result.steps for result in results)
    measured["solved"] = sum(result.stop_reason == "solved" for result in results)
    return measured


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description="Stacked trials on a GPU beside JAX.")
    parser.add_argument("--processes", type=int, default=5, help="0 measures in this one and prints JSON")
    parser.add_argument("--only", default="", help="works whose names hold this")
    parser.add_argument("--seconds", type=float, default=0.5, help="for how long to measure a rate")
    arguments = parser.parse_args()
    if not torch.cuda.is_available():
        sys.exit("there is no NVIDIA GPU")
    if not arguments.processes:
        print(json.dumps(measure(arguments.only, arguments.seconds)))
        return
    command = [
        sys.executable,
        __file__,
        f"--only={arguments.only}",
        f"--seconds={arguments.seconds}",
        "--processes=0",
    ]
    measured = []
    with tempfile.TemporaryDirectory() as folder:
        # The second process need not compile the peer again, which takes longer than all that is measured.
        kept = {"JAX_COMPILATION_CACHE_DIR": folder, "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0"}
        for _ in range(arguments.processes):
            done = subprocess.run(command, env=os.environ | kept, stdout=subprocess.PIPE, text=True, check=True)
            measured.append(json.loads(done.stdout.splitlines()[-1]))
    print(f"{torch.cuda.get_device_name()}, PyTorch {torch.__version__}, JAX {jax_peer.jax.__version__}")
    first = [each["cold"][1] for each in measured]
    print(f"nothing compiled, to the first 200 steps of 64 trials: {summed_up(first)} s")
    print(f"{'':<22}{'T':>6}  {'million trial-steps/s':<24}{'times JAX (TF32)':<20}times JAX (float32)")
    for key in measured[0]:
        name, _, trials = key.partition("|")
        if not trials:
            continue
        ours, rounded, exact = zip(*(each[key] for each in measured), strict=True)
        ratios = [summed_up([a / b for a, b in zip(ours, jax, strict=True)]) for jax in (rounded, exact)]
        print(f"{name:<22}{trials:>6}  {summed_up([rate / 1e6 for rate in ours]):<24}{ratios[0]:<20}{ratios[1]}")
    print(f"{'':<22}{'T':>6}  {'as a CUDA graph':<24}{'by eager steps':<24}times")
    for key in measured[0]["others"]:
        name, _, trials = key.partition("|")
        graph, eager = zip(*(each["others"][key] for each in measured), strict=True)
        ratio = summed_up([a / b for a, b in zip(graph, eager, strict=True)], 1)
        shown = [summed_up([rate / 1e6 for rate in rates], 3) for rates in (graph, eager)]
        print(f"{name:<22}{trials:>6}  {shown[0]:<24}{shown[1]:<24}{ratio}")
    solved = summed_up([1 / each["solve"] for each in measured], 0)
    share = f"{measured[0]['solved']:,} of 4,096 solved"
    print(f"trials of (50,3) a second, evaluation included: {solved}; {share}")


if __name__ == "__main__":
    main()
