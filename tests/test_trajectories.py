"""Figures 3, 12 and 13: weights and gaps along training, what is read off them, and a closed form."""

from __future__ import annotations

import csv
import math
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import pytest
import torch
from conftest import CONFIGS, Run, complaint

from parity_lightning.figures import figure12, figure_of
from parity_lightning.figures.figure import PaperFigure
from parity_lightning.figures.runs import Curve, Runs
from parity_lightning.figures.trajectories import leaves_chance, relevant_lead, weights_of
from parity_lightning.measures.coefficients import all_inputs
from parity_lightning.measures.fourier_gap import fourier_gap
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


def _curve(leads_at: int, rho: float = 1.0) -> Curve:
    """A run that leaves chance at the eighth of ten evaluations, and whose relevant weight leads from one on."""
    places = np.arange(10)
    weight = np.where(places >= leads_at, 2.0, 0.1)
    right = np.where(places >= 7, 1.0, 0.5)
    names = {"val/accuracy": right, "train/loss": 2 * (1 - right), "hidden_progress": rho * places / 10.0}
    return {
        "step": 10.0 * (places + 1),
        **names,
        "weights/0/relevant/0": weight,
        "weights/0/irrelevant/1": 1 + 0 * weight,
    }


def _verdicts(figure: PaperFigure, curves: Sequence[Sequence[Curve]]) -> dict[str, str]:
    cells = figure.plan("laptop").cells
    outcomes = [dict.fromkeys(("convergence_time", "onset"), np.full(20, 80.0))] * len(cells)
    runs = Runs(cells, outcomes, [100] * len(cells), curves)
    return {claim.statement.id: claim.verdict for claim in figure.claims(runs)}


@pytest.mark.parametrize(
    ("leads_at", "then", "before"),
    [(7, "holds", "holds"), (8, "does not hold", "holds"), (0, "holds", "does not hold")],
)
def test_figure_13_asks_whether_relevant_weights_lead_then_and_not_before(
    leads_at: int, then: str, before: str
) -> None:
    figure = figure_of("13")
    found = _verdicts(figure, [[_curve(leads_at)] * 10] * 8)
    assert {verdict for name, verdict in found.items() if name.endswith("then")} == {then}
    assert {verdict for name, verdict in found.items() if name.endswith("before")} == {before}


@pytest.mark.parametrize(("noise", "verdict"), [(0.5, "holds"), (2.0, "does not hold")])
def test_figure_3_compares_progress_with_that_on_noise(noise: float, verdict: str) -> None:
    random = {**_curve(0, rho=noise), "val/accuracy": np.full(10, 0.5)}
    # One run on noise that moves far is enough.
    found = _verdicts(
        figure_of("3"), [[_curve(0)] * 20, [{**random, "hidden_progress": 0 * random["step"]}] * 19 + [random]] * 2
    )
    assert found == {
        f"b{size}-{name}": verdict if name in ("leaving", "half-way") else "holds"
        for size in (32, 1024)
        for name in ("plateau", "flat", "moved", "leaving", "half-way", "noise")
    }
