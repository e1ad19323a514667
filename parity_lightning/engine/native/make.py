"""The steps of our own code for the device that a stack lies on."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from parity_lightning.engine.computation import Training
from parity_lightning.engine.native.cpu_steps import CpuSteps
from parity_lightning.engine.native.gpu_steps import GpuSteps
from parity_lightning.engine.native.steps import NativeSteps
from parity_lightning.engine.not_compiled import NotCompiled


def make_steps(training: Training, weights: Sequence[Tensor]) -> NativeSteps:
    """Makes them.

    Args:
        training: As of `NativeSteps`.
        weights: As of `NativeSteps`.

    Raises:
        NotCompiled: If there is no code for this network, rule or device, or it cannot be compiled.
        SettingError: If others can write to the folder of compiled functions.
    """
    kind = weights[0].device.type
    if kind == "cpu":
        return CpuSteps(training, weights)
    if kind == "cuda":
        return GpuSteps(training, weights)
    raise NotCompiled(f"there is no code of our own for {kind}")
