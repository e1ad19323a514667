"""Elimination and exhaustive search against brute force, closed forms and their definitions."""

from __future__ import annotations

import csv
import json
import math
from itertools import combinations, product
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import complaint
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from parity_lightning.cli import main
from parity_lightning.data.sparse_parity import SparseParity
from parity_lightning.experiments.section2_solvers.claims import make_claims
from parity_lightning.experiments.section2_solvers.rows import Row
from parity_lightning.theory import solvers
from parity_lightning.theory.solver_laws import elimination_law, full_rank_probability, sufficient_samples
from parity_lightning.theory.solvers import best_correlation, eliminate


def signs(*shape: int, seed: int) -> torch.Tensor:
    return 1.0 - 2.0 * torch.randint(2, shape, generator=torch.Generator().manual_seed(seed))


@st.composite
def parities(draw: st.DrawFn) -> SparseParity:
    n = draw(st.integers(1, 70))
    return SparseParity(n, draw(st.integers(1, n)), seed=draw(st.integers(0, 2**32)))


@settings(deadline=None)
@given(parities())
def test_elimination_finds_any_support_from_enough_samples(parity: SparseParity) -> None:
    x, y = parity.draw(torch.arange(parity.n + 40))
    found = eliminate(x, y)
    assert (found.support, found.rank, found.fits) == (parity.support, parity.n, True)


@settings(deadline=None)
@given(st.integers(1, 6), st.integers(1, 8), st.integers(0, 10**6))
def test_elimination_says_what_brute_force_over_all_sets_says(n: int, samples: int, seed: int) -> None:
    # Labels are random: often no set fits, or several do.
    x, y = signs(samples, n, seed=seed), signs(samples, seed=seed + 1)
    sets = [subset for size in range(n + 1) for subset in combinations(range(n), size)]
    fitting = [subset for subset in sets if bool((x[:, list(subset)].prod(-1) == y).all())]
    found = eliminate(x, y)
    assert found.fits == bool(fitting)
    assert found.support == (fitting[0] if len(fitting) == 1 else None)
    # 2^rank different products of rows: the span, by brute force.
    rows = (x < 0).int().tolist()
    span = {
        tuple(sum(row[j] for row, take in zip(rows, taken, strict=True) if take) % 2 for j in range(n))
        for taken in product([0, 1], repeat=samples)
    }
    assert 2**found.rank == len(span)


def test_elimination_does_not_change_what_it_reads() -> None:
    x, y = SparseParity(9, 2).draw(torch.arange(12))
    before = x.clone()
    eliminate(x, y)
    assert torch.equal(x, before)


def test_too_few_samples_are_ambiguous() -> None:
    x, y = SparseParity(20, 3).draw(torch.arange(19))
    assert eliminate(x, y).support is None
    assert eliminate(x, y).fits


def test_one_wrong_label_breaks_elimination() -> None:
    parity = SparseParity(20, 3, seed=1)
    x, y = parity.draw(torch.arange(60))
    assert eliminate(x, y).support == parity.support
    for wrong in range(60):
        flipped = y.clone()
        flipped[wrong] *= -1
        assert eliminate(x, flipped).support is None


@pytest.mark.parametrize(("n", "samples"), [(1, 1), (2, 2), (2, 3), (3, 3)])
def test_the_probability_of_full_rank_over_all_matrices(n: int, samples: int) -> None:
    full = 0
    for bits in product([1.0, -1.0], repeat=n * samples):
        x = torch.tensor(bits).reshape(samples, n)
        full += eliminate(x, torch.ones(samples)).rank == n
    assert full / 2 ** (n * samples) == full_rank_probability(samples, n)


def test_the_probability_of_full_rank_of_random_matrices() -> None:
    for samples in (30, 31, 33):
        full = sum(eliminate(signs(samples, 30, seed=seed), torch.ones(samples)).rank == 30 for seed in range(1000))
        assert stats.binomtest(full, 1000, full_rank_probability(samples, 30)).pvalue > 0.001
    # The limit of many bits: prod_{j >= 1} (1 - 2^-j).
    assert full_rank_probability(500, 500) == pytest.approx(0.2887880950866, abs=1e-12)
    assert full_rank_probability(29, 30) == 0


