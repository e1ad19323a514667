"""How many trials are stacked: as many as fit into the cache, and into memory."""

from __future__ import annotations

import os

import pytest
import torch
from conftest import CONFIGS

from parity_lightning.cli.trial_config import TrialConfigCLI
from parity_lightning.engine import stack_size
from parity_lightning.engine.kept_tensors import kept_tensors
from parity_lightning.engine.stack_size import bytes_per_trial, default_stack_size
from parity_lightning.engine.trial_config import TrialConfig

CPU = torch.device("cpu")


def setting_of(*options: str) -> TrialConfig:
    return TrialConfigCLI([f"--config={CONFIGS / 'online.yaml'}", "--trainer.accelerator=cpu", *options]).setting()


@pytest.mark.parametrize(("n", "width", "batch"), [(20, 50, 4), (50, 100, 32), (30, 2000, 64)])
def test_the_memory_of_a_trial_is_that_of_its_parts(n: int, width: int, batch: int) -> None:
    setting = setting_of(f"--data.n={n}", f"--model.width={width}", f"--data.batch_size={batch}")
    weights = 4 * (width * (n + 2))
    # Backpropagation keeps the inputs, the hidden layer once or twice, and a few numbers for each example.
    least = 5 * weights + batch * (2 * 4 * (n + width) + 4 * n)
    most = 5 * weights + batch * (2 * 4 * (n + 2 * width + 8) + 4 * n + 3000)
    assert least < bytes_per_trial(setting) < most


def test_float64_takes_twice_as_much() -> None:
    single, double = (
        bytes_per_trial(setting_of("--model.width=5000", f"--trainer.precision={bits}")) for bits in (32, 64)
    )
    assert double == pytest.approx(2 * single, rel=0.05)


def test_small_networks_are_stacked_by_the_dozen_and_wide_ones_by_four() -> None:
    assert default_stack_size(setting_of(), CPU) == 64
    # About 6 MB a trial, of 32 MiB of cache.
    assert 4 < default_stack_size(setting_of("--model.width=5000"), CPU) < 12
    assert default_stack_size(setting_of("--model.width=100000"), CPU) == 4


@pytest.mark.parametrize("how", ["as Windows", "as macOS"])
def test_a_system_that_does_not_tell_its_free_memory_has_some(how: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(name: str) -> int:
        raise ValueError(f"unrecognized configuration name {name}")

    if how == "as Windows":
        monkeypatch.delattr(os, "sysconf")
    else:
        monkeypatch.setattr(os, "sysconf", unknown)
    assert default_stack_size(setting_of(), CPU) == 64
    # Weights of 32 MB each and what is made of them: a few trials fit into half of 4 GiB, and less into a share of it.
    assert default_stack_size(setting_of("--model.width=100000"), CPU, workers=1000) == 1


def test_no_more_are_stacked_than_half_the_memory_of_a_worker_holds(monkeypatch: pytest.MonkeyPatch) -> None:
    setting = setting_of()
    free = 20.5 * bytes_per_trial(setting)
    monkeypatch.setattr(stack_size, "_free_memory", lambda device, workers: free / workers)
    assert default_stack_size(setting, CPU) == 10
    assert default_stack_size(setting, CPU, workers=2) == 5
    assert default_stack_size(setting, CPU, workers=1000) == 1


def test_of_many_trials_more_are_stacked_but_no_process_is_left_without() -> None:
    setting = setting_of("--data.n=10", "--trainer.val_check_interval=5")
    sizes = [default_stack_size(setting, CPU, 2, trials) for trials in (100, 2_048, 4_096, 10**6)]
    assert sizes == [64, 64, 128, 256]


def test_a_tensor_counts_in_full_where_its_first_part_is_kept_too() -> None:
    weight, x = torch.ones(3, requires_grad=True), torch.ones(4, 3)
    with kept_tensors([weight]) as kept:
        _ = (weight * x).sum() + (weight[0] * x[:, 0]).sum()
    assert [tensor.numbers for tensor in kept] == [12]
