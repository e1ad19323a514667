"""The Fourier gap of networks against Fourier coefficients, and of runs against enumeration."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from conftest import Run
from hypothesis import given, settings
from hypothesis import strategies as st
from reference import relu_derivative_coefficient

from parity_lightning import MLP, SparseParity
from parity_lightning.cli import main
from parity_lightning.measures.coefficients import (
    all_inputs,
    fourier_coefficients,
    number_of,
)
from parity_lightning.measures.fourier_gap import correlation_gradient, fourier_gap
from parity_lightning.nets.mlp import TwoLayerMLP


@settings(deadline=None, max_examples=20)
@given(st.integers(0, 1000), st.sets(st.integers(0, 5), min_size=1, max_size=6))
def test_the_gradient_is_made_of_fourier_coefficients(seed: int, support: set[int]) -> None:
    torch.manual_seed(seed)
    network = TwoLayerMLP(6, 2, width=3).double()
    x = all_inputs(6).double()
    y = x[:, list(support)].prod(-1)
    assert network.output is not None
    gradient = correlation_gradient(network, network.hidden.weight, x, y)
    assert network.hidden.weight.grad is None
    gaps = []
    for unit in range(3):
        is_on = (network.hidden(x)[:, unit] >= 0).numpy()
        coefficients = -network.output.weight[0, unit].item() * fourier_coefficients(is_on)
        wanted = [coefficients[number_of(support ^ {index})] for index in range(6)]
        assert gradient[unit].tolist() == pytest.approx(wanted, abs=1e-12)
        inside = [abs(wanted[index]) for index in support]
        outside = [abs(wanted[index]) for index in range(6) if index not in support]
        gaps.append(min(inside) - max(outside, default=0))
    found = fourier_gap(gradient, sorted(support))
    assert found.gap == pytest.approx(max(gaps), abs=1e-12)
    # Units may lie along several axes.
    assert fourier_gap(gradient.unsqueeze(0), sorted(support)) == found


def test_a_neuron_of_signs_has_the_gap_of_majority() -> None:
    signs = [1, -1, 1, 1, -1, 1, -1]
    network = TwoLayerMLP(7, 2, width=1, second_layer=False)
    with torch.no_grad():
        network.hidden.weight[0] = torch.tensor(signs)
        network.hidden.bias.fill_(0.5)
    x = all_inputs(7)
    found = fourier_gap(correlation_gradient(network, network.hidden.weight, x, x[:, 2] * x[:, 5]), [2, 5])
    assert found.relevant == pytest.approx(abs(relu_derivative_coefficient(signs, [2])))
    assert found.irrelevant == pytest.approx(abs(relu_derivative_coefficient(signs, [0, 2, 5])))


def test_units_may_lie_along_several_axes() -> None:
    gradient = torch.zeros(2, 3, 4)
    gradient[1, 2] = torch.tensor([-3.0, 1.0, 2.0, -0.5])
    gradient[0, 1] = torch.tensor([0.5, 0.0, 0.5, 0.0])
    found = fourier_gap(gradient, [0, 2])
    assert (found.relevant, found.irrelevant, found.strongest) == (2.0, 1.0, 3.0)
    # All inputs are in the support: none stands beside it.
    assert fourier_gap(gradient, range(4)).irrelevant == 0.0


def test_a_gradient_of_many_examples_is_the_mean_of_theirs() -> None:
    """More than are computed at a time; those that count are the first and the last."""
    x, y = torch.zeros(2**13 + 1, 2), torch.ones(2**13 + 1)
    x[0], x[-1] = torch.tensor([3.0, 0.5]), torch.tensor([1.0, -2.0])
    weight = torch.zeros(2, requires_grad=True)
    found = correlation_gradient(lambda part: part @ weight, weight, x, y)
    assert found.tolist() == pytest.approx([-4 / (2**13 + 1), 1.5 / (2**13 + 1)])


def _gaps(run: Run) -> list[float]:
    with (run.folder / "metrics.csv").open() as file:
        return [float(row["fourier_gap"]) for row in csv.DictReader(file)]


OPTIONS = ("--data.n=10", "--data.k=2", "--trainer.max_steps=40", "--trainer.val_check_interval=20", "--model.width=9")


def test_a_run_logs_the_gap_of_all_inputs(fit: Callable[..., Run]) -> None:
    run = fit(*OPTIONS, "--trainer.callbacks+=FourierGap")
    checkpoint = torch.load(run.folder / "checkpoints" / "last.ckpt", weights_only=True)
    module = MLP(n=10, k=2, width=9)
    module.load_state_dict(checkpoint["state_dict"])
    parity = SparseParity(10, 2, seed=0)
    x = all_inputs(10)
    y = x[:, list(parity.support)].prod(-1)
    wanted = fourier_gap(correlation_gradient(module.network, module.first_layer, x, y), parity.support).gap
    assert _gaps(run)[-1] == pytest.approx(wanted, rel=1e-4)
    # Measuring changes nothing.
    plain = fit(*OPTIONS)
    again = torch.load(plain.folder / "checkpoints" / "last.ckpt", weights_only=True)
    torch.testing.assert_close(again["state_dict"], checkpoint["state_dict"], rtol=0, atol=0)


def test_beyond_enumeration_the_gap_is_that_of_a_sample(fit: Callable[..., Run]) -> None:
    exact = _gaps(fit(*OPTIONS, "--trainer.callbacks+=FourierGap"))
    few = fit(*OPTIONS, "--trainer.callbacks+=FourierGap", "--trainer.callbacks.examples=1000")
    assert _gaps(few) != exact
    assert _gaps(few) == pytest.approx(exact, abs=5 / 1000**0.5)


def test_a_first_layer_that_is_no_parameter_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = ["--model=Transformer", "--model.initialization=default", "--data.k=2", "--data.n=8"]
    with pytest.raises(SystemExit):
        main(
            [
                "fit",
                "--trainer.accelerator=cpu",
                *options,
                "--trainer.callbacks+=FourierGap",
                "--model.d_emb=8",
                "--model.heads=1",
            ]
        )
    assert "callbacks=FourierGap: needs a module whose first_layer is a parameter" in capsys.readouterr().err
