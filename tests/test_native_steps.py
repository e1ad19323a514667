"""Steps in C++ do what autograd and the optimizers do, and a trial is the same bit for bit alone and in company."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from parity_lightning.data.sparse_parity import SparseParity
from parity_lightning.engine.native.library import load_library
from parity_lightning.engine.not_compiled import NotCompiled
from parity_lightning.engine.stack import Stack, online_indices
from parity_lightning.engine.trainable import NetworkWithLoss
from parity_lightning.nets import PolyNetwork, TwoLayerMLP
from parity_lightning.optim.losses import LOSSES, find_loss
from parity_lightning.optim.optimizers import SGDW, SignSGD

pytestmark = pytest.mark.compiles

NETWORKS: dict[str, Callable[[int, int], nn.Module]] = {
    **{
        activation: lambda n, r, activation=activation: TwoLayerMLP(n, 3, r, activation, output_bias=True)
        for activation in ("relu", "power", "zigzag", "polynomial", "infinite_zigzag", "sinusoid")
    },
    "without biases": lambda n, r: TwoLayerMLP(n, 4, r, "polynomial", bias=False),
    "a neuron": lambda n, r: TwoLayerMLP(n, 3, 1, "zigzag", second_layer=False),
    "PolyNet": lambda n, r: PolyNetwork(n, min(r, 4, n)),
    "PolyNet without biases": lambda n, r: PolyNetwork(n, min(r, 3, n), bias=False),
}

OPTIMIZERS: dict[str, Callable[[Any], torch.optim.Optimizer]] = {
    "SGD": lambda weights: torch.optim.SGD(weights, lr=0.05),
    "momentum": lambda weights: torch.optim.SGD(weights, lr=0.05, momentum=0.9),
    "Nesterov, weight decay": lambda weights: torch.optim.SGD(
        weights, lr=0.05, momentum=0.9, nesterov=True, weight_decay=0.01
    ),
    "SGDW": lambda weights: SGDW(weights, lr=0.05, decay=0.001),
    "SGDW, momentum": lambda weights: SGDW(weights, lr=0.05, decay=0.001, momentum=0.5),
    "sign-SGD": lambda weights: SignSGD(weights, lr=0.003, decay=0.01),
    "Adam": lambda weights: torch.optim.Adam(weights, lr=0.01),
    "Adam, weight decay": lambda weights: torch.optim.Adam(weights, lr=0.01, weight_decay=0.01),
    "AdamW": lambda weights: torch.optim.AdamW(weights, lr=0.01),
}


def stack_of(
    network: str = "relu",
    optimizer: str = "SGD",
    loss: str = "hinge",
    n: int = 13,
    units: int = 11,
    batch: int = 32,
    seeds: range = range(3),
    kind: torch.dtype = torch.float64,
    native: bool = True,
) -> Stack:
    """Trials of these seeds, each with noisy labels of a parity of its own."""
    modules = []
    for seed in seeds:
        torch.manual_seed(seed)
        modules.append(NetworkWithLoss(NETWORKS[network](n, units), find_loss(loss)).to(kind))
    parities = [SparseParity(n, min(3, n), seed=seed, label_noise=0.1) for seed in seeds]
    stack = Stack.of(modules, parities, OPTIMIZERS[optimizer], batch)
    if native:
        assert stack.use_native_code()
    return stack


def indices_of(steps: int, batch: int, seeds: range = range(3)) -> Tensor:
    """Examples from all over the stream, the same for a seed in whatever company."""
    each = []
    for seed in seeds:
        generator = torch.Generator().manual_seed(seed)
        each.append(torch.randint(0, 2**62, (steps, batch), generator=generator))
    return torch.stack(each, 1)


def assert_alike(one: Stack, other: Stack, indices: Tensor) -> None:
    """Both stacks do the same but for rounding, and count the same errors."""
    with torch.no_grad():
        for mine, its in zip(one.run(indices), other.run(indices), strict=True):
            torch.testing.assert_close(mine, its, rtol=1e-9, atol=1e-11)
    for name, weight in one.weights.items():
        torch.testing.assert_close(weight, other.weights[name], rtol=1e-8, atol=1e-10)
    assert torch.equal(one.steps_made, other.steps_made)
    with torch.no_grad():
        assert torch.equal(one.errors(0, 1000), other.errors(0, 1000))
        places = torch.arange(one.size).flip(0)[:2]
        assert torch.equal(one.errors(130, 700, places), other.errors(130, 700, places))


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("network", NETWORKS)
def test_gradients_are_those_of_autograd(network: str, loss: str) -> None:
    stacks = (stack_of(network, "momentum", loss, native=native) for native in (True, False))
    assert_alike(*stacks, indices_of(6, 32))


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_updates_are_those_of_the_optimizers(optimizer: str) -> None:
    # Square, so that no gradient is 0 but for rounding, of which the sign is anything.
    stacks = (stack_of("sinusoid", optimizer, "square", native=native) for native in (True, False))
    assert_alike(*stacks, indices_of(10, 32))


@settings(max_examples=25, deadline=None)
@given(
    n=st.integers(1, 140), units=st.integers(1, 40), batch=st.integers(1, 70), network=st.sampled_from(list(NETWORKS))
)
def test_every_shape(n: int, units: int, batch: int, network: str) -> None:
    stacks = (stack_of(network, "SGD", "square", n, units, batch, native=native) for native in (True, False))
    assert_alike(*stacks, indices_of(2, batch))


def test_a_batch_larger_than_what_is_computed_at_a_time() -> None:
    stacks = (stack_of(units=3000, batch=100, native=native) for native in (True, False))
    assert_alike(*stacks, indices_of(2, 100))


@pytest.mark.parametrize("kind", [torch.float32, torch.float64])
@pytest.mark.parametrize("optimizer", ["SGDW, momentum", "Adam", "sign-SGD"])
@pytest.mark.parametrize("network", ["relu", "sinusoid", "PolyNet"])
def test_a_trial_is_the_same_alone_in_company_and_in_calls_of_any_length(
    network: str, optimizer: str, kind: torch.dtype
) -> None:
    seeds = range(5)
    together = stack_of(network, optimizer, seeds=seeds, kind=kind)
    losses, errors = together.run(indices_of(12, 32, seeds))
    for seed in (0, 3):
        own = range(seed, seed + 1)
        alone = stack_of(network, optimizer, seeds=own, kind=kind)
        parts = [alone.run(part) for part in indices_of(12, 32, own).split([1, 4, 7])]
        assert torch.equal(torch.cat([loss for loss, _ in parts])[:, 0], losses[:, seed])
        assert torch.equal(torch.cat([wrong for _, wrong in parts])[:, 0], errors[:, seed])
        for name, weight in together.weights.items():
            assert torch.equal(alone.weights[name][0], weight[seed])
        assert torch.equal(alone.errors(0, 500)[0], together.errors(0, 500)[seed])


def test_options_may_change_with_every_step() -> None:
    stacks = [stack_of("relu", "SGD", native=native) for native in (True, False)]
    options = torch.zeros(8, 3, 4, dtype=torch.float64)
    options[..., 0] = torch.linspace(0.01, 0.3, 24).reshape(8, 3)
    with torch.no_grad():
        for stack in stacks:
            stack.run(indices_of(8, 32), options)
    assert torch.equal(stacks[0].options, options[-1])
    torch.testing.assert_close(stacks[0].weights, stacks[1].weights, rtol=1e-9, atol=1e-11)


def test_a_diverging_trial_shows_it_and_disturbs_no_other() -> None:
    def losses_of(rate: float) -> Tensor:
        stack = stack_of("power", "SGD", "square", kind=torch.float32)
        stack.options[1, 0] = rate
        return stack.run(indices_of(40, 32))[0]

    calm, wild = losses_of(0.05), losses_of(1e20)
    assert calm.isfinite().all()
    assert not wild[-1, 1].isfinite()
    assert torch.equal(calm[:, [0, 2]], wild[:, [0, 2]])


class Doubled(TwoLayerMLP):
    """Computes something else than the class whose closed form it inherits."""

    def forward(self, x: Tensor) -> Tensor:
        return 2 * super().forward(x)


def test_a_subclass_is_not_taken_for_what_it_inherits_from() -> None:
    modules = [NetworkWithLoss(Doubled(10, 3, 5), find_loss("hinge"))]
    stack = Stack.of(modules, [SparseParity(10, 3)], OPTIMIZERS["SGD"], 8)
    assert not stack.use_native_code()
    modules = [NetworkWithLoss(TwoLayerMLP(10, 3, 5), lambda margin: (1 - margin).abs())]
    assert not Stack.of(modules, [SparseParity(10, 3)], OPTIMIZERS["SGD"], 8).use_native_code()


def test_frozen_tensors_are_left_alone() -> None:
    def stack(native: bool) -> Stack:
        torch.manual_seed(0)
        network = TwoLayerMLP(10, 3, 5).double()
        network.hidden.bias.requires_grad_(False)
        stack = Stack.of(
            [NetworkWithLoss(network, find_loss("hinge"))],
            [SparseParity(10, 3)],
            lambda weights: torch.optim.SGD([weight for weight in weights if weight.requires_grad], lr=0.1),
            8,
        )
        if native:
            assert stack.use_native_code()
        return stack

    assert_alike(stack(True), stack(False), indices_of(5, 8, range(1)))


def test_without_a_compiler_the_reason_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", "")
    monkeypatch.setenv("CXX", "no-such-compiler")
    with pytest.raises(NotCompiled, match="no C\\+\\+ compiler"):
        load_library.__wrapped__(torch.float32)
    with pytest.raises(NotCompiled, match="bfloat16"):
        load_library.__wrapped__(torch.bfloat16)


def test_a_damaged_library_is_built_again(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "libraries"
    monkeypatch.setenv("PARITY_LIGHTNING_CACHE", str(folder))
    load_library.__wrapped__(torch.float32)
    (library,) = folder.glob("*.so")
    assert library.stat().st_mode & 0o077 == 0
    whole = library.read_bytes()
    library.unlink()
    library.write_bytes(whole[: len(whole) // 2])
    library.chmod(0o600)
    load_library.__wrapped__(torch.float32)
    assert f"{library} is damaged; it is built again" in capsys.readouterr().err
    assert library.read_bytes() == whole


def test_online_trials_draw_the_stream_of_their_parity() -> None:
    """A neuron that outputs one input: its errors are those of the parity of one bit with another."""
    parity = SparseParity(40, 2, support=[3, 35], seed=9)
    network = TwoLayerMLP(40, 1, 1, "power", bias=False, second_layer=False)
    with torch.no_grad():
        network.hidden.weight.zero_()
        network.hidden.weight[0, 35] = 1.0
    stack = Stack.of([NetworkWithLoss(network, find_loss("hinge"))], [parity], OPTIMIZERS["SGD"], 64)
    assert stack.use_native_code()
    x, y = parity.draw(torch.arange(500), "validation")
    assert stack.errors(0, 500).item() == int((x[:, 35] != y).sum())
    indices = online_indices(torch.zeros(1, dtype=torch.int64), 1, 64)
    x, y = parity.draw(torch.arange(64))
    assert stack.run(indices)[1].item() == int((x[:, 35] != y).sum())
