"""Trials and studies from Python: in a script or a notebook, without files unless asked for."""

from __future__ import annotations

from parity_lightning.api.study import Study, run_trials
from parity_lightning.api.trial_table import TrialTable
from parity_lightning.cli.executor_options import ExecutorOptions

__all__ = ["ExecutorOptions", "Study", "TrialTable", "run_trials"]
