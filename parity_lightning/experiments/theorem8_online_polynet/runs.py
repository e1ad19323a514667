"""The settings, and the trials of each."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from parity_lightning.experiments.theorem8_online_polynet.options import Options
from parity_lightning.theory.online_polynet import OnlineRun, Rates, theorem_steps, train_online

NAMES = {"norm": "norms", "oracle": "relevant weights"}
"""What learning rates adapt to, in words."""


class Setting(NamedTuple):
    """What trials have in common.

    Attributes:
        rates: How learning rates adapt: by the weights' norms, or by the relevant weights.
        k: Size of the support.
        length: The length n' of a block.
        theorem: The steps T of the theorem.
        horizon: The steps that learning rates are made for.
    """

    rates: Rates
    k: int
    length: int
    theorem: int
    horizon: int


Runs = Sequence[tuple[Setting, OnlineRun]]
"""Settings, each with what its trials did."""


def settings_of(options: Options) -> Iterator[Setting]:
    """The settings that options ask for, those of one rates and k one after another."""
    groups: list[tuple[Rates, int, tuple[int, ...] | None]] = [
        ("norm", 2, options.two),
        ("norm", 3, options.three),
        ("oracle", 2, options.oracle),
    ]
    for rates, k, lengths in groups:
        for length in lengths or ():
            steps = theorem_steps(length, k, options.epsilon, options.delta)
            horizon = steps if rates == "oracle" else math.ceil(steps * options.horizon ** (k - 1))
            yield Setting(rates, k, length, steps, horizon)


def train(setting: Setting, options: Options) -> OnlineRun:
    """Trains the trials of a setting side by side."""
    rng = np.random.default_rng([options.seed, setting.k, setting.length, setting.rates == "oracle"])
    return train_online(
        rng.choice([-1.0, 1.0], (setting.length, setting.k, options.trials)),
        setting.rates,
        horizon=setting.horizon,
        epsilon=options.epsilon,
        delta=options.delta,
        rng=rng,
        at_most=options.max_steps,
    )


def grouped(runs: Runs) -> dict[tuple[Rates, int], Runs]:
    """The runs, by rates and k."""
    return {(setting.rates, setting.k): [run for run in runs if run[0][:2] == setting[:2]] for setting, _ in runs}


def has_median(found: OnlineRun) -> bool:
    """Whether the median steps of trials from right signs are known, and have a logarithm."""
    return bool(found.right.any()) and 0 < float(np.median(found.steps[found.right])) < math.inf
