"""The kernels for GPUs do what PyTorch does; they run on a CPU here, by tests/cuda_on_cpu.h."""

from __future__ import annotations

import ctypes
import subprocess
from collections.abc import Iterable, Sequence
from functools import cache
from pathlib import Path

import pytest
import torch
from test_native_steps import NETWORKS, OPTIMIZERS, indices_of, stack_of
from torch import Tensor, nn

import parity_lightning.engine.native as native
from parity_lightning.data.parity_stack import stack_parities
from parity_lightning.data.sparse_parity import STREAMS, SparseParity
from parity_lightning.engine.computation import Training
from parity_lightning.engine.native import gpu_steps
from parity_lightning.engine.native.compiler import find_compiler
from parity_lightning.engine.native.gpu_drawing import GpuDrawing
from parity_lightning.engine.native.gpu_steps import GpuSteps
from parity_lightning.engine.not_compiled import NotCompiled
from parity_lightning.engine.objective import Objective
from parity_lightning.engine.stack import Stack
from parity_lightning.engine.trainable import NetworkWithLoss
from parity_lightning.engine.update_rules import find_rule, groups_of
from parity_lightning.optim.losses import LOSSES, find_loss
from parity_lightning.optim.optimizers import SGDW

pytestmark = pytest.mark.compiles
_HERE = Path(__file__).parent
# Networks that tensor cores can compute.
SUMS = [network for network in NETWORKS if "PolyNet" not in network]


class EmulatedProgram:
    """Kernels in a library for the CPU."""

    version = "emulated"

    def __init__(self, library: Path) -> None:
        self._functions = ctypes.CDLL(str(library))

    def launch(
        self, name: str, grid: tuple[int, int], threads: int, memory: int, arguments: Sequence[ctypes._CData]
    ) -> None:
        assert memory <= EmulatedGpu.most_memory
        places = (ctypes.c_void_p * len(arguments))(*map(ctypes.addressof, arguments))
        self._functions[f"launch_{name}"](*grid, threads, memory, places)


class EmulatedGpu:
    """A CPU that does what a GPU would."""

    most_memory = 227 * 1024
    multiplies_bfloat16 = False

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @cache  # noqa: B019  (it lives as long as the tests)
    def program(self, source: str, *defined: str) -> EmulatedProgram:
        stem = Path(source).stem
        main = self._folder / f"{stem}.cpp"
        main.write_text(f'#include "{stem}_on_cpu.h"\n')
        library = self._folder / f"{'-'.join([stem, *defined])}.so"
        includes = [f"-I{_HERE}", f"-I{Path(native.__file__).parent}"]
        options = [
            "-O1",
            "-w",
            "-fno-strict-aliasing",
            "-std=c++17",
            "-fPIC",
            "-shared",
            *(f"-D{each}" for each in defined),
        ]
        subprocess.run([*find_compiler(), *options, *includes, str(main), "-o", str(library)], check=True)
        return EmulatedProgram(library)


class WithTensorCores(EmulatedGpu):
    multiplies_bfloat16 = True


Gpus = tuple[EmulatedGpu, EmulatedGpu]


@pytest.fixture(scope="session")
def emulated(tmp_path_factory: pytest.TempPathFactory) -> Gpus:
    """GPUs without tensor cores, and with them."""
    return EmulatedGpu(tmp_path_factory.mktemp("emulated")), WithTensorCores(tmp_path_factory.mktemp("emulated"))


class Case:
    """A stack that autograd and PyTorch's optimizer train, and the same trained by the kernels."""

    def __init__(
        self,
        emulated: Gpus,
        network: str,
        optimizer: str = "SGD",
        loss: str = "square",
        n: int = 13,
        units: int = 11,
        batch: int = 32,
        seeds: range = range(2),
        tiles: bool = False,
    ) -> None:
        self.expected, self.stack = (
            stack_of(network, optimizer, loss, n, units, batch, seeds, kind, native=False)
            for kind in (torch.float64, torch.float32 if tiles else torch.float64)
        )
        self.tolerances = {"rtol": 1e-5, "atol": 1e-6} if tiles else {"rtol": 1e-8, "atol": 1e-10}
        module = NetworkWithLoss(NETWORKS[network](n, units), find_loss(loss)).to(self.stack.tensors[-1].dtype)
        objective = Objective(module, n)
        parameters = objective.parameters_of(module)
        made = OPTIMIZERS[optimizer](parameters)
        rule, groups = find_rule([made]), groups_of(made, parameters)
        self.words, (self.options, self.made, *self.weights) = self.stack.tensors[:4], self.stack.tensors[4:]
        training = Training(objective, rule, groups, n, True, batch)
        self.steps = GpuSteps(training, self.weights, emulated[tiles])

    def run(self, indices: Tensor) -> tuple[Tensor, Tensor]:
        return self.steps.run(self.words, self.options, self.made, self.weights, indices)

    def errors(self, places: Sequence[int], first: int, end: int) -> Tensor:
        return self.steps.errors(self.words, self.weights, torch.tensor(places), first, end)

    def check(self, indices: Tensor) -> None:
        """Both do the same but for rounding, and count the same errors."""
        with torch.no_grad():
            for mine, its in zip(self.run(indices), self.expected.run(indices), strict=True):
                torch.testing.assert_close(mine.to(its.dtype), its, **self.tolerances)
        assert_same_weights(self.stack, self.expected, **self.tolerances)
        with torch.no_grad():
            assert torch.equal(self.errors(range(self.stack.size), 0, 300), self.expected.errors(0, 300))
            assert torch.equal(self.errors([1], 130, 700), self.expected.errors(130, 700, torch.tensor([1])))


