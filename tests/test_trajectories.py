"""Figures 3, 12 and 13: weights and gaps along training, what is read off them, and a closed form."""

from __future__ import annotations

import csv
import math
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import pytest
import torch
import yaml
from conftest import CONFIGS, Run, complaint

from parity_lightning.figures import figure12, figure_of
from parity_lightning.figures.figure import PaperFigure
from parity_lightning.figures.runs import Curve, Runs
from parity_lightning.figures.trajectories import leaves_chance, relevant_lead, weights_of
from parity_lightning.measures.coefficients import all_inputs
from parity_lightning.measures.fourier_gap import fourier_gap
from parity_lightning.studies.claims import Claim
from parity_lightning.theory.majority import majority_coefficient
from parity_lightning.theory.sinusoid import sinusoid_gradient


@pytest.mark.parametrize("k", [1, 2, 3, 4, 7])
@pytest.mark.parametrize("bias", [0.0, 0.4])
def test_the_closed_form_is_the_mean_over_all_inputs(k: int, bias: float) -> None:
    weights = np.random.default_rng(k).normal(size=(3, 7))
    support = list(np.random.default_rng(9).permutation(7)[:k])
    x = all_inputs(7).double().numpy()
    y = x[:, support].prod(1)
    for w, found in zip(weights, sinusoid_gradient(weights, support, bias), strict=True):
        assert found == pytest.approx((y * np.sin(x @ w + bias)) @ x / len(x), abs=1e-12)


def test_without_a_bias_odd_parities_show_nothing() -> None:
    assert not sinusoid_gradient(np.linspace(-1, 1, 9), [0, 4, 8]).any()


def test_gaps_of_weights_of_one_size_are_those_by_hand() -> None:
    """All products of sines and cosines are the same but for their signs; majority's are those of the closed form."""
    sine, cosine = math.sin(1 / math.sqrt(15)), math.cos(1 / math.sqrt(15))
    for k in (2, 4, 6):
        gap = sine ** (k - 1) * cosine ** (16 - k) - sine ** (k + 1) * cosine ** (14 - k)
        for found in figure12._gaps("Bernoulli", k):
            assert found == pytest.approx(np.full(10_000, gap), rel=1e-9)
    assert figure12._majority_gap(4) == pytest.approx(majority_coefficient(15, 3) * -1 - majority_coefficient(15, 5))
    # The same difference as the measure of a network's gradient takes.
    weights = np.random.default_rng(0).uniform(-1, 1, (10_000, 15))[0]
    gradient = torch.from_numpy(sinusoid_gradient(weights / math.sqrt(15), range(4)))
    measured = fourier_gap(gradient, range(4))
    assert figure12._gaps("uniform", 4).smallest[0] == pytest.approx(measured.gap)
    assert figure12._gaps("uniform", 4).largest[0] == pytest.approx(measured.strongest - measured.irrelevant)


SHORT = ("--data.n=8", "--data.k=2", "--trainer.max_steps=40", "--trainer.val_check_interval=20", "--model.width=3")


def _last_row(run: Run) -> Mapping[str, float]:
    with (run.folder / "metrics.csv").open() as file:
        *_, row = csv.DictReader(file)
    return {name: float(value) for name, value in row.items()}


def test_every_weight_of_the_first_layer_is_logged_and_nothing_changes(fit: Callable[..., Run]) -> None:
    run = fit(*SHORT, "--trainer.callbacks+=WeightTrajectories")
    trained = torch.load(run.folder / "checkpoints" / "last.ckpt", weights_only=True)["state_dict"]
    row, support = _last_row(run), run.summary["support"]
    wanted = {f"weights/{unit}/bias": float(trained["network.hidden.bias"][unit]) for unit in range(3)}
    for (unit, index), value in np.ndenumerate(trained["network.hidden.weight"].numpy()):
        wanted[f"weights/{unit}/{'relevant' if index in support else 'irrelevant'}/{index}"] = float(value)
    assert {name: value for name, value in row.items() if name.startswith("weights/")} == pytest.approx(wanted)
    plain = torch.load(fit(*SHORT).folder / "checkpoints" / "last.ckpt", weights_only=True)["state_dict"]
    torch.testing.assert_close(plain, trained, rtol=0, atol=0)


def test_a_layer_without_biases_has_none_and_a_wide_one_is_refused(
    fit: Callable[..., Run], capsys: pytest.CaptureFixture[str]
) -> None:
    row = _last_row(fit(*SHORT, "--model.bias=false", "--trainer.callbacks+=WeightTrajectories"))
    assert sum(name.startswith("weights/") for name in row) == 3 * 8
    wide = ["fit", f"--config={CONFIGS / 'online.yaml'}", "--trainer.accelerator=cpu", "--trainer.max_steps=2"]
    wide += ["--trainer.val_check_interval=1", "--trainer.callbacks+=WeightTrajectories", "--model.width=100"]
    told = complaint([*wide, "--data.n=11"], capsys)
    assert "callbacks=WeightTrajectories: logs each weight of the first layer, 1,100 here; at most 1,000" in told


