"""Steps in C++ do what autograd and the optimizers do, and a trial is the same bit for bit alone and in company."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as parquet
import pytest
import torch
from conftest import CONFIGS
from hypothesis import example, given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from parity_lightning.data.parity_stack import ParityStack
from parity_lightning.data.sparse_parity import SparseParity
from parity_lightning.engine.library_cache import private_cache
from parity_lightning.engine.native.build import build_once
from parity_lightning.engine.native.compiler import find_compiler, system_compiler
from parity_lightning.engine.native.library import load_library
from parity_lightning.engine.not_compiled import NotCompiled
from parity_lightning.engine.objective import Objective
from parity_lightning.engine.optimizer_options import OptimizerOptions
from parity_lightning.engine.stack import Stack, online_indices
from parity_lightning.engine.trainable import NetworkWithLoss
from parity_lightning.engine.update_rules import find_rule
from parity_lightning.nets import PolyNetwork, TwoLayerMLP
from parity_lightning.nets.closed_form import ClosedForm
from parity_lightning.optim.losses import LOSSES, find_loss
from parity_lightning.optim.optimizers import SGDW, SignSGD
from parity_lightning.optim.schedules import PiecewiseSchedule

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

# Of degrees that the C++ compiler knows, and of others.
POWERS = {f"z^{k}": lambda n, r, k=k: TwoLayerMLP(n, k, r, "power") for k in (1, 2, 3, 4, 5, 6, 9)}


def in_groups(weights: Any) -> torch.optim.Optimizer:
    first, *others = list(weights)
    return SGDW([{"params": [first]}, {"params": others, "lr": 0.01, "momentum": 0.5}], lr=0.1, momentum=0.9)


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
    "groups": in_groups,
    "Adam without eps": lambda weights: torch.optim.Adam(weights, lr=0.01, eps=0),
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
    device: str = "cpu",
) -> Stack:
    """Trials of these seeds, each with noisy labels of a parity of its own."""
    modules = []
    for seed in seeds:
        torch.manual_seed(seed)
        modules.append(NetworkWithLoss((NETWORKS | POWERS)[network](n, units), find_loss(loss)).to(device, kind))
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


@pytest.mark.compiles
@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("network", NETWORKS)
def test_gradients_are_those_of_autograd(network: str, loss: str) -> None:
    stacks = (stack_of(network, "momentum", loss, native=native) for native in (True, False))
    assert_alike(*stacks, indices_of(6, 32))


@pytest.mark.compiles
@pytest.mark.parametrize("batch", [8, 32])
@pytest.mark.parametrize("network", POWERS)
def test_powers_of_any_degree(network: str, batch: int) -> None:
    stacks = (stack_of(network, "SGD", "cross_entropy", batch=batch, native=native) for native in (True, False))
    assert_alike(*stacks, indices_of(3, batch))


@pytest.mark.compiles
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_updates_are_those_of_the_optimizers(optimizer: str) -> None:
    # Square, so that no gradient is 0 but for rounding, of which the sign is anything.
    stacks = (stack_of("sinusoid", optimizer, "square", native=native) for native in (True, False))
    assert_alike(*stacks, indices_of(10, 32))


@pytest.mark.compiles
@settings(max_examples=25, deadline=None)
@given(
    n=st.integers(1, 140), units=st.integers(1, 40), batch=st.integers(1, 140), network=st.sampled_from(list(NETWORKS))
)
# On both sides of where gradients are looked up, and up to three tables of examples.
@example(n=31, units=11, batch=8, network="relu")
@example(n=32, units=11, batch=7, network="relu")
@example(n=32, units=11, batch=8, network="relu")
@example(n=64, units=40, batch=64, network="polynomial")
@example(n=129, units=23, batch=133, network="without biases")
def test_every_shape(n: int, units: int, batch: int, network: str) -> None:
    stacks = (stack_of(network, "SGD", "square", n, units, batch, native=native) for native in (True, False))
    assert_alike(*stacks, indices_of(2, batch))


@pytest.mark.compiles
@pytest.mark.parametrize(("n", "units", "batch"), [(13, 3000, 100), (50, 3000, 100), (50, 160, 200)])
def test_a_batch_larger_than_what_is_computed_at_a_time(n: int, units: int, batch: int) -> None:
    stacks = (stack_of(n=n, units=units, batch=batch, native=native) for native in (True, False))
    assert_alike(*stacks, indices_of(2, batch))


@pytest.mark.compiles
@pytest.mark.parametrize("n", [13, 50])
@pytest.mark.parametrize("network", ["relu", "power", "PolyNet"])
def test_single_precision_is_that_of_double_but_for_rounding(network: str, n: int) -> None:
    single = stack_of(network, "SGD", "square", n, 100, 70, kind=torch.float32)
    double = stack_of(network, "SGD", "square", n, 100, 70, native=False)
    for name, weight in single.weights.items():
        weight.copy_(double.weights[name])
    with torch.no_grad():
        single.run(indices_of(2, 70)), double.run(indices_of(2, 70))
    for name, weight in single.weights.items():
        torch.testing.assert_close(weight.double(), double.weights[name], rtol=1e-4, atol=1e-5)


@pytest.mark.compiles
@pytest.mark.parametrize("kind", [torch.float32, torch.float64])
@pytest.mark.parametrize("optimizer", ["SGDW, momentum", "Adam", "sign-SGD"])
@pytest.mark.parametrize("network", ["relu", "power", "sinusoid", "PolyNet"])
@pytest.mark.parametrize("n", [13, 40])
def test_a_trial_is_the_same_alone_in_company_and_in_calls_of_any_length(
    network: str, optimizer: str, kind: torch.dtype, n: int
) -> None:
    seeds = range(5)
    together = stack_of(network, optimizer, n=n, seeds=seeds, kind=kind)
    losses, errors = together.run(indices_of(12, 32, seeds))
    for seed in (0, 3):
        own = range(seed, seed + 1)
        alone = stack_of(network, optimizer, n=n, seeds=own, kind=kind)
        parts = [alone.run(part) for part in indices_of(12, 32, own).split([1, 4, 7])]
        assert torch.equal(torch.cat([loss for loss, _ in parts])[:, 0], losses[:, seed])
        assert torch.equal(torch.cat([wrong for _, wrong in parts])[:, 0], errors[:, seed])
        for name, weight in together.weights.items():
            assert torch.equal(alone.weights[name][0], weight[seed])
        assert torch.equal(alone.errors(0, 500)[0], together.errors(0, 500)[seed])


@pytest.mark.compiles
def test_options_may_change_with_every_step() -> None:
    stacks = [stack_of("relu", "SGD", native=native) for native in (True, False)]
    options = torch.zeros(8, 3, 4, dtype=torch.float64)
    options[..., 0] = torch.linspace(0.01, 0.3, 24).reshape(8, 3)
    with torch.no_grad():
        for stack in stacks:
            stack.run(indices_of(8, 32), options)
    assert torch.equal(stacks[0].options, options[-1])
    torch.testing.assert_close(stacks[0].weights, stacks[1].weights, rtol=1e-9, atol=1e-11)


@pytest.mark.compiles
@pytest.mark.parametrize("n", [13, 40])
def test_a_diverging_trial_shows_it_and_disturbs_no_other(n: int) -> None:
    def losses_of(rate: float) -> Tensor:
        stack = stack_of("power", "SGD", "square", n, kind=torch.float32)
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


@pytest.mark.compiles
def test_a_subclass_is_not_taken_for_what_it_inherits_from() -> None:
    modules = [NetworkWithLoss(Doubled(10, 3, 5), find_loss("hinge"))]
    stack = Stack.of(modules, [SparseParity(10, 3)], OPTIMIZERS["SGD"], 8)
    assert not stack.use_native_code()
    modules = [NetworkWithLoss(TwoLayerMLP(10, 3, 5), lambda margin: (1 - margin).abs())]
    assert not Stack.of(modules, [SparseParity(10, 3)], OPTIMIZERS["SGD"], 8).use_native_code()


class Doubling(nn.Linear):
    """A layer whose output is twice that of the class it inherits from."""

    def forward(self, x: Tensor) -> Tensor:
        return 2 * super().forward(x)


class Transposed(nn.Module):
    """Names a weight that lies the other way round."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(10, 4))

    def closed_form(self) -> ClosedForm:
        return ClosedForm("weight", activation=nn.ReLU())

    def forward(self, x: Tensor) -> Tensor:
        return (x @ self.weight).relu().sum(-1)


