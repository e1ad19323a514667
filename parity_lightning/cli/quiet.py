"""Keeps from the screen what libraries say to everyone."""

from __future__ import annotations

import logging
import warnings

from lightning.pytorch.utilities import disable_possible_user_warnings

_IGNORED = (
    "LightningCLI's args parameter is intended",
    # A resumed run may write elsewhere or where it did, and evaluating needs few of the callbacks that trained.
    "The dirpath has changed from",
    "Checkpoint directory .* exists and is not empty",
    "Be aware that when using `ckpt_path`",
    ".*isinstance.treespec, LeafSpec.*",
    # One line of our own says which precision is used.
    ".*precision.* is supported for historical reasons",
    ".*AMP with fp16 is not supported on CPU",
    ".* is supported for historical reasons but its usage is discouraged",
)


def quieten() -> None:
    """Ignores these warnings and messages in this process from now on."""
    disable_possible_user_warnings()
    for message in _IGNORED:
        warnings.filterwarnings("ignore", message=message)
    warnings.filterwarnings("ignore", module="jsonargparse")
    for name in ("lightning.pytorch.utilities.rank_zero", "lightning.fabric.utilities.seed"):
        logging.getLogger(name).setLevel(logging.WARNING)
