"""What a learner does on test examples, and the rows of the table."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from torch import Tensor

from parity_lightning.experiments.estimates import mean_with_error

NETWORK, NTK, UNBIASED = "network, trained", "NTK", "NTK without biases"
OWN, RANDOM, PARITIES = "NTK of this network", "random ReLU features", "all parities of k bits"
CLOSED = (NTK, UNBIASED, PARITIES)
"""The kernels of inner products, which have a closed form."""


class Fit(NamedTuple):
    """What a learner does on the test examples of a trial.

    Attributes:
        n: Number of inputs.
        learner: The network, or a kernel by its name.
        trial: The trial.
        samples: From how many samples.
        right: On how many test examples it was right.
        tested: How many there were.
        hinge: The mean hinge loss.
        hinge_error: Its standard error.
        correlation: The mean of y f.
        correlation_error: Its standard error.
        norm: The norm R of a kernel's fit.
        predicted: The accuracy that the kernel's eigenvalues predict.
        correlation_bound: The bound of Theorem 6 on the correlation, R sqrt(e).
        steps: After how many steps the network stopped.
    """

    n: int
    learner: str
    trial: int
    samples: int
    right: int
    tested: int
    hinge: float
    hinge_error: float
    correlation: float
    correlation_error: float
    norm: float | None = None
    predicted: float | None = None
    correlation_bound: float | None = None
    steps: int | None = None


class Row(NamedTuple):
    """What a learner does from all samples, in all trials.

    Attributes:
        n: Number of inputs.
        learner: The network, or a kernel by its name.
        accuracy: The share of test examples that are right.
        low: The lower end of its interval.
        high: Its upper end.
        predicted: The accuracy that a kernel's eigenvalues predict.
        hinge: The mean hinge loss.
        correlation: The mean of y f.
        eps: m / C(n,k), above which no kernel's mean of y f lies, over all supports.
    """

    n: int
    learner: str
    accuracy: float
    low: float
    high: float
    predicted: float | None
    hinge: float
    correlation: float
    eps: float | None


def fit_of(n: int, learner: str, trial: int, samples: int, outputs: Tensor, y: Tensor) -> Fit:
    """What a learner does by its outputs at the test examples.

    Args:
        n: Number of inputs.
        learner: The learner's name.
        trial: The trial.
        samples: From how many samples it learned.
        outputs: Its outputs, of shape ``(tested,)``.
        y: The labels, of the same shape.
    """
    margins = (outputs * y).double()
    hinge, correlation = mean_with_error((1 - margins).clamp(min=0)), mean_with_error(margins)
    return Fit(n, learner, trial, samples, int((margins > 0).sum()), len(y), *hinge, *correlation)


def of_learner(fits: Sequence[Fit], n: int, learner: str, samples: int) -> list[Fit]:
    """What a learner does from so many samples of n inputs, trial by trial."""
    return [fit for fit in fits if (fit.n, fit.learner, fit.samples) == (n, learner, samples)]
