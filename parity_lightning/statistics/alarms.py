"""When a measure tells that learning is under way, and how often it is wrong.

A measure of progress moves on random labels, too, as far as a random walk does. It gives an alarm when it has moved
further than it does there; on random labels alone, the share of false alarms should be the one that was set.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np


class Alarm(NamedTuple):
    """A rule for one measure: alarm when it exceeds ``threshold`` times its mean on random labels at that step.

    Attributes:
        mean: The mean on random labels, of shape ``(evaluations,)``.
        threshold: How many times that.
        expected: How probably a new trial on random labels gives a false alarm, over all that the threshold might be.
    """

    mean: np.ndarray
    threshold: float
    expected: float

    def first(self, values: np.ndarray) -> np.ndarray:
        """The evaluation at which each trial first gives the alarm, infinite if it never does.

        Args:
            values: The measure, of shape ``(trials, evaluations)``.
        """
        exceeds = values > self.threshold * self.mean
        return np.where(exceeds.any(1), exceeds.argmax(1), np.inf)


def calibrate(control: np.ndarray, false_alarms: float) -> Alarm:
    """Sets the threshold so that a share of trials on random labels gives a false alarm at any time of the run.

    Of T trials and a new one each is as likely as any other to be the r-th furthest: beyond the r-th furthest of the T
    lies a new one with probability ``r / (T + 1)``. (The means are those of the same T, which makes it a little more.)
    How many of several new ones do varies by more than their number says, for they share the threshold.

    Args:
        control: A measure above 0 on random labels, of shape ``(trials, evaluations)``.
        false_alarms: The share of trials; ``1 / (T + 1)`` at least.

    Raises:
        ValueError: If there are too few trials for that share.

    Example:
        >>> alarm = calibrate(np.array([[1.0, 1.0], [1.0, 2.0], [1.0, 3.0]]), false_alarms=0.25)
        >>> alarm.mean, alarm.threshold, alarm.expected
        (array([1., 2.]), 1.5, 0.25)
        >>> alarm.first(np.array([[1.0, 3.0], [1.6, 3.0], [1.0, 4.0]]))
        array([inf,  0.,  1.])
    """
    trials = len(control)
    rank = math.floor(false_alarms * (trials + 1) + 1e-9)
    if rank < 1:
        raise ValueError(f"{trials} trials cannot tell a share of {false_alarms}")
    mean = control.mean(0)
    furthest = np.sort((control / mean).max(1))
    return Alarm(mean, float(furthest[-rank]), rank / (trials + 1))
