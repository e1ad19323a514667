"""Random searches against their laws, tests of times against simulated truth, training against torch's own."""

from __future__ import annotations

import csv
import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import complaint
from scipy import stats

from parity_lightning.cli import main
from parity_lightning.data.sparse_parity import SparseParity
from parity_lightning.errors import SettingError
from parity_lightning.experiments.convergence_times import train
from parity_lightning.experiments.recorded_times import Sample, read_trials
from parity_lightning.experiments.section3_random_search.claims import is_telling, make_claims
from parity_lightning.experiments.section3_random_search.experiment import row_of
from parity_lightning.statistics.memoryless import (
    detectable_deviation,
    dispersion_pvalue,
    dkw_pvalue,
    excess_over_fastest,
    first_success_pvalue,
    geometric_law,
    rate_of,
    samples_for,
    uniform_law,
)
from parity_lightning.theory.random_search import langevin_search, search_subsets


def geometric(generator: np.random.Generator, rate: float, trials: int) -> np.ndarray:
    return generator.geometric(rate, trials).astype(float)


@pytest.mark.parametrize(("n", "k"), [(4, 2), (5, 1), (6, 3)])
def test_a_search_in_random_order_takes_uniform_times(n: int, k: int) -> None:
    count = math.comb(n, k)
    times = search_subsets(SparseParity(n, k, seed=3), trials=2000, again=False, seed=5)
    found = np.bincount(times.astype(int), minlength=count + 1)[1:]
    assert len(found) == count
    assert stats.chisquare(found).pvalue > 0.001
    assert dkw_pvalue(times, uniform_law(count)) > 0.001
    assert dkw_pvalue(times, geometric_law(1 / count)) < 1e-6


def test_a_search_that_forgets_takes_geometric_times() -> None:
    times = search_subsets(SparseParity(4, 2, seed=3), trials=2000, again=True, seed=5)
    edges = np.array([1, 2, 3, 4, 5, 6, 8, 10, 14, 1000])
    found = np.histogram(times, edges)[0]
    expected = np.diff(stats.geom.cdf(edges - 1, 1 / 6))
    assert stats.chisquare(found, 2000 * expected / expected.sum()).pvalue > 0.001
    assert dkw_pvalue(times, geometric_law(1 / 6)) > 0.001
    # From 0 instead of 1, or with another rate: both told apart.
    assert dkw_pvalue(times - 1, geometric_law(1 / 6)) < 1e-6
    assert dkw_pvalue(times, geometric_law(1 / 5)) < 1e-3


def test_laws_are_those_of_scipy() -> None:
    tries = np.arange(0, 30)
    np.testing.assert_allclose(geometric_law(0.2)(tries), stats.geom.cdf(tries, 0.2), atol=1e-12)
    np.testing.assert_allclose(uniform_law(10)(tries), stats.randint.cdf(tries, 1, 11), atol=1e-12)


def test_a_search_with_too_few_examples_errs() -> None:
    # One example: half of the wrong sets pass, so the first set is taken with probability near one half.
    times = search_subsets(SparseParity(6, 3, seed=3), trials=2000, again=False, examples=1)
    assert np.mean(times == 1) == pytest.approx(0.5 * 19 / 20 + 1 / 20, abs=0.04)


def test_wandering_with_full_steps_is_geometric() -> None:
    times = langevin_search(2, 1, units=4, trials=1500, step=1.0, max_steps=2000, seed=1)
    # The rate of independent draws, from other networks: the share of those right on all four inputs.
    weights = torch.randn(200_000, 4, 4, generator=torch.Generator().manual_seed(9))
    x = torch.tensor([[1.0, 1, 1], [-1, 1, 1], [1, -1, 1], [-1, -1, 1]])
    outputs = (torch.einsum("tuj,ij->tiu", weights[..., :3], x).clamp(min=0) * weights[:, None, :, 3]).sum(-1)
    rate = (outputs * x[:, 0] > 0).all(-1).double().mean().item()
    assert np.isfinite(times).all()
    assert times.mean() == pytest.approx(1 / rate, rel=0.1)
    assert dkw_pvalue(times, geometric_law(rate)) > 0.001


