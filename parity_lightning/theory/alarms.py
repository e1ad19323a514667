"""When a measure tells that learning is under way, and how often it is wrong.

A measure of progress moves on random labels, too, as far as a random walk does. It gives the alarm when it has moved
further than it does there; whoever sees nothing but random labels should hear an alarm as rarely as was asked for.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np


class Alarm(NamedTuple):
    """A rule for one measure: alarm when it exceeds ``threshold`` times its mean on random labels at that step.

    Attributes:
        mean: The mean on random labels, of shape ``(evaluations,)``.
        threshold: How many times that.
    """

    mean: np.ndarray
    threshold: float

    def first(self, values: np.ndarray) -> np.ndarray:
        """The evaluation at which each trial first gives the alarm, infinite if it never does.

        Args:
            values: The measure, of shape ``(trials, evaluations)``.
        """
        exceeds = values > self.threshold * self.mean
        return np.where(exceeds.any(1), exceeds.argmax(1), np.inf)


def calibrate(control: np.ndarray, false_alarms: float) -> Alarm:
    """Sets the threshold so that a share of trials on random labels gives a false alarm at any time of the run.

    On new trials the share will be about that; it is to be counted on such, not on these.

    Args:
        control: A measure above 0 on random labels, of shape ``(trials, evaluations)``.
        false_alarms: The share of trials.

    Example:
        >>> alarm = calibrate(np.array([[1.0, 1.0], [1.0, 2.0], [1.0, 3.0]]), false_alarms=0.0)
        >>> alarm.mean, alarm.threshold
        (array([1., 2.]), 1.5)
        >>> alarm.first(np.array([[1.0, 3.0], [1.6, 3.0], [1.0, 4.0]]))
        array([inf,  0.,  1.])
    """
    mean = control.mean(0)
    furthest = (control / mean).max(1)
    # One of the trials itself: above it lies no more than the share asked for.
    return Alarm(mean, float(np.quantile(furthest, 1 - false_alarms, method="higher")))
