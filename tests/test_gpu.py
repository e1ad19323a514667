"""On an NVIDIA GPU: our own kernels, and what is not computed by them."""

from __future__ import annotations

import pytest
import torch
from test_native_steps import NETWORKS, indices_of, stack_of
from torch import Tensor

from parity_lightning.data.sparse_parity import SparseParity
from parity_lightning.engine.runner import StackRunner
from parity_lightning.engine.stack import Stack, online_indices
from parity_lightning.engine.trainable import NetworkWithLoss
from parity_lightning.engine.trial import TrialResult, TrialSpec
from parity_lightning.engine.trial_config import TrialConfig
from parity_lightning.modules import MLP, PolyNet
from parity_lightning.nets import TwoLayerMLP
from parity_lightning.optim.losses import find_loss

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no NVIDIA GPU")


def steps_of(stack: Stack, indices: Tensor) -> tuple[Tensor, Tensor]:
    with torch.no_grad():
        losses, errors = stack.run(indices.to(stack.options.device))
    return losses.cpu(), errors.cpu()


@pytest.mark.parametrize(
    ("network", "optimizer"), [*((network, "SGDW, momentum") for network in NETWORKS), ("relu", "Adam")]
)
def test_kernels_do_what_a_cpu_does(network: str, optimizer: str) -> None:
    indices = indices_of(6, 40)
    gpu = stack_of(network, optimizer, "square", batch=40, device="cuda")
    cpu = stack_of(network, optimizer, "square", batch=40, native=False)
    for mine, its in zip(steps_of(gpu, indices), steps_of(cpu, indices), strict=True):
        torch.testing.assert_close(mine, its, rtol=1e-9, atol=1e-11)
    for name, weight in gpu.weights.items():
        torch.testing.assert_close(weight.cpu(), cpu.weights[name], rtol=1e-8, atol=1e-10)
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
