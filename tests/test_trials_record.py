"""Rows are written as they come, none is lost and none is there twice; statistics treat censored trials as such."""

from __future__ import annotations

import math
import sqlite3
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as parquet
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom

from parity_lightning.engine.trial import MixedComputation, TrialResult
from parity_lightning.errors import SettingError
from parity_lightning.statistics.survival import kaplan_meier, quantile_of, solved_share
from parity_lightning.studies.cells import Extent, Grid
from parity_lightning.studies.settings import Settings
from parity_lightning.studies.store import Store
from parity_lightning.studies.trials_file import TrialsFile
from parity_lightning.studies.variations import combinations_of, parse_variation

COMPILED = "compiled, torch 2.13.0, AVX2, 1 thread"
LR = "model.init_args.optimizer.init_args.lr"


def result(number: int, time: int | None = 100) -> TrialResult:
    return TrialResult(
        *(number, (1, 4), 2**64 - 1, time, time and 50, time or 500, 0.5, 1.5, "solved" if time else "max_steps"),
        computed=COMPILED,
    )


def file_of(path: Path, trials: int = 3, rates: tuple[float, ...] = (0.1, 1.0), n: int = 10) -> TrialsFile:
    cells = Grid({"model.optimizer.lr": rates})
    base = {"data.init_args.n": n, "data.init_args.num_samples": None}
    settings = [Settings(base, {LR: rate}, {}) for rate in rates]
    return TrialsFile(path / "t.parquet", cells, settings, Extent(trials, first_seed=7))


def record(path: Path, trials: int = 3, rates: tuple[float, ...] = (0.1, 1.0), n: int = 10) -> Store:
    return file_of(path, trials, rates, n).store()


def missing(store: Store) -> list[int]:
    return np.flatnonzero(np.isnan(store.convergence_times().reshape(-1))).tolist()


def test_rows_become_a_file_in_order_with_their_settings(tmp_path: Path) -> None:
    file = file_of(tmp_path)
    store = file.store()
    store.add([result(5), result(1, None)])
    store.add([result(0), result(2), result(3), result(4)])
    file.finish(store)
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
    assert file_of(tmp_path).is_complete
    times = file_of(tmp_path).convergence_times()
    assert times.shape == (2, 3)
    assert times[0].tolist() == [100, math.inf, 100]


def test_a_record_that_was_cut_short_goes_on_and_takes_no_row_twice(tmp_path: Path) -> None:
    first = record(tmp_path)
    first.add([result(4), result(0)])
    first.close()
    second = record(tmp_path)
    assert missing(second) == [1, 2, 3, 5]
    second.add([result(0, None), result(1, None)])
    assert missing(second) == [2, 3, 5]
    assert second.convergence_times()[0, 0] == 100


def whole(path: Path) -> Path:
    """The file of six trials."""
    file = file_of(path)
    store = file.store()
    store.add([result(number, number + 1) for number in range(6)])
    file.finish(store)
    return path / "t.parquet"


def test_more_trials_and_more_values_extend_a_file(tmp_path: Path) -> None:
    path = whole(tmp_path)
    before = parquet.read_table(path).to_pylist()
    file = file_of(tmp_path, trials=4, rates=(0.03, 1.0, 0.1))
    assert not file.is_complete
    store = file.store()
    # Trial j of the cell at place i is number 4 i + j: the new value, and a fourth trial of the others.
    assert missing(store) == [0, 1, 2, 3, 7, 11]
    store.add([result(number, None) for number in (0, 1, 2, 3, 7)])
    store.close()
    # The file is there until the longer one is.
    assert parquet.read_table(path).to_pylist() == before
    store = file_of(tmp_path, trials=4, rates=(0.03, 1.0, 0.1)).store()
    assert missing(store) == [11]
    store.add([result(11, None)])
    file.finish(store)
    rows = parquet.read_table(path).to_pylist()
    assert [row["convergence_time"] for row in rows] == [*[None] * 4, 4, 5, 6, None, 1, 2, 3, None]
    assert [row["lr"] for row in rows] == [*[0.03] * 4, *[1.0] * 4, *[0.1] * 4]
    assert [row for row in rows if row["lr"] == 0.1][:3] == before[:3]
    assert not list(tmp_path.glob("*.journal*"))
    # Asked for in another order it is the same file.
    times = file_of(tmp_path, trials=4, rates=(0.1, 0.03, 1.0)).convergence_times()
    assert times[0].tolist() == [1, 2, 3, math.inf]


def test_an_extension_under_way_is_kept_when_the_shorter_file_is_asked_for(tmp_path: Path) -> None:
    whole(tmp_path)
    longer = record(tmp_path, trials=5)
    longer.add([result(3), result(4)])
    longer.close()
    assert file_of(tmp_path).is_complete
    assert missing(record(tmp_path, trials=5)) == [8, 9]