def assert_same_weights(one: Stack, other: Stack, **tolerances: float) -> None:
    assert torch.equal(one.steps_made, other.steps_made)
    for name, weight in one.weights.items():
        torch.testing.assert_close(weight.to(other.weights[name].dtype), other.weights[name], **tolerances)


@pytest.mark.parametrize(
    ("network", "tiles"), [*((network, False) for network in NETWORKS), *((network, True) for network in SUMS)]
)
def test_gradients_are_those_of_autograd(network: str, tiles: bool, emulated: Gpus) -> None:
    Case(emulated, network, "momentum", tiles=tiles).check(indices_of(4, 32, range(2)))


@pytest.mark.parametrize("loss", LOSSES)
def test_losses_are_those_of_autograd(loss: str, emulated: Gpus) -> None:
    Case(emulated, "relu", loss=loss).check(indices_of(4, 32, range(2)))


@pytest.mark.parametrize("tiles", [False, True])
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_updates_are_those_of_the_optimizers(optimizer: str, tiles: bool, emulated: Gpus) -> None:
    # Square, so that no gradient is 0 but for rounding, of which the sign is anything.
    Case(emulated, "relu", optimizer, "square", tiles=tiles).check(indices_of(6, 32, range(2)))


@pytest.mark.parametrize(
    ("n", "units", "batch"),
    [
        *[(1, 1, 1), (5, 33, 3), (50, 100, 32), (33, 65, 40), (140, 40, 70), (10, 129, 31), (7, 300, 64), (130, 3, 33)],
        # Inputs and the bias's fill a word, or begin one; they fill a quarter of a tile, or begin the next.
        *[(31, 16, 32), (32, 64, 64), (19, 48, 16), (20, 17, 16)],
    ],
)
@pytest.mark.parametrize("tiles", [False, True])
def test_every_shape(n: int, units: int, batch: int, tiles: bool, emulated: Gpus) -> None:
    case = Case(emulated, "relu", "SGDW, momentum", "square", n, units, batch, tiles=tiles)
    case.check(indices_of(2, batch, range(2)))


@pytest.mark.parametrize(
    ("network", "batch", "tiles"), [("relu", 40, False), ("PolyNet", 32, False), ("relu", 40, True), ("relu", 32, True)]
)
def test_a_trial_is_the_same_alone_in_company_and_in_calls_of_any_length(
    network: str, batch: int, tiles: bool, emulated: Gpus
) -> None:
    seeds = range(4)
    together = Case(emulated, network, "Adam", batch=batch, seeds=seeds, tiles=tiles)
    losses, errors = together.run(indices_of(6, batch, seeds))
    for place, seed in enumerate(seeds):
        own = range(seed, seed + 1)
        alone = Case(emulated, network, "Adam", batch=batch, seeds=own, tiles=tiles)
        indices = indices_of(6, batch, own)
        first, last = alone.run(indices[:2]), alone.run(indices[2:])
        assert torch.equal(torch.cat([first[0], last[0]])[:, 0], losses[:, place])
        assert torch.equal(torch.cat([first[1], last[1]])[:, 0], errors[:, place])
        for name, weight in alone.stack.weights.items():
            assert torch.equal(weight[0], together.stack.weights[name][place])