def test_wandering_by_small_steps_succeeds_at_the_first_try_as_often_and_later_less() -> None:
    # A mixture of geometric laws: most likely at first, so not the law of a search that gets better.
    quick, slow = (
        langevin_search(2, 1, 4, 1500, 1.0, 20_000, seed=2),
        langevin_search(2, 1, 4, 1500, 0.02, 20_000, seed=3),
    )
    assert np.mean(slow == 1) == pytest.approx(1 / quick.mean(), abs=0.02)
    assert np.mean(slow == 1) > 3 / slow.mean()
    assert dkw_pvalue(slow, geometric_law(1 / slow.mean())) < 0.05
    assert first_success_pvalue(slow, 1, 20_000) == 1.0


@pytest.mark.parametrize("limit", [np.inf, 2000.0])
def test_false_alarms_of_the_test_of_early_successes_are_as_many_as_it_says(limit: float) -> None:
    generator = np.random.default_rng(0)
    p = []
    for _ in range(4000):
        times = geometric(generator, 1 / 2000, 40)
        p.append(first_success_pvalue(np.where(times <= limit, times, np.inf), 1, limit))
    assert stats.kstest(p, "uniform").pvalue > 0.001
    assert np.mean(np.array(p) <= 0.05) == pytest.approx(0.05, abs=0.011)


@pytest.mark.parametrize("every", [1, 50])
def test_false_alarms_are_no_more_when_rates_differ_or_times_are_rounded_up(every: int) -> None:
    generator = np.random.default_rng(1)
    p = []
    for _ in range(2000):
        rates = np.exp(generator.normal(0, 1, 30)) / 2000
        p.append(
            first_success_pvalue(every * np.ceil(generator.geometric(np.minimum(rates, 1)) / every), every, np.inf)
        )
    assert np.mean(np.array(p) <= 0.05) < 0.05 + 0.011


def test_the_test_of_early_successes_by_hand() -> None:
    # Four trials, the fastest two at 30 and 50, told to 10: first wait 4 * (30 - 10), all waits 30 + 50 + 50 + 50.
    times = np.array([50.0, 30.0, 70.0, np.inf])
    assert first_success_pvalue(times, 10, 90) == pytest.approx(1 - 80 / 180)
    # Cut off before the second success of a pair of four: all waited is what they waited.
    assert first_success_pvalue(
        np.array([30.0, 50.0, np.inf, np.inf]), 10, np.array([1, 1, 40.0, 50.0])
    ) == pytest.approx(1 - 80 / (1 + 1 + 40 + 50))
    assert first_success_pvalue(np.full(5, np.inf), 10, 90) == 1.0


def test_false_alarms_of_the_test_of_spread_are_as_many_as_it_says() -> None:
    generator = np.random.default_rng(2)
    for limit in (np.inf, 100.0):
        alarms = 0
        for repeat in range(300):
            times = geometric(generator, 1 / 100, 30)
            alarms += dispersion_pvalue(np.where(times <= limit, times, np.inf), 1, limit, 99, repeat) <= 0.05
        assert stats.binomtest(alarms, 300, 0.05).pvalue > 0.001


def test_both_tests_tell_a_law_with_a_dead_time_from_a_memoryless_one() -> None:
    generator = np.random.default_rng(3)
    late = 500 + geometric(generator, 1 / 500, 100)
    assert first_success_pvalue(late, 1, np.inf) < 1e-6
    assert dispersion_pvalue(late, 1, np.inf) < 0.01
    # Granted the dead time nothing is left to tell.
    assert dispersion_pvalue(excess_over_fastest(late, 1), 1, np.inf) > 0.01
    alike = np.round(generator.normal(1000, 100, 100))
    assert dispersion_pvalue(excess_over_fastest(alike, 1), 1, np.inf) < 0.01