def test_weights_are_read_by_unit_and_kind() -> None:
    columns = {"weights/1/relevant/0": 5.0, "weights/0/relevant/0": -4.0, "weights/0/irrelevant/1": 3.0}
    columns |= {"weights/1/irrelevant/1": 6.0, "weights/1/bias": 9.0, "weights/0/bias": 8.0, "weights": 7.0}
    curve = {name: np.array([0.0, value]) for name, value in columns.items()}
    weights = weights_of(curve)
    assert weights.relevant[1].tolist() == [[-4.0], [5.0]]
    assert weights.irrelevant[1].tolist() == [[3.0], [6.0]]
    assert weights.bias[1].tolist() == [[8.0], [9.0]]
    # In unit 0, by size; at the start all are equal.
    assert relevant_lead(curve).tolist() == [False, True]
    assert leaves_chance({"val/accuracy": np.array([0.5, 0.59])}) is None


LEFT, HALF_WAY = 7, 3
"""The evaluations at which a made-up run leaves chance, and the first from half of these steps on."""


def _curve(leads_at: int = LEFT, rho: float = 1.0, *, leaves: bool = True, **columns: np.ndarray) -> Curve:
    """A run of ten evaluations that leaves chance at the eighth, or never; its relevant weight leads from one on."""
    places = np.arange(10)
    weight = np.where(places >= leads_at, 2.0, 0.1)
    right = np.where((places >= LEFT) & leaves, 1.0, 0.5)
    return {
        "step": 10.0 * (places + 1),
        "val/accuracy": right,
        "train/loss": 2 * (1 - right),
        "hidden_progress": rho * places / 10.0,
        "weights/0/relevant/0": weight,
        "weights/0/irrelevant/1": 1 + 0 * weight,
        **columns,
    }


def _claims(figure: PaperFigure, curves: Sequence[Sequence[Curve]]) -> dict[str, Claim]:
    """The claims of a figure on made-up curves of each setting; a run that leaves chance is solved at step 100."""
    cells = figure.plan("laptop").cells
    times = [np.array([np.nan if leaves_chance(curve) is None else 100.0 for curve in own]) for own in curves]
    outcomes = [{"convergence_time": own, "onset": np.full(len(own), 80.0)} for own in times]
    runs = Runs(cells, outcomes, [100] * len(cells), curves)
    return {claim.statement.id: claim for claim in figure.claims(runs)}


def _verdicts(figure: PaperFigure, curves: Sequence[Sequence[Curve]]) -> dict[str, str]:
    return {name: claim.verdict for name, claim in _claims(figure, curves).items()}


def _some_never(runs: int, never: int) -> list[Curve]:
    return [_curve(leaves=False)] * never + [_curve()] * (runs - never)


@pytest.mark.parametrize(
    ("leads_at", "then", "before"),
    [
        (LEFT, "holds", "holds"),
        (LEFT + 1, "does not hold", "holds"),
        (HALF_WAY, "holds", "does not hold"),
        (HALF_WAY + 1, "holds", "holds"),
    ],
)
def test_figure_13_asks_whether_relevant_weights_lead_then_and_not_before(
    leads_at: int, then: str, before: str
) -> None:
    found = _claims(figure_of("13"), [[_curve(leads_at)] * 10] * 8)
    assert {claim.verdict for name, claim in found.items() if name.endswith("then")} == {then}
    assert {claim.verdict for name, claim in found.items() if name.endswith("before")} == {before}
    assert {claim.tolerance for claim in found.values()} == {0.5}


@pytest.mark.parametrize(
    ("never", "share", "verdict"), [(1, 0.9, "holds"), (4, 0.6, "cannot tell"), (10, 0.0, "does not hold")]
)
def test_figure_13_counts_runs_that_never_leave_chance_as_failed(never: int, share: float, verdict: str) -> None:
    found = _claims(figure_of("13"), [_some_never(10, never)] * 8)
    assert {(c.found.value, c.found.n, c.found.censored, c.verdict) for c in found.values()} == {
        (share, 10, never, verdict)
    }


def _noise(rho: float) -> Curve:
    return _curve(rho=rho, leaves=False)


def _figure_3(learning: Sequence[Curve], random: Sequence[Curve]) -> dict[str, Claim]:
    """The claims of Figure 3 by name, which are the same for both batch sizes."""
    found = _claims(figure_of("3"), [learning, random] * 2)
    small, large = (
        {name.removeprefix(size): claim for name, claim in found.items() if name.startswith(size)}
        for size in ("b32-", "b1024-")
    )
    assert {name: claim.verdict for name, claim in small.items()} == {n: c.verdict for n, c in large.items()}
    return small