def with_a_hook(factor: float = 2.0) -> nn.Module:
    network = TwoLayerMLP(10, 3, 5)
    network.hidden.register_forward_hook(lambda module, arguments, output: output * factor)
    return network


def with_a_hook_of_one_percent() -> nn.Module:
    return with_a_hook(1.01)


def with_another_layer() -> nn.Module:
    network = TwoLayerMLP(10, 3, 5)
    network.hidden = Doubling(10, 5)
    return network


@pytest.mark.compiles
@pytest.mark.parametrize("make", [with_a_hook, with_a_hook_of_one_percent, with_another_layer, Transposed])
def test_a_form_that_is_not_the_networks_is_not_used(make: Callable[[], nn.Module]) -> None:
    stack = Stack.of([NetworkWithLoss(make(), find_loss("hinge"))], [SparseParity(10, 3)], OPTIMIZERS["SGD"], 8)
    assert not stack.use_native_code()


@pytest.mark.compiles
@pytest.mark.parametrize("native", [True, False])
@pytest.mark.parametrize("option", [{"decay": 0.5}, {"momentum": 0.9}, {"weight_decay": 0.5}])
def test_what_a_schedule_switches_on_later_takes_part(option: dict[str, float], native: bool) -> None:
    parity, steps = SparseParity(10, 3), 12
    torch.manual_seed(0)
    network, loss = TwoLayerMLP(10, 3, 5).double(), find_loss("square")

    def optimizer_of(weights: Any) -> tuple[torch.optim.Optimizer, PiecewiseSchedule]:
        made = SGDW(weights, lr=0.1)
        return made, PiecewiseSchedule(made, {4: option})

    module = NetworkWithLoss(network, loss)
    made = optimizer_of(module.parameters())
    rule = find_rule([made[0]], scheduled=True)
    objective = Objective(module, 10)
    stack = Stack(objective, rule, [0] * 3, parity, 8, noisy=False, size_limit=1)
    options = OptimizerOptions(*made, rule)
    stack.put(parity, module, options.first)
    if native:
        assert stack.use_native_code()
    indices = indices_of(steps, 8, range(1))
    with torch.no_grad():
        stack.run(indices, options.of_steps(0, steps).unsqueeze(1))
    optimizer, schedule = optimizer_of(module.parameters())
    for index in indices[:, 0]:
        x, y = parity.draw(index)
        optimizer.zero_grad()
        module.loss(module(x.double()), y.double()).backward()
        optimizer.step()
        schedule.step()
    torch.testing.assert_close(stack.weights["network.hidden.weight"][0], network.hidden.weight.detach())


