"""From which step on steps are compiled follows from the setting alone."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from parity_lightning.errors import SettingError
from parity_lightning.modules import MLP, DisjointPolyNet, Neuron, ParityModule, PolyNet
from parity_lightning.modules.first_compiled_step import first_compiled_step, reaches

CPU, GPU = torch.device("cpu"), torch.device("cuda")


class Doubled(MLP):
    """A network of a user's own, which computes something else than an MLP."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Doubles the output."""
        return 2 * super().forward(x)


@pytest.mark.parametrize(
    ("module", "device", "batch_size", "step"),
    [
        (MLP(12, 2, width=5), CPU, 32, 0),
        (Neuron(12, 2, activation="sinusoid"), CPU, 32, 0),
        (PolyNet(12, 2), CPU, 32, 0),
        (DisjointPolyNet(12, 2), CPU, 32, 20_000),
        (Doubled(12, 2, width=5), CPU, 32, 20_000),
        (MLP(12, 2, width=5), GPU, 32, 20_000),
        # 5 (12 + 1) + 5 weights: several threads share a step of so many examples.
        (MLP(12, 2, width=5), CPU, 10_000_000 // 70 + 1, 20_000),
        (MLP(12, 2, width=5), CPU, 10_000_000 // 70, 0),
        (MLP(12, 2, width=5, compile_after=3), GPU, 32, 3),
        (DisjointPolyNet(12, 2, compile_after=0), CPU, 32, 0),
        (MLP(12, 2, width=5, compile_after=None), CPU, 32, None),
    ],
)
def test_the_first_compiled_step_follows_from_the_setting(
    module: ParityModule, device: torch.device, batch_size: int, step: int | None
) -> None:
    assert first_compiled_step(module, module.compile_after, device, batch_size) == step


@pytest.mark.parametrize("value", ["never", -1, 1.5, True])
def test_what_is_no_step_is_refused(value: Any) -> None:
    with pytest.raises(SettingError, match="compile_after"):
        MLP(12, 2, compile_after=value)


@pytest.mark.parametrize(
    ("last", "step", "is_reached"), [(5, 4, True), (5, 5, False), (0, 0, False), (-1, 10**9, True), (5, None, False)]
)
def test_a_run_reaches_a_step_or_not(last: int, step: int | None, is_reached: bool) -> None:
    assert reaches(last, step) is is_reached
