"""Callbacks: measure hidden progress, date the phase transition, stop, and show what came out.

A callback with a method ``summary()`` adds to ``summary.json`` (`RunSummary`).
"""

from parity_lightning.callbacks.fourier_gap import FourierGap
from parity_lightning.callbacks.hidden_progress import HiddenProgress
from parity_lightning.callbacks.phase_transition import PhaseTransition
from parity_lightning.callbacks.progress_bar import StepProgressBar
from parity_lightning.callbacks.progress_picture import ProgressPicture
from parity_lightning.callbacks.run_summary import RunSummary
from parity_lightning.callbacks.step_checkpoint import StepCheckpoint
from parity_lightning.callbacks.stopping import StopWhenDiverged, StopWhenSolved
from parity_lightning.callbacks.tensorboard_layout import TensorBoardLayout
from parity_lightning.callbacks.weight_trajectories import WeightTrajectories

__all__ = [
    "FourierGap",
    "HiddenProgress",
    "PhaseTransition",
    "ProgressPicture",
    "RunSummary",
    "StepCheckpoint",
    "StepProgressBar",
    "StopWhenDiverged",
    "StopWhenSolved",
    "TensorBoardLayout",
    "WeightTrajectories",
]
