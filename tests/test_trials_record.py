"""Rows are written as they come, none is lost and none is there twice; statistics treat censored trials as such."""

from __future__ import annotations

import math
import sqlite3
from pathlib import Path

import numpy as np
import pyarrow.parquet as parquet
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom

from parity_lightning.engine.trial import MixedComputation, TrialResult
from parity_lightning.errors import SettingError
from parity_lightning.statistics.survival import quantile_of, solved_share, survival_of
from parity_lightning.studies.record import Record
from parity_lightning.studies.variations import combinations_of, parse_variation
from parity_lightning.studies.workers import Group, spans_of

COMPILED = "compiled, torch 2.13.0, AVX2, 1 thread"
SETTINGS = [{"n": 10, "num_samples": None, "lr": 0.1}, {"n": 10, "num_samples": None, "lr": 1.0}]


def result(number: int, time: int | None = 100) -> TrialResult:
    return TrialResult(
        *(number, (1, 4), 2**64 - 1, time, time and 50, time or 500, 0.5, 1.5, "solved" if time else "max_steps"),
        computed=COMPILED,
    )


def record(path: Path, trials: int = 3, about: str = "these") -> Record:
    return Record(path / "t.parquet", SETTINGS, about, first_seed=7, trials=trials)


def test_rows_become_a_file_in_order_with_their_settings(tmp_path: Path) -> None:
    written = record(tmp_path)
    written.add([result(5), result(1, None)])
    written.add([result(0), result(2), result(3), result(4)])
    written.finish()
    rows = parquet.read_table(tmp_path / "t.parquet").to_pylist()
    assert [(row["trial"], row["seed"], row["lr"]) for row in rows] == [
        *((0, 7, 0.1), (1, 8, 0.1), (2, 9, 0.1)),
        *((0, 7, 1.0), (1, 8, 1.0), (2, 9, 1.0)),
    ]
    assert [row["solved"] for row in rows] == [True, False, True, True, True, True]
    assert rows[1]["convergence_time"] is None
    assert rows[1]["stop_reason"] == "max_steps"
    assert rows[0]["support"] == [1, 4]
    assert rows[0]["data_seed"] == 2**64 - 1
    assert not list(tmp_path.glob("*.journal*"))
    times = record(tmp_path).convergence_times()
    assert times.shape == (2, 3)
    assert times[0].tolist() == [100, math.inf, 100]


def test_a_record_that_was_cut_short_goes_on_and_takes_no_row_twice(tmp_path: Path) -> None:
    first = record(tmp_path)
    first.add([result(4), result(0)])
    del first
    second = record(tmp_path)
    assert list(second.missing()) == [1, 2, 3, 5]
    assert second.count() == (2, 2)
    second.add([result(0, None), result(1, None)])
    assert second.count() == (3, 2)
    assert np.isnan(second.convergence_times()).sum() == 3


def test_other_trials_are_not_mixed_into_a_record(tmp_path: Path) -> None:
    first = record(tmp_path)
    first.begin()
    first.close()
    with pytest.raises(SettingError, match="holds something else"):
        record(tmp_path, about="others")
    whole = record(tmp_path)
    whole.add([result(number) for number in range(6)])
    whole.finish()
    with pytest.raises(SettingError, match="holds something else"):
        record(tmp_path, trials=4)
    (tmp_path / "t.parquet").write_text("somebody's notes")
    with pytest.raises(SettingError, match="holds something else"):
        record(tmp_path)
    assert (tmp_path / "t.parquet").read_text() == "somebody's notes"


def whole(path: Path) -> Path:
    """The file of six trials."""
    written = record(path)
    written.add([result(number) for number in range(6)])
    written.finish()
    return path / "t.parquet"


def test_rows_of_a_setting_are_all_computed_in_one_way(tmp_path: Path) -> None:
    first = record(tmp_path)
    first.add([result(0), result(3)._replace(computed="eager")])
    with pytest.raises(MixedComputation, match="round differently"):
        first.add([result(1), result(2)._replace(computed="eager"), result(4)])
    assert list(first.missing()) == [2, 4, 5]
    first.close()
    again = record(tmp_path)
    assert again.computed == {0: COMPILED, 1: "eager"}
    with pytest.raises(MixedComputation):
        again.add([result(5)])
    again.add([result(2), *(result(number)._replace(computed="eager") for number in (4, 5))])
    again.finish()
    rows = parquet.read_table(tmp_path / "t.parquet").to_pylist()
    assert [row["computed"] for row in rows] == [COMPILED] * 3 + ["eager"] * 3


def test_a_row_that_was_changed_on_disk_is_run_again(tmp_path: Path) -> None:
    first = record(tmp_path)
    first.add([result(number) for number in range(4)])
    first.close()
    with sqlite3.connect(tmp_path / "t.parquet.journal") as database:
        database.execute("UPDATE trials SET convergence_time = 99 WHERE number = 1")
    database.close()
    again = record(tmp_path)
    assert again.damaged == 1
    assert list(again.missing()) == [1, 4, 5]


