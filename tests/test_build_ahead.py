"""The steps in C++ are built while a command of its own process imports what it needs."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from parity_lightning.cli.cores import cores

CONFIG = Path(__file__).parents[1] / "configs" / "online.yaml"


def run(folder: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Runs ``fit`` in a process of its own with an empty folder of compiled functions."""
    (libraries := folder / "libraries").mkdir(mode=0o700, exist_ok=True)
    command = [sys.executable, "-m", "parity_lightning", "fit", f"--config={CONFIG}", *arguments]
    place = {"PARITY_LIGHTNING_CACHE": str(libraries), **environment}
    return subprocess.run(command, cwd=folder, env={**os.environ, **place}, capture_output=True, text=True)


@pytest.mark.compiles
@pytest.mark.skipif(cores() == 1, reason="nothing is done side by side on one core")
def test_a_first_run_says_that_it_waits_and_a_refused_one_says_what_is_wrong_alone(tmp_path: Path) -> None:
    refused = run(tmp_path, "--model.width=0")
    assert refused.returncode == 2
    assert refused.stderr == "parity-lightning fit: error: --model.width=0: must be at least 1\n"
    # What the refused one began to build was not finished, or was and counts.
    first = run(tmp_path, "--trainer.max_steps=50", "--trainer.accelerator=cpu")
    assert first.returncode == 0
    assert first.stderr.count("compiling the steps in C++, once: some seconds\n") <= 1
    (library,) = (tmp_path / "libraries").glob("*.so")
    assert f'"computed": "fit, C++ {library.stem[:8]}' in next(tmp_path.glob("runs/*/summary.json")).read_text()


def test_what_fails_ahead_is_told_once(tmp_path: Path) -> None:
    told = run(tmp_path, "--trainer.max_steps=50", "--trainer.accelerator=cpu", CXX="no-such-compiler")
    assert told.returncode == 0
    said = [line for line in (told.stdout + told.stderr).splitlines() if "no-such-compiler" in line]
    assert said == ["training without compiled steps: CXX=no-such-compiler: no such program; name a C++ compiler"]
