"""Groups of a fixed number of trials: what is recorded for one is done for all of a stack.

Graphs need a GPU, see test_gpu.py. What records them calls the function again here.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from test_native_steps import OPTIMIZERS, indices_of
from torch import Tensor, nn

from parity_lightning.data.sparse_parity import SparseParity
from parity_lightning.engine import graphed_steps
from parity_lightning.engine.graphed_steps import GraphedSteps
from parity_lightning.engine.not_compiled import NotCompiled
from parity_lightning.engine.repeatable import same_each_time, uses_tf32
from parity_lightning.engine.stack import Stack
from parity_lightning.engine.trainable import NetworkWithLoss
from parity_lightning.nets import OneLayerTransformer
from parity_lightning.optim.losses import find_loss

N, BATCH = 12, 16
_GROUP = 4


class ThreeLayers(nn.Module):
    """A network that nothing but PyTorch knows."""

    def __init__(self, n: int = N) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(n, 20), nn.GELU(), nn.Linear(20, 10), nn.ReLU(), nn.Linear(10, 1))
        self.register_buffer("scale", torch.rand(1))

    def forward(self, x: Tensor) -> Tensor:
        output: Tensor = self.layers(x).squeeze(-1) * self.scale
        return output


NETWORKS: dict[str, Callable[[], nn.Module]] = {
    "three layers": ThreeLayers,
    "Transformer": lambda: OneLayerTransformer(N, d_emb=8, d_attn=2, heads=2),
}


class Again:
    """Records a function by keeping it."""

    def __init__(self) -> None:
        self.called = 0

    def record(self, function: Callable[[], None]) -> Callable[[], None]:
        # As what records a graph: the function is called before.
        function()

        def call() -> None:
            self.called += 1
            function()

        return call


@pytest.fixture(autouse=True)
def small_groups(monkeypatch: pytest.MonkeyPatch) -> None:
    """Groups of four trials, which are evaluated two at a time."""
    monkeypatch.setattr(graphed_steps, "_MOST_TRIALS", _GROUP)
    monkeypatch.setattr(graphed_steps, "_NUMBERS_OF_AN_EVALUATION", 2 * 1024 * 24)


def stack_of(network: str, optimizer: str, seeds: range) -> Stack:
    modules = []
    for seed in seeds:
        torch.manual_seed(seed)
        modules.append(NetworkWithLoss(NETWORKS[network](), find_loss("square")))
    parities = [SparseParity(N, 3, seed=seed, label_noise=0.1) for seed in seeds]
    return Stack.of(modules, parities, OPTIMIZERS[optimizer], BATCH)


def graphed(stack: Stack, recorder: Again | None = None) -> Stack:
    words, (options, made, *weights) = stack.tensors[:4], stack.tensors[4:]
    stack._computation = GraphedSteps(
        stack._training, stack._traced, words, options, made, weights, recorder or Again()
    )
    return stack


def run(stack: Stack, indices: Tensor, options: Tensor | None = None) -> tuple[Tensor, Tensor]:
    with torch.no_grad():
        return stack.run(indices, options)


def assert_same(one: Stack, other: Stack) -> None:
    for mine, its in zip(one.tensors, other.tensors, strict=True):
        assert torch.equal(mine, its)


@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize("optimizer", ["Adam", "SGDW, momentum"])
def test_a_full_group_is_what_is_computed_without_graphs(network: str, optimizer: str) -> None:
    seeds, indices = range(_GROUP), indices_of(20, BATCH, range(_GROUP))
    recorder = Again()
    one, other = graphed(stack_of(network, optimizer, seeds), recorder), stack_of(network, optimizer, seeds)
    for mine, its in zip(run(one, indices), run(other, indices), strict=True):
        assert torch.equal(mine, its)
    assert recorder.called == 1 + 4
    assert_same(one, other)
    assert (one.steps_made == 20).all()
    with torch.no_grad():
        assert torch.equal(one.errors(0, 700), other.errors(0, 700))


@pytest.mark.parametrize("network", NETWORKS)
def test_a_trial_is_the_same_alone_in_company_and_in_calls_of_any_length(network: str) -> None:
    seeds = range(7)
    indices = indices_of(35, BATCH, seeds)
    together = graphed(stack_of(network, "Adam", seeds))
    losses, errors = run(together, indices)
    with torch.no_grad():
        counted = together.errors(0, 1500)
    for seed in seeds:
        alone = graphed(stack_of(network, "Adam", range(seed, seed + 1)))
        parts = [run(alone, part) for part in indices[:, seed : seed + 1].split([1, 17, 16, 1])]
        assert torch.equal(torch.cat([part[0] for part in parts])[:, 0], losses[:, seed])
        assert torch.equal(torch.cat([part[1] for part in parts])[:, 0], errors[:, seed])
        for mine, its in zip(alone.tensors, together.tensors, strict=True):
            assert torch.equal(mine[0], its[seed])
        with torch.no_grad():
            assert torch.equal(alone.errors(0, 1500)[0], counted[seed])


def test_a_trial_is_the_same_at_another_place() -> None:
    seeds = range(6)
    indices = indices_of(20, BATCH, seeds)
    one, other = (graphed(stack_of("three layers", "Adam", seeds)) for _ in range(2))
    run(one, indices[:10])
    run(other, indices[:10])
    left = other.drop([0, 3])
    losses, _ = run(one, indices[10:])
    assert left != sorted(left)
    assert torch.equal(run(other, indices[10:, left])[0], losses[:, left])
    for mine, its in zip(other.tensors, one.tensors, strict=True):
        assert torch.equal(mine, its[left])


def test_options_that_change_from_step_to_step() -> None:
    seeds = range(6)
    indices = indices_of(18, BATCH, seeds)
    one, other = graphed(stack_of("three layers", "Adam", seeds)), stack_of("three layers", "Adam", seeds)
    factors = torch.linspace(0, 2, 18 * 6, dtype=torch.float64).view(18, 6, 1)
    options = one.options * factors.where(torch.arange(one.options.shape[1]) == 0, 1.0)
    losses, _ = run(one, indices, options)
    # Eager steps of six trials at a time may round otherwise.
    torch.testing.assert_close(losses, run(other, indices, options)[0], rtol=1e-4, atol=1e-6)
    assert torch.equal(one.options, options[-1])
    # A call later, the last ones stay.
    torch.testing.assert_close(run(one, indices)[0], run(other, indices)[0], rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("places", [[], [4], [3, 0, 5], [5, 4, 3, 2, 1, 0]])
def test_errors_are_counted_at_chosen_places(places: list[int]) -> None:
    one, other = graphed(stack_of("three layers", "SGD", range(6))), stack_of("three layers", "SGD", range(6))
    chosen = torch.tensor(places, dtype=torch.int64)
    with torch.no_grad():
        assert torch.equal(one.errors(130, 1700, chosen), other.errors(130, 1700, chosen))
        if places:
            mine, its = one.evaluate(1024, chosen), other.evaluate(1024, chosen)
            assert torch.equal(mine.errors, its.errors)
            assert torch.equal(mine.examples, its.examples)


def test_a_group_and_what_is_computed_are_named_by_the_version() -> None:
    assert graphed(stack_of("three layers", "SGD", range(1))).computed == f"CUDA graph of {_GROUP}"


def test_what_cannot_be_recorded_leaves_the_stack_as_it_is() -> None:
    class Failing(Again):
        def record(self, function: Callable[[], None]) -> Callable[[], None]:
            function()
            raise RuntimeError("called a synchronizing\nCUDA operation")

    stack, other = (stack_of("three layers", "Adam", range(3)) for _ in range(2))
    with pytest.raises(NotCompiled, match=r"cannot be recorded: RuntimeError: called a synchronizing CUDA operation$"):
        graphed(stack, Failing())
    assert_same(stack, other)
    assert stack.computed == "eager"
    indices = indices_of(3, BATCH, range(3))
    assert torch.equal(run(stack, indices)[0], run(other, indices)[0])


def test_the_size_of_a_group_follows_from_the_network_and_the_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(graphed_steps, "_MOST_TRIALS", 1024)
    # The largest weight has 12 x 20 numbers; of each example the hidden layer, with 20, is kept.
    for numbers, expected in ((16 * 20, 1), (32 * 20 - 1, 1), (32 * 20, 2), (8 * 16 * 20, 8)):
        monkeypatch.setattr(graphed_steps, "_NUMBERS_OF_A_STEP", numbers)
        stacks = [graphed(stack_of("three layers", "SGD", range(trials))) for trials in (1, 5)]
        assert [stack.computed for stack in stacks] == [f"CUDA graph of {expected}"] * 2


def test_settings_of_pytorch_are_as_before_afterwards() -> None:
    def settings() -> list[object]:
        cudnn = torch.backends.cudnn
        filling = torch.utils.deterministic.fill_uninitialized_memory  # type: ignore[attr-defined]
        mode = torch.get_deterministic_debug_mode()
        return [cudnn.benchmark, cudnn.deterministic, cudnn.allow_tf32, filling, mode, uses_tf32()]

    before = settings()
    with same_each_time():
        # As PyTorch has it, convolutions are rounded to TF32, and products are not.
        assert settings() == [False, True, False, False, 1, False]
    assert settings() == before == [False, False, True, True, 0, False]


def test_who_asks_for_tf32_gets_it() -> None:
    try:
        torch.set_float32_matmul_precision("high")
        with same_each_time():
            assert uses_tf32()
            assert torch.backends.cudnn.allow_tf32
        assert graphed(stack_of("three layers", "SGD", range(1))).computed.endswith(", TF32")
    finally:
        torch.set_float32_matmul_precision("highest")
    assert not uses_tf32()


def test_what_a_program_sets_for_convolutions_is_left() -> None:
    convolutions = torch.backends.cudnn.conv  # type: ignore[attr-defined]
    before = convolutions.fp32_precision
    try:
        convolutions.fp32_precision = "ieee"
        with same_each_time():
            assert convolutions.fp32_precision == "ieee"
    finally:
        convolutions.fp32_precision = before
