"""Alarms against the rate of false ones that was asked for, and the experiment that uses them."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from conftest import complaint

from parity_lightning.cli import main
from parity_lightning.statistics.alarms import calibrate


@pytest.mark.parametrize("asked", [0.01, 0.1])
def test_new_trials_without_progress_give_about_as_many_alarms_as_asked_for(asked: float) -> None:
    chance = np.random.default_rng(0)

    def random_walks(trials: int) -> np.ndarray:
        return np.abs(chance.normal(size=(trials, 50, 20)).cumsum(1)).max(2)

    alarm = calibrate(random_walks(4000), asked)
    heard = np.isfinite(alarm.first(random_walks(4000))).mean()
    assert alarm.expected == pytest.approx(asked, abs=1 / 4001)
    # Five standard errors of the two samples.
    assert heard == pytest.approx(asked, abs=5 * np.sqrt(2 * asked / 4000))
    # A drift is heard once it is larger than the walk.
    drifting = random_walks(100) + 3.0 * np.arange(1, 51)
    assert np.isfinite(alarm.first(drifting)).all()


def test_few_trials_give_as_many_false_alarms_as_they_say() -> None:
    chance = np.random.default_rng(1)
    heard = []
    for _ in range(2000):
        # The same mean at each time, so that all trials are alike.
        alarm = calibrate(np.exp(chance.normal(size=(12, 1))), 0.1)
        assert alarm.expected == 1 / 13
        heard.append(np.isfinite(alarm.first(np.exp(chance.normal(size=(20, 1))))).mean())
    # Half a hundredth more or less; 0.1 it is not.
    assert np.mean(heard) == pytest.approx(1 / 13, abs=0.01)
    with pytest.raises(ValueError, match="12 trials cannot tell"):
        calibrate(np.ones((12, 1)), 0.05)


@pytest.mark.parametrize(
    ("option", "told"),
    [
        ("--lr=0", "lr=0.0: must be above 0"),
        ("--batch_size=0", "batch_size=0: must be at least 1"),
        ("--every=3", "every=3: must divide steps=1000"),
        ("--false_alarms=0.001", "false_alarms=0.001: must be at least 1/(trials+1)"),
    ],
)
def test_what_makes_no_sense_is_refused(
    option: str, told: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert told in complaint(["theory", "hidden-progress", option, f"--runs={tmp_path / 'runs'}"], capsys)
    assert not (tmp_path / "runs").exists()


def test_too_few_steps_decide_nothing(tmp_path: Path) -> None:
    few = ["--n=10", "--k=3", "--trials=12", "--gap_trials=4", "--steps=20", "--width=20", "--false_alarms=0.1"]
    main(["theory", "hidden-progress", *few, f"--runs={tmp_path}"])
    (folder,) = tmp_path.iterdir()
    claims = json.loads((folder / "verdict.json").read_text())["claims"]
    grown = next(claim for claim in claims if "all labels are right" in claim["claim"])
    assert (grown["ours"], grown["holds"]) == ("no run", None)


def test_the_measure_leads_and_random_labels_do_not_move_it(tmp_path: Path) -> None:
    options = [
        "--n=10",
        "--k=3",
        "--trials=20",
        "--false_alarms=0.05",
        "--steps=400",
        "--every=10",
        "--gap_trials=2",
        "--width=40",
    ]
    main(["theory", "hidden-progress", *options, "--lr=0.1", f"--runs={tmp_path}"])
    (folder,) = tmp_path.iterdir()
    verdict = json.loads((folder / "verdict.json").read_text())
    assert verdict["options"]["trials"] == 20
    with (folder / "alarms.csv").open() as file:
        alarms = list(csv.DictReader(file))
    earlier = sum(float(row["movement_alarm"]) < float(row["accuracy_alarm"]) for row in alarms)
    assert verdict["claims"][0]["ours"] == pytest.approx(earlier / 20)
    leads = [float(row["accuracy_alarm"]) - float(row["movement_alarm"]) for row in alarms]
    lead = verdict["claims"][1]
    assert lead["ours"] == np.median(leads)
    assert lead["low"] in leads
    assert lead["high"] in leads
    assert lead["holds"] is (True if lead["low"] > 0 else None)
    with (folder / "curves.csv").open() as file:
        curves = list(csv.DictReader(file))
    last = {row["labels"]: row for row in curves if row["step"] == "400"}
    assert float(last["parity"]["accuracy"]) == 1.0
    assert float(last["random"]["accuracy"]) < 0.6
    assert float(last["parity"]["movement"]) > 2 * float(last["random"]["movement"])