def test_a_refused_record_keeps_its_rows(tmp_path: Path) -> None:
    first = record(tmp_path)
    first.add([result(number) for number in range(5)])
    first.close()
    with pytest.raises(SettingError, match="holds something else"):
        record(tmp_path, trials=1)
    assert list(record(tmp_path).missing()) == [5]


def test_rows_of_nobody_knows_what_are_refused(tmp_path: Path) -> None:
    first = record(tmp_path)
    first.add([result(0)])
    first.close()
    with sqlite3.connect(tmp_path / "t.parquet.journal") as database:
        database.execute("DELETE FROM about")
    database.close()
    with pytest.raises(SettingError, match="does not say of which trials"):
        record(tmp_path)


def test_a_journal_left_beside_the_whole_file_goes(tmp_path: Path) -> None:
    path = whole(tmp_path)
    (journal := Path(f"{path}.journal")).write_text("")
    assert record(tmp_path).is_complete
    assert not journal.exists()


def test_a_journal_that_is_none_is_refused_and_left_alone(tmp_path: Path) -> None:
    journal = tmp_path / "t.parquet.journal"
    journal.write_bytes(b"somebody's notes" * 100)
    with pytest.raises(SettingError, match=r"its journal .* is damaged .*; remove it"):
        record(tmp_path)
    assert journal.read_bytes() == b"somebody's notes" * 100
    assert not Path(f"{journal}.lock").exists()


def test_a_file_with_fewer_rows_or_other_numbers_is_refused(tmp_path: Path) -> None:
    path = whole(tmp_path)
    table = parquet.read_table(path)
    parquet.write_table(table.slice(0, 4), path)
    with pytest.raises(SettingError, match="has 4 rows of 6; remove it"):
        record(tmp_path)
    times = table["convergence_time"].to_pylist()
    place = table.column_names.index("convergence_time")
    parquet.write_table(table.set_column(place, "convergence_time", [[*times[:5], 7]]), path)
    with pytest.raises(SettingError, match="other convergence times than were written"):
        record(tmp_path)
    parquet.write_table(table.drop(["convergence_time"]), path)
    with pytest.raises(SettingError, match="is damaged"):
        record(tmp_path)


@pytest.mark.parametrize("ending", ["", "-wal", ".lock"])
def test_a_link_in_the_place_of_the_journal_is_not_followed(ending: str, tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("")
    Path(f"{tmp_path / 't.parquet.journal'}{ending}").symlink_to(victim)
    with pytest.raises(SettingError, match="is a link"):
        record(tmp_path).begin()
    assert victim.read_text() == ""


@given(st.sets(st.integers(0, 19)))
def test_spans_hold_every_number_once_group_by_group(missing: set[int]) -> None:
    groups = [Group((0, 3)), Group((1, 2))]
    spans = spans_of(iter(sorted(missing)), groups, trials=5)
    assert sorted(number for _, first, end in spans for number in range(first, end)) == sorted(missing)
    assert [group for group, _, _ in spans] == sorted(group for group, _, _ in spans)
    for group, first, end in spans:
        assert {number // 5 for number in range(first, end)} <= set(groups[group].settings)


@given(st.integers(1, 60), st.sampled_from([0.1, 0.5, 0.9]))
def test_intervals_of_quantiles_cover_as_often_as_they_say(count: int, share: float) -> None:
    interval = quantile_of(np.arange(1.0, count + 1), share)
    low = 0 if interval.low == 0 else int(interval.low)
    high = count + 1 if math.isinf(interval.high) else int(interval.high)
    # The number of trials below the true quantile is binomial; the interval covers it if that is low .. high - 1.
    covered = sum(binom.pmf(below, count, share) for below in range(low, high))
    assert covered >= 0.95 - 1e-9


@given(st.lists(st.one_of(st.integers(1, 9), st.none()), min_size=1, max_size=30))
def test_survival_is_the_share_that_takes_longer(times: list[int | None]) -> None:
    steps = np.array([math.inf if time is None else float(time) for time in times])
    curve = survival_of(steps, max_steps=10)
    for at, share in zip(curve.steps, curve.share, strict=True):
        assert share == pytest.approx(np.mean(steps > at))
    assert (curve.low <= curve.share + 1e-12).all()
    assert (curve.share <= curve.high + 1e-12).all()


def test_a_median_of_mostly_unsolved_trials_is_unsolved() -> None:
    assert str(quantile_of(np.array([10.0, math.inf, math.inf]))) == "unsolved"
    assert solved_share(np.array([math.inf])).low == 0
    # Clopper-Pearson of 0 of 3: 1 - alpha/2 is (1 - p)^3.
    assert solved_share(np.full(3, math.inf), level=0.9).high == pytest.approx(1 - 0.05 ** (1 / 3))


@pytest.mark.parametrize("text", ["lr", "lr=", "=[1]", "lr=3", "lr=[]", "lr=[1", "lr=a..b"])
def test_a_bad_variation_is_refused_in_one_line(text: str) -> None:
    with pytest.raises(SettingError, match="give OPTION="):
        parse_variation(text)


def test_an_option_is_not_varied_twice() -> None:
    with pytest.raises(SettingError, match="varied twice"):
        combinations_of([parse_variation("a=[1]"), parse_variation("a=[2]")])
