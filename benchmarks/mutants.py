"""How many small mistakes in packages the tests notice: mutmut makes them, one at a time.

    python benchmarks/mutants.py engine --sample 120 --seed 1

Of a large package a sample says as much as all: mutants are drawn at random, and the share has a Wilson 95 % interval.
A mistake counts as noticed if a test fails, crashes or does not end in time. What no test noticed is listed;
``mutmut show NAME`` shows it.
"""

from __future__ import annotations

import argparse
import os
import random
import subprocess
import sys
from pathlib import Path

from mutmut.configuration import config
from mutmut.mutation.data import SourceFileMutationData
from mutmut.mutation.file_mutation import mutate_file_contents
from mutmut.stats import status_by_exit_code
from mutmut.utils.format_utils import get_mutant_name
from scipy import stats

NOTICED = ("killed", "timeout", "segfault")
# All tests compile into one folder: each mutant has a session of its own.
LIBRARIES = Path("mutants", "libraries").absolute()


def mutants_of(package: str) -> dict[str, Path]:
    """The names of all mutants of a package, and the files that they are in."""
    paths = [path for path in sorted(Path("parity_lightning", package).rglob("*.py")) if config().should_mutate(path)]
    every = ((path, mutate_file_contents(str(path), path.read_text()).mutant_names) for path in paths)
    return {get_mutant_name(path, name): path for path, names in every for name in names}


def statuses_of(paths: set[Path]) -> dict[str, str]:
    """What became of the mutants in files."""
    found = {}
    for path in paths:
        data = SourceFileMutationData(path=path)
        data.load()
        found |= {name: status_by_exit_code[code] for name, code in data.exit_code_by_key.items()}
    return found


def tell(package: str, sample: int | None, seed: int) -> None:
    """Tries the mutants of a package, or some of them, and prints how many were noticed."""
    path_of = mutants_of(package)
    count = len(path_of) if sample is None else min(sample, len(path_of))
    drawn = random.Random(seed).sample(sorted(path_of), count)
    LIBRARIES.mkdir(mode=0o700, parents=True, exist_ok=True)
    own = {"OMP_NUM_THREADS": "1", "PARITY_LIGHTNING_CACHE": str(LIBRARIES)}
    subprocess.run([Path(sys.executable).with_name("mutmut"), "run", *drawn], env=os.environ | own, check=True)
    status = statuses_of({path_of[name] for name in drawn})
    left = [name for name in sorted(drawn) if status[name] not in NOTICED]
    for name in left:
        print(f"{status[name]}: {name}")
    share = 1 - len(left) / count
    interval = stats.binomtest(count - len(left), count).proportion_ci(method="wilson")
    print(f"{package}: {count} of {len(path_of)} mutants, seed {seed}; {count - len(left)} noticed")
    print(f"{share:.1%} (95 % interval {interval.low:.1%} to {interval.high:.1%})")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("packages", nargs="+", help="packages in parity_lightning")
    parser.add_argument("--sample", type=int, help="how many mutants of each to draw (default: all)")
    parser.add_argument("--seed", type=int, default=0, help="decides which (default: %(default)s)")
    given = parser.parse_args()
    for package in given.packages:
        tell(package, given.sample, given.seed)


if __name__ == "__main__":
    main()