def test_how_often_elimination_succeeds_with_noise() -> None:
    noisy = SparseParity(12, 3, label_noise=0.03).with_seeds(range(1000))
    solved = sum(eliminate(*parity.draw(torch.arange(15))).support == parity.support for parity in noisy)
    assert stats.binomtest(solved, 1000, elimination_law(15, 12, 0.03)).pvalue > 0.001
    assert elimination_law(15, 12, 0.03) < 0.6 < full_rank_probability(15, 12)


@settings(deadline=None, max_examples=50)
@given(st.integers(1, 7), st.data(), st.integers(1, 12), st.integers(0, 10**6))
def test_the_best_set_is_that_of_the_definition(n: int, data: st.DataObject, samples: int, seed: int) -> None:
    k = data.draw(st.integers(1, n))
    x, y = signs(samples, n, seed=seed), signs(samples, seed=seed + 1)
    means = {subset: float((y * x[:, list(subset)].prod(-1)).mean()) for subset in combinations(range(n), k)}
    found = best_correlation(x, y, k)
    most = max(means.values())
    assert found.correlation == pytest.approx(most, abs=1e-6)
    best = [subset for subset, mean in means.items() if mean > most - 1e-6]
    assert found.ties == len(best)
    assert found.support == best[0]


def test_the_best_set_is_the_same_whatever_fits_into_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    x, y = signs(6, 12, seed=1), signs(6, seed=2)
    whole = best_correlation(x, y, 4)
    assert whole.ties > 1
    for entries in (1, 100, 1000):
        monkeypatch.setattr(solvers, "_ENTRIES_AT_ONCE", entries)
        assert best_correlation(x, y, 4) == whole


def test_the_best_set_endures_noise() -> None:
    parity = SparseParity(30, 3, seed=4, label_noise=0.3)
    x, y = parity.draw(torch.arange(600))
    found = best_correlation(x, y, 3)
    assert (found.support, found.ties) == (parity.support, 1)
    assert found.correlation == pytest.approx(0.4, abs=0.15)
    assert eliminate(x, y).support is None


@pytest.mark.parametrize("noise", [0.0, 0.1, 0.4])
def test_the_chernoff_bound_is_above_the_probability_it_bounds(noise: float) -> None:
    # Another set agrees as often: of m samples it differs on Bin(m, 1/2), and is right there at least half of the time.
    samples = 40
    differing = np.arange(samples + 1)
    as_often = stats.binom.pmf(differing, samples, 0.5) @ stats.binom.sf(np.ceil(differing / 2) - 1, differing, noise)
    bound = (0.5 + math.sqrt(noise * (1 - noise))) ** samples
    assert as_often <= bound * (1 + 1e-9)
    assert bound < 1000 * as_often
    if not noise:
        assert as_often == pytest.approx(2.0**-samples)


def test_so_many_samples_are_enough() -> None:
    # C(n, k) - 1 = 1139 others, each fits m samples with probability 2^-m.
    assert sufficient_samples(20, 3, 0.0) == math.ceil(math.log2(1139 / 0.05))
    near_half = sufficient_samples(20, 3, 0.49)
    assert near_half == pytest.approx(4 * math.log(1139 / 0.05) / 0.02**2, rel=0.01)
    solved = 0
    for parity in SparseParity(12, 3, label_noise=0.2).with_seeds(range(200)):
        found = best_correlation(*parity.draw(torch.arange(sufficient_samples(12, 3, 0.2))), 3)
        solved += found.support == parity.support and found.ties == 1
    assert stats.binomtest(solved, 200, 0.95, alternative="less").pvalue > 0.001


def test_samples_that_are_enough_near_noise_one_half() -> None:
    # 1 - 2 noise = 2^-40, exactly: 4 ln(C / failure) / bias^2.
    assert sufficient_samples(20, 3, 0.5 - 2.0**-41) == pytest.approx(4 * math.log(1139 / 0.05) * 2.0**80, rel=1e-9)
    assert sufficient_samples(20, 3, 0.25) == math.ceil(math.log(1139 / 0.05) / -math.log(0.5 + math.sqrt(3) / 4))


