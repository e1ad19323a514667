"""How many trials to stack: what is fast, and what fits into memory."""

from __future__ import annotations

import os

import torch

from parity_lightning.engine.kept_tensors import kept_tensors
from parity_lightning.engine.trial_config import TrialConfig

# On a CPU a few trials are as fast as many, and networks that fill the cache by themselves are slower in a stack.
_CACHE = 2**25
_MOST_ON_CPU = 64
# Of many trials more: Python's part of a round is shared by all of a stack. A process has no more of them at work than
# a sixteenth of its share, so that no other one is left without.
_MOST_OF_MANY_ON_CPU = 256
_SHARE_AT_WORK = 16
_MOST_ON_GPU = 4096

# The share of the free memory that trials may take; and what is free where the system does not tell.
_SHARE_OF_MEMORY = 0.5
_ASSUMED_MEMORY = 2**32


def bytes_per_trial(setting: TrialConfig) -> int:
    """Estimates the memory that one trial takes while it is trained.

    Weights, gradients, new weights and the optimizer's state; and twice what backpropagation keeps of a batch.
    """
    module = setting.module
    weights = sum(parameter.numel() * parameter.element_size() for parameter in module.parameters())
    kind = next(module.parameters())
    # Measured on a small batch, for it grows in proportion to the batch size.
    sample = min(setting.batch_size, 8)
    x = torch.ones(sample, setting.parity.n, dtype=kind.dtype, device=kind.device)
    with kept_tensors(module.parameters()) as kept:
        module.loss(module(x), x[:, 0])
    each = sum(tensor.bytes for tensor in kept) / sample
    indices = 8 * min(256, setting.every)
    values = 5 * weights + setting.batch_size * (2 * each + 4 * setting.parity.n)
    # The module as it is configured has float32 weights; trials in float64 get twice as wide ones.
    return int((2 if setting.double else 1) * values + setting.batch_size * indices)


def _free_memory(device: torch.device, workers: int) -> float:
    if device.type == "cuda":
        return float(torch.cuda.mem_get_info(device)[0])
    try:
        return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / workers
    except (AttributeError, ValueError, OSError):
        # macOS does not tell how much is free, Windows has no such call.
        return _ASSUMED_MEMORY / workers


def default_stack_size(setting: TrialConfig, device: torch.device, workers: int = 1, trials: int = 0) -> int:
    """How many trials of a setting to stack on a device.

    Args:
        setting: The setting.
        device: Where they train.
        workers: How many processes share the device's memory.
        trials: How many trials there are to be, as far as is known.
    """
    each = bytes_per_trial(setting)
    # On a GPU the tensors of one group, see GraphedSteps, come on top: for them there is the other half.
    fits = int(_SHARE_OF_MEMORY * _free_memory(device, workers) / each)
    if device.type == "cuda":
        return max(1, min(fits, _MOST_ON_GPU))
    most = max(_MOST_ON_CPU, min(_MOST_OF_MANY_ON_CPU, trials // (workers * _SHARE_AT_WORK)))
    return max(1, min(fits, most, max(_CACHE // each, 4)))