@pytest.mark.parametrize(("noise", "verdict"), [(0.5, "holds"), (2.0, "does not hold")])
def test_figure_3_compares_progress_with_that_on_noise(noise: float, verdict: str) -> None:
    found = _figure_3([_curve()] * 20, [_noise(noise)] * 20)
    assert {name: claim.verdict for name, claim in found.items()} == {
        name: verdict if name in ("leaving", "half-way") else "holds"
        for name in ("plateau", "flat", "moved", "leaving", "half-way", "noise")
    }
    assert [found[name].tolerance for name in ("leaving", "half-way", "noise")] == [0.5, 0.5, 0.2]


def test_figure_3_compares_each_run_with_the_one_of_its_own_seed() -> None:
    """Every pair is its own: a run on noise that moves far fails its twin and no other."""
    learning = [_curve(rho=1.0), _curve(rho=4.0)] * 10
    for twins, share in (((0.5, 2.0), 1.0), ((2.0, 0.5), 0.5), ((0.5, 5.0), 0.5)):
        found = _figure_3(learning, [_noise(rho) for rho in twins * 10])
        assert [found[name].found.value for name in ("leaving", "half-way")] == [share, share]
    one_far = _figure_3([_curve(), _curve(leaves=False), *[_curve()] * 18], [*[_noise(0.5)] * 19, _noise(9.0)])
    for name in ("leaving", "half-way"):
        assert one_far[name].found[::4] == (18 / 20, 1)
        assert one_far[name].verdict == "holds"


def test_figure_3_compares_at_the_same_evaluation() -> None:
    """On noise progress is ahead half-way and has stopped by the end; and a run that ended early has what it had."""
    early = {**_noise(1.0), "hidden_progress": np.full(10, 0.5)}
    short = {name: values[:2] for name, values in early.items()}
    for twin in (early, short):
        found = _figure_3([_curve()] * 20, [twin] * 20)
        assert [found[name].found.value for name in ("leaving", "half-way")] == [1.0, 0.0]


@pytest.mark.parametrize(("never", "verdict"), [(1, "holds"), (14, "cannot tell"), (20, "does not hold")])
def test_figure_3_counts_runs_that_never_leave_chance_as_failed(never: int, verdict: str) -> None:
    found = _figure_3(_some_never(20, never), [_noise(0.5)] * 20)
    for name in ("plateau", "flat", "moved"):
        assert (found[name].verdict, found[name].found.n, found[name].found.censored) == (verdict, 20, never)
    shares = {(found[name].found.value, found[name].found.censored) for name in ("leaving", "half-way")}
    assert shares == {((20 - never) / 20, never)}


@pytest.mark.parametrize(
    ("loss", "flat", "moved_by", "moved"),
    [(0.91, "holds", 0.26, "holds"), (0.89, "does not hold", 0.24, "does not hold")],
)
def test_figure_3_has_bounds_on_what_is_flat_and_what_is_gradual(
    loss: float, flat: str, moved_by: float, moved: str
) -> None:
    losses, progress = np.full(10, 3.0), np.linspace(0, 1, 10)
    losses[HALF_WAY], progress[HALF_WAY], progress[LEFT] = 3.0 * loss, 0.5 * moved_by, 0.5
    curve = _curve(**{"train/loss": losses, "hidden_progress": progress})
    found = _figure_3([curve] * 20, [_noise(0.0)] * 20)
    assert (found["flat"].verdict, found["moved"].verdict) == (flat, moved)
    assert (found["flat"].found.value, found["moved"].found.value) == pytest.approx((loss, moved_by))


def _gap_curve(by_definition: tuple[float, float], by_largest: tuple[float, float], *, leaves: bool = True) -> Curve:
    """A run with these gaps at the start, in units of that of majority, and with others when it leaves chance."""
    majority = figure12._majority_gap(4)

    def along(ends: tuple[float, float]) -> np.ndarray:
        return majority * np.where(np.arange(10) == LEFT, ends[1], ends[0])

    irrelevant = np.full(10, 0.01)
    return _curve(
        leaves=leaves,
        **{
            "fourier_gap": along(by_definition),
            "fourier_gap/irrelevant": irrelevant,
            "fourier_gap/strongest": irrelevant + along(by_largest),
        },
    )