@pytest.mark.parametrize(
    ("others", "told"),
    [
        ({"n": 20}, r"holds other trials: data\.n is 10 there and 20 here; name another file"),
        ({"rates": (0.1, 0.5)}, r"model\.optimizer\.lr is 1\.0 there and 0\.\d here"),
        ({"trials": 1}, "holds 3 trials of each setting, and 1 are asked for"),
    ],
)
def test_other_trials_are_not_mixed_into_a_record_and_what_differs_is_named(
    others: dict[str, Any], told: str, tmp_path: Path
) -> None:
    first = record(tmp_path)
    first.add([result(number) for number in range(6)])
    first.close()
    with pytest.raises(SettingError, match=told):
        record(tmp_path, **others)
    assert not Path(f"{tmp_path / 't.parquet'}.journal.lock").exists()
    file = file_of(tmp_path)
    file.finish(file.store())
    with pytest.raises(SettingError, match=told):
        file_of(tmp_path, **others)
    assert file_of(tmp_path).is_complete


def test_what_has_no_row_is_no_reason_to_refuse(tmp_path: Path) -> None:
    first = record(tmp_path, rates=(0.1, 0.3))
    first.add([result(1)])
    first.close()
    again = record(tmp_path, rates=(0.1, 0.2), trials=2)
    assert missing(again) == [0, 2, 3]


def test_a_file_that_is_none_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "t.parquet").write_text("somebody's notes")
    with pytest.raises(SettingError, match="holds something else"):
        record(tmp_path)
    assert (tmp_path / "t.parquet").read_text() == "somebody's notes"
    with sqlite3.connect(tmp_path / "t.parquet.journal") as database:
        database.execute("CREATE TABLE somebodys (notes TEXT)")
    database.close()
    (tmp_path / "t.parquet").unlink()
    with pytest.raises(SettingError, match="holds something else"):
        record(tmp_path)


def test_a_record_of_another_version_is_refused(tmp_path: Path) -> None:
    record(tmp_path).close()
    with sqlite3.connect(tmp_path / "t.parquet.journal") as database:
        database.execute("UPDATE study SET value = '2' WHERE name = 'format'")
    database.close()
    with pytest.raises(SettingError, match="is of format 2, and this version writes 3"):
        record(tmp_path)


def test_rows_of_a_setting_are_all_computed_in_one_way(tmp_path: Path) -> None:
    first = record(tmp_path)
    first.add([result(0), result(3)._replace(computed="eager")])
    with pytest.raises(MixedComputation, match="round differently"):
        first.add([result(1), result(2)._replace(computed="eager"), result(4)])
    assert missing(first) == [2, 4, 5]
    first.close()
    file = file_of(tmp_path)
    again = file.store()
    assert again.computed == {0: COMPILED, 1: "eager"}
    with pytest.raises(MixedComputation):
        again.add([result(5)])
    again.add([result(2), *(result(number)._replace(computed="eager") for number in (4, 5))])
    file.finish(again)
    rows = parquet.read_table(tmp_path / "t.parquet").to_pylist()
    assert [row["computed"] for row in rows] == [COMPILED] * 3 + ["eager"] * 3


def test_a_row_that_was_changed_on_disk_is_run_again(tmp_path: Path) -> None:
    first = record(tmp_path)
    first.add([result(number) for number in range(4)])
    first.close()
    with sqlite3.connect(tmp_path / "t.parquet.journal") as database:
        database.execute("UPDATE trials SET convergence_time = 99 WHERE trial = 1")
    database.close()
    again = record(tmp_path)
    assert again.damaged == 1
    assert missing(again) == [1, 4, 5]


def test_failures_are_kept_and_forgotten(tmp_path: Path) -> None:
    first = record(tmp_path)
    first.record_failure(1, 3, "RuntimeError: broken")
    first.close()
    again = record(tmp_path, rates=(0.05, 0.1, 1.0))
    assert again.failures() == {2: (3, "RuntimeError: broken")}
    assert again.retry_failed() == 1
    assert again.failures() == {}


def test_rows_of_nobody_knows_what_are_refused(tmp_path: Path) -> None:
    first = record(tmp_path)
    first.add([result(0)])
    first.close()
    with sqlite3.connect(tmp_path / "t.parquet.journal") as database:
        database.execute("DELETE FROM study")
    database.close()
    with pytest.raises(SettingError, match="does not say of which trials"):
        record(tmp_path)


def test_a_journal_left_beside_the_whole_file_goes(tmp_path: Path) -> None:
    path = whole(tmp_path)
    (journal := Path(f"{path}.journal")).write_text("")
    assert file_of(tmp_path).is_complete
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
    for name in ("convergence_time", "onset"):
        parquet.write_table(table.drop([name]), path)
        with pytest.raises(SettingError, match="is damaged"):
            record(tmp_path)


@pytest.mark.parametrize("ending", ["", "-wal", ".lock"])
def test_a_link_in_the_place_of_the_journal_is_not_followed(ending: str, tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("")
    Path(f"{tmp_path / 't.parquet.journal'}{ending}").symlink_to(victim)
    with pytest.raises(SettingError, match="is a link"):
        record(tmp_path)
    assert victim.read_text() == ""


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
    curve = kaplan_meier(steps, max_steps=10)
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
