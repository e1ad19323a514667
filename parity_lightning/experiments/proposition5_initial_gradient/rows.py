"""What the trials of a setting found, and the rows of the tables."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np


class Found(NamedTuple):
    """What the trials of one setting found.

    Attributes:
        n: Number of inputs.
        k: Size of the support.
        neuron: The neuron's bias by its name.
        bias: The bias.
        inner: Size of the population gradient's entries on the support.
        outer: Size of the others.
        law: The number of samples at which the law says one half; 0 if the support does not stand out.
        sizes: The numbers of samples tried, ascending.
        found: Whether the k largest entries are the support; bool of shape ``(trials, len(sizes))``.
        by_threshold: Whether the entries of at least 3/4 gamma are the support; of the same shape.
        precise: Whether the estimate is within gamma/4 of the population gradient; of the same shape.
        half: The number of samples at which half of the trials find the support.
        halves: The same of resampled trials, of shape ``(resamples,)``.
    """

    n: int
    k: int
    neuron: str
    bias: float
    inner: float
    outer: float
    law: float
    sizes: tuple[int, ...]
    found: np.ndarray
    by_threshold: np.ndarray
    precise: np.ndarray
    half: float
    halves: np.ndarray


class Row(NamedTuple):
    """From how many samples the support is found.

    Attributes:
        n: Number of inputs.
        k: Size of the support.
        bias: The neuron's bias.
        on_support: Size of the population gradient's entries on the support.
        off_support: Size of the others.
        half: The samples N at which half of the trials find the support.
        low: The lower end of its interval.
        high: Its upper end.
        law: What ``half`` is by a law, that of normal noise around the exact gradient.
        last: The largest N that was tried.
        found: How many trials found the support from the largest N.
        trials: How many trials there were.
    """

    n: int
    k: int
    bias: float
    on_support: float
    off_support: float
    half: int | None
    low: int | None
    high: int | None
    law: int | None
    last: int
    found: int
    trials: int


class ShareRow(NamedTuple):
    """The share of trials that find the support from some samples: by the k largest, and by the threshold 3/4 gamma."""

    n: int
    k: int
    bias: float
    samples: int
    value: float
    low: float
    high: float
    law: float
    by_threshold: float