@pytest.mark.parametrize(
    ("gap", "positive", "below", "grown"),
    [
        ((0.5, 2.0), True, True, True),
        ((1.1, 2.0), True, False, True),
        ((-0.1, 2.0), False, True, True),
        ((0.5, 0.4), True, True, False),
    ],
)
def test_figure_12_has_the_same_claims_on_both_gaps(
    gap: tuple[float, float], positive: bool, below: bool, grown: bool
) -> None:
    """What is wrong with one of the two gaps is not with the other, which has nothing wrong."""
    wanted, good = {"positive": positive, "below-majority": below, "amplifies": grown}, (0.5, 2.0)
    cases = (("sgd", "sgd-largest", _gap_curve(gap, good)), ("sgd-largest", "sgd", _gap_curve(good, gap)))
    for name, other, curve in cases:
        found = _claims(figure_of("12"), [[curve] * 10])
        assert {what: found[f"{name}-{what}"].holds for what in wanted} == wanted
        assert all(found[f"{other}-{what}"].holds for what in wanted)


def test_figure_12_counts_trials_that_never_leave_chance_as_failed() -> None:
    never, grows = _gap_curve((0.5, 2.0), (0.5, 2.0), leaves=False), _gap_curve((0.5, 2.0), (0.5, 2.0))
    found = _claims(figure_of("12"), [[never] * 4 + [grows] * 6])
    for name in ("sgd-amplifies", "sgd-largest-amplifies"):
        assert found[name].found[::4] == (0.6, 4)
        assert found[name].verdict == "cannot tell"


def test_figure_12_says_which_gap_and_from_when_a_rule_is() -> None:
    found = _claims(figure_of("12"), [[_gap_curve((0.5, 2.0), (0.5, 2.0))] * 10])
    for name, claim in found.items():
        text = claim.statement.text
        largest = name.startswith("sgd-largest") or name[-2:] in ("k2", "k4", "k6")
        assert ("gap by the largest coefficients, as drawn," in text) == largest
        assert ("gap by Definition 1" in text) == (not largest)
        late = largest or name in ("uniform-positive", "bernoulli-positive")
        assert text.endswith("(rule fixed after a first look)") == late
        assert claim.tolerance == (0.5 if name.startswith("sgd") else None)
    config = yaml.safe_load((CONFIGS / "figures" / "12.yaml").read_text())
    first = config["trainer"]["val_check_interval"]
    assert f"at the first evaluation, after {first} steps" in found["sgd-positive"].statement.text


def test_figure_12_finds_gaps_comparable_within_a_factor_of_ten() -> None:
    """Medians over those of majority by another way: the largest sines and cosines, without the closed form."""
    found = _claims(figure_of("12"), [[_gap_curve((0.5, 2.0), (0.5, 2.0))] * 10])
    drawn = np.abs(np.random.default_rng(5).uniform(-1, 1, (20_000, 15))) / math.sqrt(15)
    for k, verdict in ((2, "holds"), (4, "holds"), (6, "does not hold")):
        inside, outside = drawn[:, :k], drawn[:, k:]
        product = np.sin(inside).prod(1) * np.cos(outside).prod(1)
        gaps = product / np.tan(inside).min(1) - product * np.tan(outside).max(1)
        claim = found[f"uniform-k{k}"]
        assert claim.found.value == pytest.approx(np.median(gaps) / figure12._majority_gap(k), rel=0.1)
        assert claim.verdict == verdict
        assert found[f"bernoulli-k{k}"].found.low is None
        assert found[f"bernoulli-k{k}"].verdict == "holds"


def test_figure_12_states_what_is_certain_as_exact() -> None:
    """No weights of at most 1 have a lower ratio of a relevant to an irrelevant coefficient; those of size 1 do."""
    found = _claims(figure_of("12"), [[_gap_curve((0.5, 2.0), (0.5, 2.0))] * 10])
    for name in ("uniform", "bernoulli"):
        claim = found[f"{name}-positive"]
        assert (claim.found.low, claim.found.n, claim.verdict) == (None, None, "holds")
    least = found["bernoulli-positive"].found.value
    random = np.random.default_rng(1)
    for weights in (random.uniform(-1, 1, (10_000, 15)), random.choice([-1.0, 1.0], (10, 15))):
        for k in (2, 4, 6):
            sizes = np.abs(sinusoid_gradient(weights / math.sqrt(15), range(k)))
            assert (sizes[:, :k].min(1) / sizes[:, k:].max(1)).min() >= least * (1 - 1e-9)
    assert (sizes[:, :k].min(1) / sizes[:, k:].max(1)) == pytest.approx(np.full(10, least))
    # Of Gaussian weights it may fail, so it is counted.
    assert 0.95 < found["gaussian-positive"].found.value < 1


def test_histograms_show_nothing_positive_left_of_0() -> None:
    for k in (2, 4, 6):
        majority = figure12._majority_gap(k)
        bins = figure12._bins(-0.2 * majority, 1.25 * majority)
        assert bins[0] <= -0.2 * majority
        assert bins[-1] >= 1.25 * majority
        assert 0.0 in bins
        counts, edges = np.histogram(figure12._gaps("uniform", k).smallest, bins)
        assert not counts[edges[1:] <= 0].any()
