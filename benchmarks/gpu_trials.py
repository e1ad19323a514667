"""Stacked trials on an NVIDIA GPU beside JAX on the same card.

    pip install "jax[cuda13]"
    python benchmarks/gpu_trials.py

Everything is measured in processes of its own (``--processes``); what is printed is their median, with the range. By
default JAX rounds the factors of products to TF32; the last column compares with JAX in full single precision, in which
our kernels always compute.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from typing import Any

os.environ["XLA_PYTHON_CLIENT_PREALLOCATE"] = "false"

import jax_peer
import torch
from stacked_trials import WORKS, our_rate, runner_of, summed_up

from parity_lightning.engine.trial import TrialSpec

TRIALS = (1, 64, 1024, 4096, 16384)
DEVICE = "cuda"


def measure(only: str) -> dict[str, Any]:
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
            rates = [our_rate(each, trials, DEVICE)]
            for precision in ("default", "highest"):
                with jax_peer.jax.default_matmul_precision(precision):
                    rates.append(jax_peer.rate(each, trials, 1.0))
            measured[f"{name}|{trials}"] = rates
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
    arguments = parser.parse_args()
    if not torch.cuda.is_available():
        sys.exit("there is no NVIDIA GPU")
    if not arguments.processes:
        print(json.dumps(measure(arguments.only)))
        return
    command = [sys.executable, __file__, f"--only={arguments.only}", "--processes=0"]
    measured = []
    for _ in range(arguments.processes):
        done = subprocess.run(command, capture_output=True, text=True, check=True)
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
    solved = summed_up([1 / each["solve"] for each in measured], 0)
    share = f"{measured[0]['solved']:,} of 4,096 solved"
    print(f"trials of (50,3) a second, evaluation included: {solved}; {share}")


if __name__ == "__main__":
    main()
