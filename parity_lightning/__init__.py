"""Parity-lightning: watch networks learn sparse parities, with a long plateau and a sudden phase transition.

Public names are imported when first used, so that the command line answers ``--version`` and ``--help`` at once.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from parity_lightning.api import ExecutorOptions, Study, TrialTable, run_trials
    from parity_lightning.data import ParityDataModule, SparseParity
    from parity_lightning.errors import SettingError
    from parity_lightning.modules import MLP, DisjointPolyNet, Neuron, ParityModule, PolyNet, Transformer
    from parity_lightning.optim.optimizers import SGDW, SignSGD
    from parity_lightning.optim.schedules import PiecewiseSchedule

__version__ = "0.1.0"

_HOMES = {
    **dict.fromkeys(("ExecutorOptions", "Study", "TrialTable", "run_trials"), "parity_lightning.api"),
    **dict.fromkeys(("ParityDataModule", "SparseParity"), "parity_lightning.data"),
    "SettingError": "parity_lightning.errors",
    **dict.fromkeys(
        ("MLP", "DisjointPolyNet", "Neuron", "ParityModule", "PolyNet", "Transformer"), "parity_lightning.modules"
    ),
    **dict.fromkeys(("SGDW", "SignSGD"), "parity_lightning.optim.optimizers"),
    "PiecewiseSchedule": "parity_lightning.optim.schedules",
}

__all__ = [
    "MLP",
    "SGDW",
    "DisjointPolyNet",
    "ExecutorOptions",
    "Neuron",
    "ParityDataModule",
    "ParityModule",
    "PiecewiseSchedule",
    "PolyNet",
    "SettingError",
    "SignSGD",
    "SparseParity",
    "Study",
    "Transformer",
    "TrialTable",
    "__version__",
    "run_trials",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'parity_lightning' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES})
