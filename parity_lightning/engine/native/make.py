"""The steps of our own code for the device that a stack lies on."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from parity_lightning.engine.native.cpu_steps import CpuSteps
from parity_lightning.engine.native.gpu_steps import GpuSteps
from parity_lightning.engine.native.steps import NativeSteps
from parity_lightning.engine.not_compiled import NotCompiled
from parity_lightning.engine.objective import Objective
from parity_lightning.engine.update_rules import UpdateFunction


def make_steps(
    objective: Objective,
    rule: UpdateFunction,
    groups: Sequence[int],
    n: int,
    noisy: bool,
    weights: Sequence[Tensor],
    batch_size: int,
) -> NativeSteps:
    """Makes them.

    Args:
        objective: As of `NativeSteps`.
        rule: As of `NativeSteps`.
        groups: As of `NativeSteps`.
        n: As of `NativeSteps`.
        noisy: As of `NativeSteps`.
        weights: As of `NativeSteps`.
        batch_size: Examples in a step of one trial.

    Raises:
        NotCompiled: If there is no code for this network, rule or device, or it cannot be compiled.
        SettingError: If others can write to the folder of compiled functions.
    """
    kind = weights[0].device.type
    if kind == "cpu":
        return CpuSteps(objective, rule, groups, n, noisy, weights)
    if kind == "cuda":
        return GpuSteps(objective, rule, groups, n, noisy, weights, batch_size)
    raise NotCompiled(f"there is no code of our own for {kind}")