def test_a_mixture_of_rates_is_told_by_its_wide_spread() -> None:
    generator = np.random.default_rng(5)
    mixed = np.concatenate([geometric(generator, 1 / 20, 100), geometric(generator, 1 / 2000, 100)])
    assert dispersion_pvalue(mixed, 1, np.inf, wide=True) < 0.01 < dispersion_pvalue(mixed, 1, np.inf)
    alarms = sum(
        dispersion_pvalue(geometric(generator, 0.01, 30), 1, np.inf, 99, i, wide=True) <= 0.05 for i in range(300)
    )
    assert stats.binomtest(alarms, 300, 0.05).pvalue > 0.001


def test_the_deviation_that_is_told_is_the_one_whose_p_is_the_level() -> None:
    # All times are 1 where the law has probability 1 - d of at most 1: so far from it as d.
    far = detectable_deviation(500, 0.01)
    assert dkw_pvalue(np.ones(500), geometric_law(1 - far)) == pytest.approx(0.01)
    assert 1 / (1 + samples_for(10**6, 0.01)) < 0.01


def wandering(times: np.ndarray, limit: float, level: float = 0.01 / 3) -> bool | None:
    sample = Sample("Langevin", 2, 2, np.where(times <= limit, times, np.inf), 1, limit)
    (claim,) = make_claims(sample, level, row_of(sample, level, 0), 0)
    assert "a search over parameters is memoryless (Langevin, (2, 2))" in str(claim)
    return claim.holds


def test_wandering_is_memoryless_only_if_the_data_tell() -> None:
    generator = np.random.default_rng(6)
    times = geometric(generator, 1 / 500, 200)
    assert wandering(times, 60_000) is True
    # Too few trials, too few of them solved, none solved.
    assert wandering(times[:20], 60_000) is None
    assert wandering(times, 600) is None
    assert wandering(times, 0.5) is None
    # A late start; a mixture.
    assert wandering(times + 500, 60_000) is False
    assert wandering(np.concatenate([times[:100], geometric(generator, 1 / 20_000, 100)]), 1e6) is False
    # Not even the smallest p of as few samples is below the level.
    assert not is_telling(Sample("Langevin", 2, 2, times), level=1e-6)
    assert is_telling(Sample("Langevin", 2, 2, times), level=1e-3)


@pytest.mark.parametrize(("searches", "holds"), [(100, None), (2000, True)])
def test_few_searches_support_no_law(searches: int, holds: bool | None) -> None:
    times = geometric(np.random.default_rng(7), 0.1, searches)
    for law, expected in ((geometric_law(0.1), holds), (geometric_law(0.5), False)):
        sample = Sample("drawn anew", 5, 2, times, law=law)
        (claim,) = make_claims(sample, 0.005, row_of(sample, 0.005, 0), 0)
        assert claim.holds is expected


def test_the_rate_counts_what_unsolved_trials_waited() -> None:
    generator = np.random.default_rng(4)
    times = geometric(generator, 0.01, 20_000)
    cut = np.where(times <= 50, times, np.inf)
    assert np.isfinite(cut).mean() < 0.5
    assert rate_of(cut, 1, 50.0) == pytest.approx(0.01, rel=0.03)


