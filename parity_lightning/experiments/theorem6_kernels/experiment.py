"""Fits kernels to samples, and trains networks on the same."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial

import numpy as np
import torch

from parity_lightning.data.sparse_parity import SparseParity
from parity_lightning.experiments.findings import Findings
from parity_lightning.experiments.theorem6_kernels.claims import BIAS, make_claims
from parity_lightning.experiments.theorem6_kernels.kernel_fits import draw_network, kernel_fits
from parity_lightning.experiments.theorem6_kernels.network_training import LR, train_networks
from parity_lightning.experiments.theorem6_kernels.options import BATCH, Options
from parity_lightning.experiments.theorem6_kernels.picture import draw_picture
from parity_lightning.experiments.theorem6_kernels.rows import (
    CLOSED,
    NETWORK,
    OWN,
    RANDOM,
    Fit,
    Row,
    fit_of,
    of_learner,
)
from parity_lightning.statistics.survival import share_of


def run(options: Options) -> Findings:
    """Fits kernels and trains the network they belong to on the same samples.

    Small n are too easy to show it. A kernel learns parities of k bits once it has as many samples as there are of
    them, and C(15,3) = 455 and C(20,3) = 1,140 are fewer than the 2,000 here, C(50,3) = 19,600 is more. The NTK needs
    still more, for a bias is a bit that is always 1: it knows parities of 3 only as those of 4 that have this bit.
    Without biases the NTK fails for another reason: it has no odd degree but 1, so no number of samples helps at k = 3.
    """
    fits = [fit for n in options.n for fit in _fits(n, options)]
    rows = [_row(n, learner, fits, options) for n in options.n for learner in (NETWORK, OWN, RANDOM, *CLOSED)]
    samples = options.samples
    choices = [
        f"the network: ReLU, width {options.width}, hinge loss, B={BATCH}, eta={LR}, Xavier uniform, as in Figure 4 "
        f"(right); lambda={options.decay} is ours; epochs over the same {samples:,} samples until no test example is "
        "wrong",
        f"kernels: ridge regression, {options.ridge:g} of K(x, x) on the diagonal; the networks' initial outputs are "
        "left out",
        "the intervals: exact, over all test examples of all trials, drawn without regard to the samples: at n=15 one "
        "in 16 of them is among 2,000 samples, so memory alone is right on 53 %; claims of one kind: 95 % together",
        "trivial accuracy: told from 0.5 only where m < C(n,k), and does not hold only above what eigenvalues predict",
        f"accuracies by eigenvalues: the prediction is trusted to {BIAS}, and on test examples that are samples too a "
        "kernel may be right by memory",
        "eps = m / C(n,k): over all S the mean of E[y f], the correlation, is at most this, for every kernel of inner "
        "products; so the hinge loss is at least 1 less it",
    ]
    return Findings(
        rows, make_claims(rows, fits, options), partial(draw_picture, fits, options), choices, {"fits": fits}
    )


def _fits(n: int, options: Options) -> list[Fit]:
    """What all kernels and the network do on the test examples, in all trials of one n."""
    parities = [SparseParity(n, options.k, seed=options.seed + trial) for trial in range(options.trials)]
    networks = [draw_network(n, options.k, options.width, parity.seed) for parity in parities]
    trained = train_networks(networks, parities, options)
    fits = []
    for trial, (parity, network, (outputs, steps)) in enumerate(zip(parities, networks, trained, strict=True)):
        fits += kernel_fits(trial, parity, network, options)
        y = parity.draw(torch.arange(options.tested), "test")[1]
        fits.append(fit_of(n, NETWORK, trial, options.samples, outputs, y)._replace(steps=steps))
    return fits


def _row(n: int, learner: str, fits: Sequence[Fit], options: Options) -> Row:
    own = of_learner(fits, n, learner, options.samples)
    return Row(
        n,
        learner,
        *share_of(sum(fit.right for fit in own), sum(fit.tested for fit in own)),
        predicted=own[0].predicted,
        hinge=float(np.mean([fit.hinge for fit in own])),
        correlation=float(np.mean([fit.correlation for fit in own])),
        eps=options.samples / math.comb(n, options.k) if learner != NETWORK else None,
    )
