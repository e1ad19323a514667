"""On an NVIDIA GPU: our own kernels, and what is not computed by them."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest
import torch
from test_native_steps import NETWORKS, indices_of, stack_of
from torch import Tensor, nn

from parity_lightning.data.parity_stack import stack_parities
from parity_lightning.data.sparse_parity import STREAMS, SparseParity
from parity_lightning.engine.native.gpu_drawing import GpuDrawing
from parity_lightning.engine.native.gpu_program import nvidia_gpu
from parity_lightning.engine.runner import StackRunner
from parity_lightning.engine.stack import Stack, online_indices
from parity_lightning.engine.trainable import NetworkWithLoss
from parity_lightning.engine.trial import TrialResult, TrialSpec
from parity_lightning.engine.trial_config import TrialConfig
from parity_lightning.modules import MLP, ParityModule, PolyNet, Transformer
from parity_lightning.nets import OneLayerTransformer, TwoLayerMLP
from parity_lightning.optim.losses import find_loss

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no NVIDIA GPU")


def steps_of(stack: Stack, indices: Tensor) -> tuple[Tensor, Tensor]:
    with torch.no_grad():
        losses, errors = stack.run(indices.to(stack.options.device))
    return losses.cpu(), errors.cpu()


@pytest.mark.parametrize("kind", [torch.float64, torch.float32])
@pytest.mark.parametrize(
    ("network", "optimizer"), [*((network, "SGDW, momentum") for network in NETWORKS), ("relu", "Adam")]
)
def test_kernels_do_what_a_cpu_does(network: str, optimizer: str, kind: torch.dtype) -> None:
    indices = indices_of(6, 40)
    gpu = stack_of(network, optimizer, "square", batch=40, kind=kind, device="cuda")
    cpu = stack_of(network, optimizer, "square", batch=40, native=False)
    tolerances = {"rtol": 1e-8, "atol": 1e-10} if kind == torch.float64 else {"rtol": 1e-5, "atol": 1e-6}
    for mine, its in zip(steps_of(gpu, indices), steps_of(cpu, indices), strict=True):
        torch.testing.assert_close(mine.to(its.dtype), its, **tolerances)
    for name, weight in gpu.weights.items():
        torch.testing.assert_close(weight.cpu().double(), cpu.weights[name], **tolerances)
    with torch.no_grad():
        assert torch.equal(gpu.errors(0, 1000).cpu(), cpu.errors(0, 1000))


@pytest.mark.parametrize(("n", "units", "batch"), [(50, 100, 32), (10, 3, 7), (33, 700, 32), (20, 50, 100)])
def test_a_trial_is_the_same_alone_and_in_company(n: int, units: int, batch: int) -> None:
    seeds = range(40)
    common = {"n": n, "units": units, "batch": batch, "kind": torch.float32, "device": "cuda"}
    together = stack_of(seeds=seeds, **common)
    losses, _ = steps_of(together, indices_of(50, batch, seeds))
    for seed in (0, 17, 39):
        own = range(seed, seed + 1)
        alone = stack_of(seeds=own, **common)
        indices = indices_of(50, batch, own)
        found = torch.cat([steps_of(alone, part)[0] for part in indices.split([1, 20, 29])])
        assert torch.equal(found[:, 0], losses[:, seed])


def test_products_are_not_rounded_to_tf32() -> None:
    indices = indices_of(1, 32)
    common = {"n": 50, "units": 100, "loss": "square", "kind": torch.float32}
    gpu, cpu = stack_of(device="cuda", **common), stack_of(native=False, **common)  # type: ignore[arg-type]
    steps_of(gpu, indices), steps_of(cpu, indices)
    for name, weight in gpu.weights.items():
        # TF32 has 10 bits: it would differ by a thousandth of a gradient.
        torch.testing.assert_close(weight.cpu(), cpu.weights[name], rtol=1e-5, atol=1e-7)


def results_of(module: object, trials: int, size: int, **options: object) -> dict[int, TrialResult]:
    setting = TrialConfig(module, SparseParity(10, 3), 32, None, 6000, 100)  # type: ignore[arg-type]
    runner = StackRunner([setting], size, device="cuda", **{"compiled": True, **options})  # type: ignore[arg-type]
    specs = [TrialSpec(seed, 0, seed) for seed in range(trials)]
    return {result.number: result for results in runner.run(specs) for result in results}


@pytest.mark.parametrize("kind", ["mlp", "polynet"])
def test_trials_are_solved_and_the_same_in_any_stack(kind: str) -> None:
    optimizer = lambda weights: torch.optim.SGD(weights, lr=0.1)  # noqa: E731
    module = MLP(10, 3, optimizer=optimizer) if kind == "mlp" else PolyNet(10, 3, optimizer=optimizer)
    many, few = results_of(module, 64, 64), results_of(module, 64, 7)
    assert many == few
    assert sum(result.convergence_time is not None for result in many.values()) >= (60 if kind == "mlp" else 30)
    assert all("CUDA" in result.computed for result in many.values())


class OwnNetwork(nn.Module):
    """Three layers: nothing but PyTorch knows them."""

    def __init__(self, n: int, width: int) -> None:
        super().__init__()
        sizes = (n, width, width)
        hidden = [part for one, two in pairwise(sizes) for part in (nn.Linear(one, two), nn.ReLU())]
        self.layers = nn.Sequential(*hidden, nn.Linear(width, 1))

    def forward(self, x: Tensor) -> Tensor:
        output: Tensor = self.layers(x)
        return output.squeeze(-1)


class Own(ParityModule):
    """Trains it."""

    def __init__(self, n: int, k: int, width: int, **kwargs: Any) -> None:
        super().__init__(OwnNetwork(n, width), **kwargs)

    @property
    def first_layer(self) -> Tensor:
        first: Tensor = self.network.layers[0].weight  # type: ignore[index, union-attr]
        return first


class Waiting(Own):
    """Waits for the GPU in every step."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x) * torch.ones((), device=x.device).item()