def test_training_solves_at_the_times_it_says_whatever_trains_beside() -> None:
    parities = SparseParity(10, 2).with_seeds(range(6))
    settings = {"width": 20, "batch_size": 16, "lr": 0.5, "every": 5}
    times = train(parities, max_steps=1000, **settings)
    assert np.isfinite(times).all()
    assert (times % 5 == 0).all()
    # Cut off at the median, exactly those are unsolved that need more.
    cut = train(parities, max_steps=int(np.median(times)), **settings)
    np.testing.assert_array_equal(cut, np.where(times <= int(np.median(times)) // 5 * 5, times, np.inf))


def test_nothing_is_solved_by_learning_at_rate_zero() -> None:
    assert np.isinf(train(SparseParity(10, 2).with_seeds(range(3)), 20, 4, 1e-9, 5, 20)).all()


def write_trials(path: Path, times: list[int | None]) -> None:
    import pyarrow
    import pyarrow.parquet as parquet

    rows = [
        {
            "trial": i,
            "convergence_time": time,
            "steps": time or 400,
            "n": 10,
            "k": 3,
            "val_check_interval": 10,
            "lr": 0.1,
        }
        for i, time in enumerate(times)
    ]
    parquet.write_table(pyarrow.Table.from_pylist(rows), path)


def test_the_experiment_reads_a_file_of_trials(tmp_path: Path) -> None:
    times: list[int | None] = [200, 210, 240, None, 220, 230, 250, 260, 270, 200, 210, 220]
    write_trials(tmp_path / "trials.parquet", times)
    small = ["--searches=200", "--langevin_n=2", "--langevin_networks=20", "--search_n=5", "--search_k=2"]
    main(["theory", "random-search", f"--trials={tmp_path}/trials.parquet", *small, f"--runs={tmp_path}/runs"])
    (folder,) = (tmp_path / "runs").iterdir()
    rows = {row["search"]: row for row in csv.DictReader((folder / "data.csv").read_text().splitlines())}
    row = rows["trials"]
    assert (row["trials"], row["solved"], float(row["first"])) == ("12", "11", 200.0)
    assert float(row["mean"]) == round(sum(time or 400 for time in times) / 11)
    # The fastest six: 200, 200, 210, 210, 220, 220, and six that waited 220 too.
    share = 12 * 190 / (200 + 200 + 210 + 210 + 8 * 220)
    assert float(row["p_early"]) == pytest.approx((1 - share) ** 5)
    assert float(rows["drawn anew"]["mean"]) == pytest.approx(10, rel=0.3)
    assert float(rows["random order"]["mean"]) == pytest.approx(5.5, rel=0.2)
    verdict = json.loads((folder / "verdict.json").read_text())
    early = next(claim for claim in verdict["claims"] if "no early convergence" in claim["claim"])
    assert early["holds"] == ((1 - share) ** 5 < 0.01)
    assert f"{12 * (1 - (1 - 10 * 11 / 2910) ** 19):.0f} of 12" in early["claim"]


def test_a_memoryless_search_is_found_to_be_one(tmp_path: Path) -> None:
    times = np.random.default_rng(8).geometric(1 / 5000, 100).tolist()
    write_trials(tmp_path / "trials.parquet", times)
    small = ["--searches=10", "--langevin_n=2", "--langevin_networks=10", "--search_n=4", "--search_k=2"]
    main(["theory", "random-search", f"--trials={tmp_path}/trials.parquet", *small, f"--runs={tmp_path}/runs"])
    (verdict,) = (tmp_path / "runs").glob("*/verdict.json")
    claims = json.loads(verdict.read_text())["claims"]
    assert [claim["holds"] for claim in claims if "SGD" not in claim["claim"] and "(10, 3)" in claim["claim"]] == [
        False
    ] * 3


def test_settings_in_a_file_are_told_apart(tmp_path: Path) -> None:
    import pyarrow
    import pyarrow.parquet as parquet

    rows = [
        {
            "trial": i % 2,
            "convergence_time": 10 * (i + 1),
            "steps": 100,
            "n": 10,
            "k": 3,
            "val_check_interval": 5,
            "lr": lr,
        }
        for i, lr in enumerate([0.1, 0.1, 0.3, 0.3])
    ]
    parquet.write_table(pyarrow.Table.from_pylist(rows), tmp_path / "two.parquet")
    samples = read_trials(f"{tmp_path}/two.parquet")
    assert [sample.times.tolist() for sample in samples] == [[10, 20], [30, 40]]


def test_the_experiment_trains_networks(tmp_path: Path) -> None:
    options = ["--n=8", "--k=2", "--networks=20", "--width=20", "--lr=0.5", "--batch_size=16", "--max_steps=500"]
    small = [
        "--searches=50",
        "--langevin_n=2",
        "--langevin_networks=10",
        "--search_n=4",
        "--search_k=2",
        f"--runs={tmp_path}",
    ]
    main(["theory", "random-search", *options, *small])
    (folder,) = tmp_path.iterdir()
    times = train(SparseParity(8, 2).with_seeds(range(20)), 20, 16, 0.5, 5, 500)
    row = next(row for row in csv.DictReader((folder / "data.csv").read_text().splitlines()) if row["search"] == "SGD")
    assert float(row["first"]) == times.min()
    assert float(row["spread"]) == pytest.approx(np.std(times) / np.mean(times))


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--networks=5"], "networks=5: must be at least 10"),
        (["--k=30"], "k=30: must be at most 20"),
        (["--search_n=40", "--search_k=5"], "searches=2000: there are 658,008 sets to search: take at most 30"),
        (["--langevin_step=1.5"], "langevin_step=1.5: must be above 0 and at most 1"),
        (["--search_n=100000000", "--search_k=50000000"], "search_n=100000000: must be at most 10,000"),
        (["--search_n=10000", "--search_k=1"], "searches=2000: there are 10,000 sets to search: take at most 125"),
        (["--batch_size=100000000"], "batch_size=100000000: too much for 300 networks of 20 inputs and width 100"),
        (["--width=1000000"], "width=1000000: too much for 300 networks of 20 inputs"),
        (
            ["--max_steps=1000000000"],
            "max_steps=1000000000: too many for 300 networks of width 100: take at most 99,",
        ),
        (
            ["--langevin_networks=100000", "--langevin_n=9"],
            "langevin_networks=100000: too many for 2^9 inputs: take at most 24,414",
        ),
        (["--langevin_tries=1000000000"], "langevin_tries=1000000000: too many for 200 networks: take at most 1,"),
        (["--lr=0"], "lr=0.0: must be above 0"),
        (["--trials=/nowhere.parquet"], "trials=/nowhere.parquet: cannot be read"),
    ],
)
def test_wrong_options_are_told_in_one_line(
    options: list[str], told: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert told in complaint(["theory", "random-search", *options, f"--runs={tmp_path}"], capsys)
    assert not list(tmp_path.iterdir())


def test_another_parquet_file_is_no_record_of_trials(tmp_path: Path) -> None:
    import pyarrow
    import pyarrow.parquet as parquet

    parquet.write_table(pyarrow.table({"a": [1]}), tmp_path / "other.parquet")
    with pytest.raises(SettingError, match="must be a file that"):
        read_trials(f"{tmp_path}/other.parquet")


@pytest.mark.parametrize(
    ("columns", "told"),
    [
        ({"trial": [1, 2]}, "not numbered from 0 on"),
        ({"trial": [1, 0]}, "not numbered from 0 on"),
        ({"trial": [0, 0], "n": [10, 12]}, None),
        ({"n": [10, 12]}, "changes within a setting"),
        ({"trial": ["0", "1"]}, "trial is no whole number but string"),
        ({"convergence_time": ["20", "30"]}, "convergence_time is no whole number"),
        ({"convergence_time": [20, 500]}, "a convergence_time is above steps"),
        ({"convergence_time": [None, 0]}, "convergence_time is below 1"),
        ({"val_check_interval": [0, 0]}, "val_check_interval is below 1"),
        ({"steps": [None, 100]}, "steps is missing in 1 rows"),
    ],
)
def test_rows_that_no_trials_have_are_told_in_one_line(
    columns: dict[str, list[int | str | None]], told: str | None, tmp_path: Path
) -> None:
    import pyarrow
    import pyarrow.parquet as parquet

    right = {"trial": [0, 1], "convergence_time": [20, None], "steps": [100, 100], "n": [10, 10], "k": [3, 3]}
    parquet.write_table(pyarrow.table(right | {"val_check_interval": [5, 5]} | columns), tmp_path / "trials.parquet")
    if told is None:
        assert len(read_trials(f"{tmp_path}/trials.parquet")) == 2
        return
    with pytest.raises(SettingError, match=told) as caught:
        read_trials(f"{tmp_path}/trials.parquet")
    assert "\n" not in str(caught.value)
