"""What is measured along training, and the rows of the tables."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np


class Measured(NamedTuple):
    """What is measured along training, each of shape ``(trials, evaluations)``.

    The first evaluation comes after ``every`` steps.

    Attributes:
        accuracy: The share of held-out examples whose true label is predicted.
        movement: The paper's measure, ``||w_t - w_0||_inf`` of the first layer.
        gap: The Fourier gap of the exact population gradient, see `fourier_gap`; of the first ``gap_trials``
            trials only.
    """

    accuracy: np.ndarray
    movement: np.ndarray
    gap: np.ndarray


class Row(NamedTuple):
    """When a measure gives the alarm, and how often it gives a false one.

    Attributes:
        measure: Validation accuracy, or weight movement.
        alarms: The share of trials on parities in which it gives the alarm.
        alarms_low: The lower end of its 95 % interval.
        alarms_high: Its upper end.
        expected: How probable a false alarm is by the threshold's rank.
        false_alarms: The share of fresh trials on random labels in which it gives the alarm.
        false_low: The lower end of its 95 % interval.
        false_high: Its upper end.
        step: The median step of the alarm, infinite if most trials have none.
        step_low: The lower end of its 95 % interval.
        step_high: Its upper end.
    """

    measure: str
    alarms: float
    alarms_low: float
    alarms_high: float
    expected: float
    false_alarms: float
    false_low: float
    false_high: float
    step: float
    step_low: float
    step_high: float


class Alarms(NamedTuple):
    """The steps at which a trial gives its alarms, infinite if it gives none."""

    trial: int
    accuracy_alarm: float
    movement_alarm: float


class Point(NamedTuple):
    """The measures of the first network on parities and of the first on random labels."""

    labels: str
    step: int
    accuracy: float
    movement: float
    gap: float
