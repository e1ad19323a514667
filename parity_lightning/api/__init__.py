"""Trials and studies from Python: in a script or a notebook, without files unless asked for."""

from __future__ import annotations

from parity_lightning.api.study import Study, run_trials
from parity_lightning.api.trial_table import TrialTable

__all__ = ["Study", "TrialTable", "run_trials"]