@pytest.mark.compiles
def test_groups_of_weights_and_trials_that_come_and_go() -> None:
    stacks = [stack_of("sinusoid", "groups", "square", n=129, batch=37, native=native) for native in (True, False)]
    indices = indices_of(3, 37)
    assert_alike(*stacks, indices)
    for stack in stacks:
        stack.drop([0])
        torch.manual_seed(7)
        module = NetworkWithLoss(NETWORKS["sinusoid"](129, 11), find_loss("square")).double()
        stack.put(SparseParity(129, 3, seed=7), module, stack.options[0].tolist())
    assert_alike(*stacks, indices)


@pytest.mark.compiles
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


def test_without_a_compiler_the_reason_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CXX", "no-such-compiler -O2")
    with pytest.raises(NotCompiled, match="CXX=no-such-compiler -O2: no such program"):
        load_library.__wrapped__(torch.float32)
    # A compiler that fails without a word.
    monkeypatch.setenv("CXX", "false")
    with pytest.raises(NotCompiled, match=r"^false:$"):
        load_library.__wrapped__(torch.float32)
    monkeypatch.delenv("CXX")
    monkeypatch.setenv("PATH", "")
    # As if it were not installed, whatever is.
    monkeypatch.setitem(sys.modules, "ziglang", None)
    with pytest.raises(NotCompiled, match="no C\\+\\+ compiler"):
        load_library.__wrapped__(torch.float32)
    with pytest.raises(NotCompiled, match="bfloat16"):
        load_library.__wrapped__(torch.bfloat16)


