"""Networks of squares against plain loops, sums over all inputs and the degrees of polynomials."""

from __future__ import annotations

import csv
import json
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from parity_lightning.cli import main
from parity_lightning.theory.fourier import all_inputs, fourier_coefficients
from parity_lightning.theory.layerwise import (
    Layer,
    accuracy,
    draw_layers,
    hidden_units,
    label_gradient,
    labels,
    outputs,
)


def _whole(sizes: tuple[int, ...], seed: int) -> list[Layer]:
    """One network of small whole numbers, of which float64 makes exact sums."""
    rng = np.random.default_rng(seed)
    return [
        Layer(*(torch.from_numpy(rng.integers(-2, 3, shape)).float() for shape in [(1, outs, ins), (1, outs)]))
        for ins, outs in pairwise(sizes)
    ]


def test_outputs_are_those_of_a_plain_loop() -> None:
    layers = draw_layers((4, 3, 2, 1), 2, torch.Generator().manual_seed(0))
    x = torch.randn(2, 5, 4, generator=torch.Generator().manual_seed(1))
    for network in range(2):
        for example in range(5):
            units = x[network, example]
            for number, layer in enumerate(layers):
                units = layer.weight[network] @ units + layer.bias[network]
                if number < 2:
                    units = units**2
            assert outputs(layers, x)[network, example].item() == pytest.approx(units.item(), rel=1e-5)


@settings(deadline=None, max_examples=50)
@given(st.integers(0, 2**32), st.sampled_from([(2, 1), (3, 2), (3, 3, 1), (2, 2, 2)]), st.data())
def test_a_layer_alone_knows_nothing_of_a_parity_beyond_its_degree(
    seed: int, widths: tuple[int, ...], data: st.DataObject
) -> None:
    n, alone = 6, data.draw(st.integers(1, len(widths)))
    # ``alone`` hidden layers and a readout, of which the last hidden one is trained, on any weights below it.
    layers = _whole((n, *widths[:alone], 1), seed)
    support = data.draw(st.sets(st.integers(0, n - 1), min_size=min(2**alone + 1, 6), max_size=6))
    gradient = label_gradient(layers, sorted(support), [alone - 1, alone])
    if len(support) > 2**alone:
        assert gradient.item() == 0.0


@pytest.mark.parametrize(("widths", "k"), [((2, 1), 4), ((10, 10, 1), 8)])
def test_the_whole_network_knows_of_parities_of_its_degree_and_no_more(widths: tuple[int, ...], k: int) -> None:
    for seed in range(5):
        layers = draw_layers((k + 1, *widths, 1), 1, torch.Generator().manual_seed(seed))
        assert label_gradient(layers, range(k)).item() > 1e-6
        assert label_gradient(layers, range(k + 1)).item() < 1e-12


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 2**32))
def test_gradients_are_differences_of_coefficients(seed: int) -> None:
    n, support = 5, (0, 2, 3)
    layers = _whole((n, 2, 1, 1), seed)
    number = sum(1 << index for index in support)

    def coefficient(changed: list[Layer]) -> float:
        return float(fourier_coefficients(outputs(changed, all_inputs(n)[None])[0].numpy())[number])

    # The output is linear in the last layer and its bias knows no input; the readout's slope is the unit's coefficient.
    unit = hidden_units(layers[:2], all_inputs(n)[None])[0, :, 0]
    slope = abs(float(fourier_coefficients(unit.numpy())[number]))
    assert label_gradient(layers, support, [2]).item() == pytest.approx(slope, abs=1e-9)
    moved = [*layers[:2], layers[2]._replace(weight=layers[2].weight + 1)]
    assert abs(coefficient(moved) - coefficient(layers)) == pytest.approx(slope, abs=1e-4)


def test_two_squares_of_two_inputs_are_a_parity_of_four() -> None:
    # (x0 + x1)^2 + (x2 + x3)^2 - 4 is 2 (x0 x1 + x2 x3), whose square is 8 + 8 x0 x1 x2 x3.
    first = Layer(torch.tensor([[[1.0, 1, 0, 0, 0], [0, 0, 1, 1, 0]]]), torch.zeros(1, 2))
    second = Layer(torch.tensor([[[1.0, 1.0]]]), torch.tensor([[-4.0]]))
    layers = [first, second, Layer(torch.tensor([[[1 / 8]]]), torch.tensor([[-1.0]]))]
    x = all_inputs(5)[None]
    assert outputs(layers, x).tolist() == labels(x, torch.tensor([[0, 1, 2, 3]])).tolist()
    assert accuracy(layers, torch.tensor([[0, 1, 2, 3]])).item() == 1.0
    assert accuracy(layers, torch.tensor([[0, 1, 2, 4]])).item() == 0.5
    diverged = [first._replace(bias=torch.full((1, 2), torch.nan)), *layers[1:]]
    assert accuracy(diverged, torch.tensor([[0, 1, 2, 3]])).item() == 0.0


def test_the_experiment(tmp_path: Path) -> None:
    main(["theory", "layerwise", "--n=8", "--trials=3", "--steps=250", "--greedy_steps=300", f"--runs={tmp_path}"])
    (folder,) = tmp_path.iterdir()
    with (folder / "data.csv").open() as file:
        rows = list(csv.DictReader(file))
    told = [(row["L"], row["k"], row["trained"], row["layer"]) for row in rows]
    assert told == [
        ("3", "4", "whole", "all"),
        ("3", "4", "greedy", "1/2"),
        ("3", "4", "greedy", "2/2"),
        ("3", "5", "whole", "all"),
        ("4", "8", "whole", "all"),
        ("4", "8", "greedy", "1/3"),
        ("4", "8", "greedy", "2/3"),
        ("4", "8", "greedy", "3/3"),
    ]
    zero = [float(row["gradient"]) < 1e-14 for row in rows]
    assert zero == [False, True, False, True, False, True, True, False]
    # A polynomial whose coefficient of chi_S is zero may be right on more than half of all inputs, but not on all.
    assert all(float(row["solved"]) == 0 for row, none in zip(rows, zero, strict=True) if none)
    with (folder / "curves.csv").open() as file:
        steps = {int(row["step"]) for row in csv.DictReader(file) if row["trained"] == "greedy"}
    assert steps == {0, 250}
    verdict = json.loads((folder / "verdict.json").read_text())
    none = [claim for claim in verdict["claims"] if "5" in claim["claim"].rpartition("k=")[2]]
    assert none[0]["holds"] is True
    assert none[0]["high"] == pytest.approx(1 - 0.025 ** (1 / 3))


@pytest.mark.parametrize("option", ["--depths=5", "--n=15", "--trials=0", "--greedy_steps=0"])
def test_wrong_options_are_told(option: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as exit_:
        main(["theory", "layerwise", option])
    assert exit_.value.code == 2
    assert option[2:] in capsys.readouterr().err
