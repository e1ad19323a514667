"""The scripts that `make bench` calls run to their end, at their smallest."""

from __future__ import annotations

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[1] / "benchmarks"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("command", "told"),
    [
        (["fit_seconds.py", "--processes=1"], "beside importing and training"),
        (["fit_overhead.py", "--steps=200", "--rounds=1"], "plain PyTorch loop, evaluating 2^13"),
        (["stacked_trials.py", "speed", "--only=PolyNet", "--processes=1"], "of the large product"),
        (["stacked_trials.py", "cold", "--only=PolyNet", "--processes=1"], "PolyNet, another n: ours "),
        (["stacked_trials.py", "solve", "--processes=1"], "one trial of (20,3) alone, warm: "),
        (["stacked_trials.py", "compilers", "--processes=1"], "no compiler  "),
    ],
    ids=lambda each: each[1] if isinstance(each, list) else "",
)
def test_a_benchmark_runs(command: list[str], told: str) -> None:
    needed = {"stacked_trials.py": ["jax"], "compilers": ["ziglang"]}
    for word in command:
        for package in needed.get(word, []):
            if find_spec(package) is None:
                pytest.skip(f"there is no package {package}: pip install 'parity-lightning[bench]'")
    done = subprocess.run([sys.executable, FOLDER / command[0], *command[1:]], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert told in done.stdout