@pytest.mark.compiles
def test_a_damaged_library_is_built_again(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (shared,) = private_cache().glob(f"{load_library(torch.float32).version}*.so")
    whole = shared.read_bytes()
    folder = tmp_path / "libraries"
    folder.mkdir(mode=0o700)
    monkeypatch.setenv("PARITY_LIGHTNING_CACHE", str(folder))
    library = folder / shared.name
    library.write_bytes(whole[: len(whole) // 2])
    library.chmod(0o600)
    shutil.copy(shared.with_suffix(".sha256"), folder)
    # Building takes five seconds, and what it makes is there already.
    (compiler := tmp_path / "compiler").write_text(
        "#!/bin/sh\n"
        'case "$*" in *-shared*) while [ "$1" != -o ]; do shift; done;\n'
        f'exec cp {shlex.quote(str(shared))} "$2";; esac\n'
        f'exec {shlex.join(find_compiler())} "$@"\n'
    )
    compiler.chmod(0o700)
    monkeypatch.setenv("CXX", shlex.quote(str(compiler)))
    load_library.__wrapped__(torch.float32)
    assert f"{library} is damaged; it is built again" in capsys.readouterr().err
    assert library.read_bytes() == whole
    assert library.stat().st_mode & 0o077 == 0
    load_library.__wrapped__(torch.float32)
    assert capsys.readouterr().err == ""


def test_a_compiler_can_come_as_a_package(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("CXX", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    (tmp_path / "ziglang").mkdir()
    (tmp_path / "ziglang" / "__init__.py").touch()
    monkeypatch.syspath_prepend(tmp_path)
    assert find_compiler() == [sys.executable, "-m", "ziglang", "c++"]
    # PyTorch's compiler would need one of its own.
    assert system_compiler() is None


@pytest.mark.slow
def test_the_compiler_of_the_package_makes_steps_that_learn(tmp_path: Path) -> None:
    """Takes a minute or two: it compiles the standard library of C++ first."""
    pytest.importorskip("ziglang")
    (tmp_path / "libraries").mkdir(mode=0o700)
    command = [sys.executable, "-m", "parity_lightning", "trials", "--config", str(CONFIGS / "online.yaml")]
    command += ["--data.n=10", "--trials=8", "--workers=1", f"--output={tmp_path / 'rows.parquet'}"]
    compiler = shlex.join([sys.executable, "-m", "ziglang", "c++"])
    place = {"CXX": compiler, "PARITY_LIGHTNING_CACHE": str(tmp_path / "libraries")}
    subprocess.run(command, check=True, env={**os.environ, **place})
    rows = parquet.read_table(tmp_path / "rows.parquet").to_pylist()
    assert {row["stop_reason"] for row in rows} == {"solved"}
    assert all(row["computed"].startswith("C++ ") for row in rows)


def test_what_has_a_checksum_that_is_no_text_is_built_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tmp_path.chmod(0o700)
    library, builds = tmp_path / "library.so", []

    def build(new: Path) -> None:
        builds.append(new)
        new.write_bytes(b"compiled")

    build_once(library, build, "it")
    build_once(library, build, "it")
    assert len(builds) == 1
    library.with_suffix(".sha256").write_bytes(b"\xff\xfe")
    build_once(library, build, "it")
    assert f"{library} is damaged; it is built again" in capsys.readouterr().err
    build_once(library, build, "it")
    assert len(builds) == 2
    assert capsys.readouterr().err == ""


@pytest.mark.compiles
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


def one_wrong_input(n: int, seed: int) -> tuple[NetworkWithLoss, SparseParity]:
    """A network that is right on all inputs of a parity of one bit but one."""
    parity = SparseParity(n, 1, seed=seed)
    (bit,) = parity.support
    signs = 1.0 - 2.0 * torch.randint(0, 2, (n,), generator=torch.Generator().manual_seed(seed))
    network = TwoLayerMLP(n, 1, 3, "relu").double()
    with torch.no_grad():
        network.hidden.weight.zero_()
        network.hidden.bias.zero_()
        network.hidden.weight[0, bit], network.hidden.weight[1, bit] = 1, -1
        # The third unit is 1 for these signs and 0 for all others.
        network.hidden.weight[2], network.hidden.bias[2] = signs, 1 - n
        network.output.weight[0] = torch.tensor([1.0, -1.0, -2 * float(signs[bit])])
    return NetworkWithLoss(network, find_loss("hinge")), parity


@pytest.mark.compiles
@pytest.mark.parametrize("n", [4, 8, 10, 12, 20])
@pytest.mark.parametrize("screen_size", [100, 256, 1024])
def test_trials_are_confirmed_up_to_their_first_block_with_an_error(n: int, screen_size: int) -> None:
    seeds = range(12)
    modules, parities = zip(*(one_wrong_input(n, seed) for seed in seeds), strict=True)
    places = torch.tensor([5, 11, 0, 3, 4, 2])
    stacks = [Stack.of(modules, parities, OPTIMIZERS["SGD"], 8) for _ in range(2)]
    assert stacks[0].use_native_code()
    with torch.no_grad():
        found, expected = (stack.evaluate(screen_size, places) for stack in stacks)
    assert torch.equal(found.errors, expected.errors)
    assert torch.equal(found.examples, expected.examples)
    # Neither all wrong at once nor all right: 2^13 examples hardly ever have one of 2^20 inputs, and 16 are soon seen.
    wrong = {4: (len(places), screen_size), 20: (0, 2**13)}.get(n)
    if wrong is not None:
        assert (int((found.errors > 0).sum()), int(found.examples[0])) == wrong


@pytest.mark.compiles
@pytest.mark.parametrize("network", ["relu", "polynomial", "PolyNet"])
@pytest.mark.parametrize("batch", [20, 100])
@pytest.mark.parametrize("n", [13, 40])
def test_examples_with_large_margins_add_nothing(network: str, batch: int, n: int) -> None:
    stacks = [stack_of(network, "momentum", "hinge", n, batch=batch, native=native) for native in (True, False)]
    for stack in stacks:
        for weight in stack.weights.values():
            weight.mul_(3)
    with torch.no_grad():
        x, y = ParityStack(*stacks[0].tensors[:4]).draw(indices_of(1, batch)[0], n, "train", noisy=True)
        is_beyond = stacks[0].predict(x.double()) * y > 1
    assert 0.1 < is_beyond.double().mean() < 0.9
    assert_alike(*stacks, indices_of(5, batch))


@pytest.mark.compiles
@pytest.mark.parametrize("n", [13, 40])
def test_what_is_not_finite_shows_where_margins_are_large(n: int) -> None:
    """An infinite output has no hinge loss; its gradient is no number."""
    stacks = [stack_of("relu", "SGD", "hinge", n, native=native) for native in (True, False)]
    for stack in stacks:
        stack.weights["network.output.weight"][1, 0, 2] = torch.inf
    indices = indices_of(3, 32)
    with torch.no_grad():
        losses, expected = (stack.run(indices)[0] for stack in stacks)
    assert torch.equal(losses.isfinite(), expected.isfinite())
    assert not losses[-1, 1].isfinite()
