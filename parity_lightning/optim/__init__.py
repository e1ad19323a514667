"""Losses, optimizers and schedules that PyTorch does not have."""

from parity_lightning.optim.losses import LOSSES
from parity_lightning.optim.optimizers import SGDW, SignSGD
from parity_lightning.optim.schedules import PiecewiseSchedule

__all__ = ["LOSSES", "SGDW", "PiecewiseSchedule", "SignSGD"]