def test_options_that_change_from_step_to_step(emulated: Gpus) -> None:
    case = Case(emulated, "relu")
    indices = indices_of(3, 32, range(2))
    options = case.options.repeat(3, 1, 1) * torch.tensor([1.0, 0.0, 2.0], dtype=torch.float64).view(3, 1, 1)
    with torch.no_grad():
        losses, _ = case.steps.run(case.words, options, case.made, case.weights, indices)
        expected, _ = case.expected.run(indices, options)
    torch.testing.assert_close(losses, expected, rtol=1e-9, atol=1e-11)
    assert_same_weights(case.stack, case.expected, rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("tiles", [False, True])
def test_a_block_counts_more_examples_than_a_warp_has(
    tiles: bool, emulated: Gpus, monkeypatch: pytest.MonkeyPatch
) -> None:
    case = Case(emulated, "relu", units=129, tiles=tiles)
    for blocks in (1, 8):
        # So few that each has many examples.
        monkeypatch.setattr(gpu_steps, "_BLOCKS", blocks)
        with torch.no_grad():
            assert torch.equal(case.errors([0, 1], 130, 720), case.expected.errors(130, 720))


@pytest.mark.parametrize("tiles", [False, True])
@pytest.mark.parametrize("frozen", ["hidden.weight", "hidden.bias", "output.weight"])
def test_frozen_tensors_are_left_alone(
    frozen: str, tiles: bool, emulated: Gpus, monkeypatch: pytest.MonkeyPatch
) -> None:
    def network(n: int, units: int) -> nn.Module:
        made = NETWORKS["relu"](n, units)
        made.get_parameter(frozen).requires_grad_(False)
        return made

    def optimizer(weights: Iterable[nn.Parameter]) -> torch.optim.Optimizer:
        return SGDW([weight for weight in weights if weight.requires_grad], lr=0.05, decay=0.01, momentum=0.5)

    monkeypatch.setitem(NETWORKS, "frozen", network)
    monkeypatch.setitem(OPTIMIZERS, "frozen", optimizer)
    Case(emulated, "frozen", "frozen", tiles=tiles).check(indices_of(3, 32, range(2)))


@pytest.mark.parametrize("tiles", [False, True])
def test_a_diverged_trial_is_wrong_on_every_example_and_disturbs_no_other(tiles: bool, emulated: Gpus) -> None:
    case, other = (Case(emulated, "relu", tiles=tiles) for _ in range(2))
    case.stack.weights[next(iter(case.stack.weights))][0].fill_(torch.nan)
    indices = indices_of(2, 32, range(2))
    (losses, errors), (its_losses, its_errors) = case.run(indices), other.run(indices)
    assert losses[:, 0].isnan().all()
    assert (errors[:, 0] == 32).all()
    assert torch.equal(losses[:, 1], its_losses[:, 1])
    assert torch.equal(errors[:, 1], its_errors[:, 1])
    assert case.errors([0], 0, 100).tolist() == [100]


def test_errors_are_counted_at_places_that_do_not_follow_one_another_in_memory(emulated: Gpus) -> None:
    case = Case(emulated, "relu")
    places = torch.tensor([1, 0, 1, 0])[::2]
    assert torch.equal(case.steps.errors(case.words, case.weights, places, 0, 100), case.errors([1, 1], 0, 100))
    assert case.errors([0], 0, 100) != case.errors([1], 0, 100)


def test_a_trial_whose_tiles_do_not_fit_is_computed_without_them(emulated: Gpus) -> None:
    # With gradients of several parts, tiles take 242,848 bytes of 232,448, and units 135,328.
    case = Case(emulated, "relu", "momentum", n=20, units=513, batch=40, tiles=True)
    case.check(indices_of(1, 40, range(2)))


def test_too_large_a_trial_is_left_to_other_code(emulated: Gpus) -> None:
    with pytest.raises(NotCompiled, match="1,025 units are more than 1,024 in a block"):
        Case(emulated, "relu", units=1025)
    with pytest.raises(NotCompiled, match="a trial takes 353,056 bytes of a block's 232,448"):
        Case(emulated, "relu", units=400, n=100)


@pytest.mark.parametrize("kind", [torch.float32, torch.float64])
@pytest.mark.parametrize("n", [1, 31, 32, 33, 50, 128, 140])
def test_examples_are_those_of_pytorch(n: int, kind: torch.dtype, emulated: Gpus) -> None:
    drawing = GpuDrawing(n, kind, emulated[0])
    parities = [SparseParity(n, min(n, 3), seed=seed, label_noise=0.2) for seed in (0, 7, 2**40 + 3)]
    words = stack_parities(parities)
    generator = torch.Generator().manual_seed(n)
    # 3 * 50 examples fill a block of threads, and a part of another.
    index = torch.randint(0, 2**62, (3, 50), generator=generator)
    index[:, :3] = torch.tensor([0, 2**32, 2**63 - 1])
    for stream in STREAMS:
        for noisy in (False, True):
            for own in (index, index[1], index[:, :1]):
                x, y = drawing(words, own, stream, noisy)
                expected_x, expected_y = words.draw(own, n, stream, noisy)
                assert x.dtype == y.dtype == kind
                assert torch.equal(x, expected_x.to(kind))
                assert torch.equal(y, expected_y.to(kind))


def test_label_noise_flips_labels(emulated: Gpus) -> None:
    drawing = GpuDrawing(10, torch.float32, emulated[0])
    words = stack_parities([SparseParity(10, 3, label_noise=0.2)])
    index = torch.arange(1000)
    clean, noisy = (drawing(words, index, "train", noisy)[1] for noisy in (False, True))
    assert 150 < (clean != noisy).sum() < 250


def test_examples_of_other_types_are_left_to_other_code(emulated: Gpus) -> None:
    with pytest.raises(NotCompiled, match=r"no kernels for torch\.float16"):
        GpuDrawing(10, torch.float16, emulated[0])
