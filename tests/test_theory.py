"""What all experiments on the theory have in common."""

from __future__ import annotations

import csv
import json
import math
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from conftest import complaint

from parity_lightning.cli import main
from parity_lightning.experiments import EXPERIMENTS
from parity_lightning.experiments.findings import Findings, write_findings
from parity_lightning.experiments.options import BoundedOptions
from parity_lightning.run_dir.stopwatch import Stopwatch
from parity_lightning.studies.claims import Claim, Estimate, Statement
from parity_lightning.theory.majority import majority_coefficient


def test_the_list_has_every_experiment(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["theory", "--list"])
    assert ended.value.code == 0
    listed = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in listed] == list(EXPERIMENTS)
    assert max(map(len, listed)) <= 120
    folder = Path(sys.modules["parity_lightning.experiments"].__path__[0])
    packages = {path.parent.name for path in folder.glob("*/__init__.py")}
    assert {entry.package for entry in EXPERIMENTS.values()} == packages


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_every_option_is_explained_and_a_wrong_one_refused(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["theory", name, "--help"])
    assert ended.value.code == 0
    told = capsys.readouterr().out
    options = told.partition("options:")[2].split("\n  --")[1:]
    # How much is said is the same in every subcommand.
    options = [option for option in options if option.split()[0] not in ("quiet", "json")]
    assert options
    for option in options:
        # "NAME VALUE   what it is (a whole number; default: 3)"
        explained = " ".join(option.split()).rpartition(" (")[0].split(" ", 2)[-1]
        assert "; default: " in " ".join(option.split())
        assert len(explained.split()) >= 2, option
    assert "--nonsense: no such option" in complaint(["theory", name, "--nonsense=1"], capsys)


def test_an_experiment_prints_and_writes_what_it_found(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["theory", "fourier", "--n", "13,21", "--k=2", f"--runs={tmp_path / 'runs'}"])
    told = capsys.readouterr().out
    (folder,) = (tmp_path / "runs").iterdir()
    assert {path.name for path in folder.iterdir()} == {"data.csv", "fourier.png", "verdict.json"}
    with (folder / "data.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [float(row["inner"]) for row in rows] == [majority_coefficient(13, 1), majority_coefficient(21, 1)]
    # Of 13 signs, the transform of all 8,192 inputs.
    assert [float(row["gamma"]) for row in rows] == [float(row["inner"]) for row in rows]
    assert float(rows[0]["transform"]) == pytest.approx(math.comb(12, 6) / 2**12)
    verdict = json.loads((folder / "verdict.json").read_text())
    assert verdict["options"] == {"n": [13, 21], "k": [2]}
    assert verdict["holds"] is True
    assert told.count("holds: ") == len(verdict["claims"]) == 3
    assert "13  2  0.2256" in told


def test_a_gap_of_definition_1_is_there_from_some_n_on(tmp_path: Path) -> None:
    # Of k = 6 from n = 16 on; of n = 11 the coefficients of sizes 5 and 7 are alike.
    main(["theory", "fourier", "--n=11,15,17,15", "--k=6", f"--runs={tmp_path}"])
    (folder,) = tmp_path.iterdir()
    with (folder / "data.csv").open() as file:
        assert [(row["n"], row["gamma"] != "") for row in csv.DictReader(file)] == [
            ("11", False),
            ("15", False),
            ("17", True),
        ]


def test_nothing_is_left_of_what_is_refused_in_the_middle(tmp_path: Path) -> None:
    with pytest.raises(SystemExit):
        main(["theory", "fourier", "--k=3", f"--runs={tmp_path / 'runs'}"])
    assert not (tmp_path / "runs").exists()


def test_all_is_written_whoever_reads_along(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "parity_lightning", "theory", "fourier", "--n=13", "--k=2", f"--runs={tmp_path}"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    # As head does that has seen enough.
    process.stdout.close()
    process.stdout = None
    _, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (0, "")
    (folder,) = tmp_path.iterdir()
    assert (folder / "verdict.json").exists()


class Row(NamedTuple):
    a: int


@dataclass(frozen=True)
class Odd(BoundedOptions):
    n: tuple[int, ...] = (1,)


def test_odd_numbers_stay_readable_as_json(tmp_path: Path) -> None:
    statement = Statement("c", "a claim", paper=math.inf)
    claim = Claim.reported(statement, Estimate(float(np.float64("nan")), -math.inf, 2.0))
    findings = Findings([Row(1)], [claim], lambda figure: None)
    write_findings(tmp_path, "odd", Odd(n=(1, 2)), findings, Stopwatch())
    (read,) = json.loads((tmp_path / "verdict.json").read_text())["claims"]
    assert (read["paper"], read["ours"], read["holds"], read["low"], read["high"]) == ("inf", "nan", None, "-inf", 2.0)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["forier"], "theory: error: forier: no such experiment; did you mean fourier?"),
        (["fourier", "--k=3"], "theory fourier: error: --k=3: must be even"),
        (["fourier", "--n=14"], "theory fourier: error: --n=14: must be odd"),
        (["fourier", "--n=x"], "theory fourier: error: --n=x: must be whole numbers, 15,31 for example"),
        (["fourier", "--n=[]"], "theory fourier: error: --n=[]: give at least one"),
        (["fourier", "--k=60"], "theory fourier: error: --k=60: must be at most 50"),
        (["fourier", "--runs=/proc/none"], "theory fourier: error: --runs=/proc/none: cannot be written"),
    ],
)
def test_bad_input_is_told_in_one_line(arguments: list[str], told: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert complaint(["theory", *arguments], capsys).startswith(f"parity-lightning {told}")
