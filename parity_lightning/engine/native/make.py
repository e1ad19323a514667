"""Our own code for the device that a stack lies on: steps, or the examples for steps of other code."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from parity_lightning.engine.computation import Training
from parity_lightning.engine.native.cpu_steps import CpuSteps
from parity_lightning.engine.native.gpu_drawing import GpuDrawing
from parity_lightning.engine.native.gpu_program import nvidia_gpu
from parity_lightning.engine.native.gpu_steps import GpuSteps
from parity_lightning.engine.native.steps import NativeSteps
from parity_lightning.engine.native.stream import Drawing, NativeDrawing
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


def make_drawing(n: int, like: Tensor) -> Drawing:
    """Makes what draws examples.

    Args:
        n: How many bits an input has.
        like: A weight, for its type and device.

    Raises:
        NotCompiled: If there is no code for this type or device, or it cannot be compiled.
        SettingError: If others can write to the folder of compiled functions.
    """
    if like.device.type == "cpu":
        return NativeDrawing(n, like.dtype)
    if like.device.type == "cuda":
        return GpuDrawing(n, like.dtype, nvidia_gpu(like.device))
    raise NotCompiled(f"there is no code of our own for {like.device.type}")