def row(
    solver: str, noise: float, samples: int, success: float, enough: int | None = None, there: float | None = None
) -> Row:
    """Of 20 inputs; the interval and the time are not read by claims."""
    return Row(solver, "", 20, noise, samples, success, 0.0, 1.0, enough, there, ms=1.0)


@pytest.mark.parametrize(("successes", "holds"), [(100, True), (188, None), (200, False)])
def test_whether_noise_breaks_elimination_is_told_by_the_interval(successes: int, holds: bool | None) -> None:
    rows = [
        row("elimination", 0.01, samples=22, success=successes / 200),
        row("best set", 0.01, samples=20, success=1.0, enough=30, there=1.0),
    ]
    claim = next(claim for claim in make_claims(rows, 3, 200) if "breaks elimination" in claim.statement.text)
    assert claim.holds is holds


@pytest.mark.parametrize(("successes", "holds"), [(200, True), (192, None), (150, False)])
def test_whether_samples_are_enough_is_told_by_the_interval(successes: int, holds: bool | None) -> None:
    rows = [
        row("elimination", 0.0, samples=25, success=0.97, enough=25),
        row("best set", 0.0, samples=14, success=0.97, enough=15, there=successes / 200),
    ]
    claims = {claim.statement.id: claim.holds for claim in make_claims(rows, 3, 200)}
    assert (claims["information-bound"], claims["union-bound"]) == (holds, holds)


def test_few_trials_support_no_law() -> None:
    rows = [
        row("elimination", 0.0, samples=25, success=0.95, enough=25),
        row("best set", 0.0, samples=14, success=0.95, enough=15, there=1.0),
    ]
    for trials, holds in ((20, None), (200, True)):
        assert [claim.holds for claim in make_claims(rows, 3, trials)][:2] == [holds, holds]


def test_the_experiment(tmp_path: Path) -> None:
    main(["theory", "solvers", "--n=12,15", "--k=2", "--noise=0,0.1", "--trials=100", f"--runs={tmp_path}"])
    (folder,) = tmp_path.iterdir()
    rows = list(csv.DictReader((folder / "data.csv").read_text().splitlines()))
    assert len(rows) == 8
    elimination = next(row for row in rows if row["solver"] == "elimination" and row["n"] == "15")
    # n + 5 samples are independent with probability prod_{j > 5} (1 - 2^-j) = 0.969; n + 4 are with 0.939.
    assert elimination["samples"] == "20"
    for row in rows:
        if row["solver"] == "elimination":
            law = elimination_law(int(row["samples"]), int(row["n"]), float(row["noise"]))
            assert stats.binomtest(round(100 * float(row["success"])), 100, law).pvalue > 0.001
        else:
            assert int(row["enough"]) == sufficient_samples(int(row["n"]), 2, float(row["noise"]))
            # Fewer cannot tell the C(n, 2) sets apart.
            assert int(row["samples"]) >= math.log2(math.comb(int(row["n"]), 2))
            interval = stats.binomtest(round(100 * float(row["success"])), 100).proportion_ci(method="exact")
            assert (float(row["low"]), float(row["high"])) == pytest.approx(tuple(interval), abs=1e-4)
    verdict = json.loads((folder / "verdict.json").read_text())
    assert verdict["claims"][0]["ours"] == 5
    broken = next(claim for claim in verdict["claims"] if "breaks elimination" in claim["claim"])
    assert broken["holds"]
    assert broken["ours"] < 0.5


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--noise=0.5"], "noise=0.5: must be at least 0 and below 0.5"),
        (["--n=1000"], "n=1000: has 166,167,000 sets of 3"),
        (["--n=3"], "n=3: must be at least 4"),
        (["--n=10", "--k=2", "--noise=0.499", "--trials=20"], "noise=0.499: needs 6,"),
        (["--n=10", "--k=2", "--noise=0.4999999999"], "noise=0.4999999999: needs 6"),
        (["--n=50", "--trials=50000", "--noise=0.3"], "trials=50000: too many"),
        (["--n=2000", "--k=1999", "--noise=0"], "n=2000: needs 16 samples"),
        (["--trials=1"], "trials=1: must be at least 20"),
    ],
)
def test_wrong_options_are_told_in_one_line(
    options: list[str], told: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert told in complaint(["theory", "solvers", *options, f"--runs={tmp_path}"], capsys)