GRAPHED: dict[str, Callable[[], nn.Module]] = {
    "own": lambda: OwnNetwork(20, 100),
    "Transformer": lambda: OneLayerTransformer(20, d_emb=32, d_attn=4, heads=4),
}


def graphed_of(network: str, seeds: range, kind: torch.dtype, device: str = "cuda") -> Stack:
    """Trials of these seeds; on a GPU their steps are recorded."""
    modules = []
    for seed in seeds:
        torch.manual_seed(seed)
        modules.append(NetworkWithLoss(GRAPHED[network](), find_loss("square")).to(device, kind))
    parities = [SparseParity(20, 3, seed=seed, label_noise=0.1) for seed in seeds]
    stack = Stack.of(modules, parities, lambda weights: torch.optim.Adam(weights, lr=0.001), 32)
    if device == "cuda":
        stack.compile()
        assert "CUDA graph" in stack.computed
    return stack


@pytest.mark.parametrize("network", GRAPHED)
def test_graphs_do_what_a_cpu_does(network: str) -> None:
    seeds = range(3)
    indices = indices_of(19, 32, seeds)
    gpu, cpu = (graphed_of(network, seeds, torch.float64, device) for device in ("cuda", "cpu"))
    for mine, its in zip(steps_of(gpu, indices), steps_of(cpu, indices), strict=True):
        torch.testing.assert_close(mine, its, rtol=1e-8, atol=1e-10)
    for name, weight in gpu.weights.items():
        torch.testing.assert_close(weight.cpu(), cpu.weights[name], rtol=1e-6, atol=1e-8)
    with torch.no_grad():
        assert torch.equal(gpu.errors(0, 1500).cpu(), cpu.errors(0, 1500))


@pytest.mark.parametrize("network", GRAPHED)
def test_with_graphs_a_trial_is_the_same_alone_and_in_company(network: str) -> None:
    seeds = range(150)
    indices = indices_of(40, 32, seeds)
    together = graphed_of(network, seeds, torch.float32)
    losses, errors = steps_of(together, indices)
    with torch.no_grad():
        counted = together.errors(0, 3000)
    for seed in (0, 1, 77, 149):
        alone = graphed_of(network, range(seed, seed + 1), torch.float32)
        parts = [steps_of(alone, part) for part in indices[:, seed : seed + 1].split([1, 18, 21])]
        assert torch.equal(torch.cat([part[0] for part in parts])[:, 0], losses[:, seed])
        assert torch.equal(torch.cat([part[1] for part in parts])[:, 0], errors[:, seed])
        for mine, its in zip(alone.tensors, together.tensors, strict=True):
            assert torch.equal(mine[0], its[seed])
        with torch.no_grad():
            assert torch.equal(alone.errors(0, 3000)[0], counted[seed])


