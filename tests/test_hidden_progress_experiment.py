"""Alarms against the rate of false ones that was asked for, and the experiment that uses them."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest

from parity_lightning.cli import main
from parity_lightning.theory.alarms import calibrate


@pytest.mark.parametrize("asked", [0.01, 0.1])
def test_new_trials_without_progress_give_about_as_many_alarms_as_asked_for(asked: float) -> None:
    chance = np.random.default_rng(0)

    def random_walks(trials: int) -> np.ndarray:
        return np.abs(chance.normal(size=(trials, 50, 20)).cumsum(1)).max(2)

    alarm = calibrate(random_walks(4000), asked)
    heard = np.isfinite(alarm.first(random_walks(4000))).mean()
    # Five standard errors of the two samples.
    assert heard == pytest.approx(asked, abs=5 * np.sqrt(2 * asked / 4000))
    # A drift is heard once it is larger than the walk.
    drifting = random_walks(100) + 3.0 * np.arange(1, 51)
    assert np.isfinite(alarm.first(drifting)).all()


def test_the_measure_leads_and_random_labels_do_not_move_it(tmp_path: Path) -> None:
    options = ["--n=10", "--k=3", "--trials=20", "--steps=400", "--every=10", "--gap_trials=2", "--width=40"]
    main(["theory", "hidden-progress", *options, "--lr=0.1", f"--runs={tmp_path}"])
    (folder,) = tmp_path.iterdir()
    verdict = json.loads((folder / "verdict.json").read_text())
    assert verdict["options"]["trials"] == 20
    with (folder / "alarms.csv").open() as file:
        alarms = list(csv.DictReader(file))
    earlier = sum(float(row["movement alarm"]) < float(row["accuracy alarm"]) for row in alarms)
    assert verdict["claims"][0]["ours"] == pytest.approx(earlier / 20)
    with (folder / "curves.csv").open() as file:
        curves = list(csv.DictReader(file))
    last = {row["labels"]: row for row in curves if row["step"] == "400"}
    assert float(last["parity"]["accuracy"]) == 1.0
    assert float(last["random"]["accuracy"]) < 0.6
    assert float(last["parity"]["movement"]) > 2 * float(last["random"]["movement"])
