"""Times the path of a new user who has only pip: from `pip install` to a report of a run in a browser.

A wheel is built first, which is not counted. Then, in an empty folder and a fresh environment, each in a process of its
own: the environment is made, the wheel installed with all that it needs, `fit --config online.yaml` run, a report made
of the run, and Chromium started and the report opened until it is drawn. Nothing is compiled: the run is too short.
What pip has in its cache, or finds on the machine, decides most of it; with --no-cache-dir it takes the net's time.
Beside the seconds by the clock stand those that processors were busy, which say more on a machine with other work.

    python benchmarks/new_user.py [--no-cache-dir]
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import platform
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

import numpy as np

ROOT = Path(__file__).parents[1]


def browser_of_tests() -> ModuleType:
    """Drives Chromium as the tests do."""
    spec = importlib.util.spec_from_file_location("browser", ROOT / "tests" / "browser.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class Stage(NamedTuple):
    """A part of the path, its seconds by the clock and those that processors were busy, and what it printed."""

    what: str
    seconds: float
    busy: float
    output: str = ""


def clocks() -> np.ndarray:
    """Seconds by the clock, and those that processors were busy for processes which have ended."""
    times = os.times()
    return np.array([time.perf_counter(), times.children_user + times.children_system])


def timed(what: str, command: list[str | Path], folder: Path) -> Stage:
    """Runs a command."""
    # A new user has no checkout, so Python must not find this one.
    environment = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "VIRTUAL_ENV")}
    began = clocks()
    done = subprocess.run(command, cwd=folder, env=environment, stdout=subprocess.PIPE, text=True, check=True)
    return Stage(what, *(clocks() - began), done.stdout)


def built_wheel(folder: Path) -> Path:
    """The wheel of this checkout."""
    command = [sys.executable, "-m", "build", "--wheel", "--outdir", str(folder), str(ROOT)]
    subprocess.run(command, stdout=subprocess.DEVNULL, check=True)
    (wheel,) = folder.glob("*.whl")
    return wheel


def printed_path(name: str, output: str) -> str:
    """The path on the line that begins with a name."""
    (line,) = [line for line in output.splitlines() if line.startswith(f"{name}: ")]
    return line.removeprefix(f"{name}: ")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--no-cache-dir", action="store_true", help="leave pip's cache aside")
    no_cache = ["--no-cache-dir"] if parser.parse_args().no_cache_dir else []
    with tempfile.TemporaryDirectory() as place:
        folder, environment = Path(place) / "empty", Path(place) / "environment"
        folder.mkdir()
        wheel = built_wheel(Path(place) / "dist")
        programs = environment / ("Scripts" if os.name == "nt" else "bin")
        pip: list[str | Path] = [programs / "python", "-m", "pip", "install", "--quiet", *no_cache, wheel]
        program = programs / "parity-lightning"
        stages = [
            timed("python -m venv", [sys.executable, "-m", "venv", environment], folder),
            timed(f"pip install {wheel.name}", pip, folder),
            timed("fit --config online.yaml", [program, "fit", "--config", "online.yaml", "--quiet"], folder),
        ]
        run = str(Path(printed_path("summary", stages[-1].output)).parent)
        stages.append(timed("report RUN", [program, "report", run], folder))
        page = folder / printed_path("report", stages[-1].output)
        began = clocks()
        with browser_of_tests().browser() as opened:
            opened.open(page)
            seconds = (clocks() - began)[0]
            assert opened.errors == []
        stages.append(Stage("report open in Chromium", seconds, (clocks() - began)[1]))
        print(f"{platform.platform()}, {os.cpu_count()} cores, Python {platform.python_version()}")
        whole = Stage("all", sum(each.seconds for each in stages), sum(each.busy for each in stages))
        print("seconds  busy  what")
        for stage in [*stages, whole]:
            print(f"{stage.seconds:7.1f} {stage.busy:5.1f}  {stage.what}")


if __name__ == "__main__":
    main()