@pytest.mark.parametrize("network", GRAPHED)
def test_products_of_graphs_are_not_rounded_to_tf32(network: str) -> None:
    gpu, cpu = (graphed_of(network, range(3), torch.float32, device) for device in ("cuda", "cpu"))
    losses, its = (steps_of(stack, indices_of(1, 32))[0] for stack in (gpu, cpu))
    # TF32 has 10 bits: it would differ by some thousandths.
    torch.testing.assert_close(losses, its, rtol=3e-5, atol=1e-7)


def test_steps_of_graphs_are_not_waited_for() -> None:
    stack = graphed_of("own", range(5), torch.float32)
    indices = indices_of(20, 32, range(5)).cuda()
    try:
        torch.cuda.set_sync_debug_mode("error")
        with torch.no_grad():
            stack.run(indices, stack.options.repeat(20, 1, 1))
    finally:
        torch.cuda.set_sync_debug_mode("default")


@pytest.mark.parametrize("kind", ["own", "Transformer"])
def test_trials_by_graphs_are_solved_and_the_same_in_any_stack(kind: str) -> None:
    optimizer = lambda weights: torch.optim.Adam(weights, lr=0.003)  # noqa: E731
    module = (
        Own(10, 3, 40, optimizer=optimizer)
        if kind == "own"
        else Transformer(10, d_emb=32, d_attn=4, heads=4, optimizer=optimizer)
    )
    trials = 64 if kind == "own" else 14
    many, few = results_of(module, trials, 64), results_of(module, trials, 7)
    assert many == few
    assert all(result.computed.startswith("CUDA graph") for result in many.values())
    assert sum(result.convergence_time is not None for result in many.values()) > trials / 2


def test_what_cannot_be_recorded_is_computed_without_a_graph() -> None:
    setting = TrialConfig(Waiting(10, 3, 20), SparseParity(10, 3), 32, None, 200, 100)
    runner = StackRunner([setting], 4, compiled=True, device="cuda")
    results = [result for some in runner.run(TrialSpec(seed, 0, seed) for seed in range(4)) for result in some]
    assert len(results) == 4
    assert runner.note is not None
    assert "running without compiled steps" in runner.note
    assert "cannot be recorded" in runner.note
    assert all(result.computed.startswith("eager") for result in results)
    # The GPU is left in order: others are recorded after it.
    graphed_of("own", range(1), torch.float32)


@pytest.mark.parametrize("kind", [torch.float32, torch.float64])
def test_examples_drawn_by_a_kernel_are_those_of_pytorch(kind: torch.dtype) -> None:
    for n in (1, 31, 32, 33, 50, 140):
        words = stack_parities([SparseParity(n, min(n, 3), seed=seed, label_noise=0.2) for seed in (0, 7, 2**40 + 3)])
        on_gpu = [word.cuda() for word in words]
        index = torch.randint(0, 2**62, (3, 500))
        for own in (index, index[1]):
            for stream in STREAMS:
                x, y = GpuDrawing(n, kind, nvidia_gpu(on_gpu[0].device))(on_gpu, own.cuda(), stream, True)
                expected_x, expected_y = words.draw(own, n, stream, True)
                assert torch.equal(x.cpu(), expected_x.to(kind))
                assert torch.equal(y.cpu(), expected_y.to(kind))


def test_a_network_without_a_closed_form() -> None:
    class Squared(TwoLayerMLP):
        def forward(self, x: Tensor) -> Tensor:
            return super().forward(x) ** 2 - 1

    modules = [NetworkWithLoss(Squared(8, 2, 20), find_loss("square")).cuda() for _ in range(3)]
    stack = Stack.of(
        modules, [SparseParity(8, 2, seed=seed) for seed in range(3)], lambda w: torch.optim.SGD(w, lr=0.1), 16
    )
    assert not stack.use_native_code()
    first = torch.zeros(3, dtype=torch.int64, device="cuda")
    losses, _ = steps_of(stack, online_indices(first, 200, 16))
    assert losses[-20:].mean() < losses[:20].mean()
