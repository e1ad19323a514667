"""Computes the times at which gradient flow reaches errors."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial

import numpy as np

from parity_lightning.experiments.findings import Findings
from parity_lightning.experiments.theorem7_gradient_flow.claims import make_claims
from parity_lightning.experiments.theorem7_gradient_flow.flow_checks import RATE, SOLVED_AT
from parity_lightning.experiments.theorem7_gradient_flow.options import Options
from parity_lightning.experiments.theorem7_gradient_flow.picture import draw_picture
from parity_lightning.experiments.theorem7_gradient_flow.rows import EPSILON, Draw, Row
from parity_lightning.experiments.theorem7_gradient_flow.slopes import DENSE, fitted_slope
from parity_lightning.statistics.survival import quantile_of
from parity_lightning.theory.gradient_flow import phases, phases_of


def run(options: Options) -> Findings:
    """Computes when gradient flow falls below error .49 and when to zero error, exactly."""
    rng = np.random.default_rng(options.seed)
    draws: list[Draw] = []
    rows = []
    for k in options.k:
        for length in options.block_length:
            drawn = _gaussian(rng, k, length, options.draws) if length <= options.draws_to else []
            draws += drawn
            rows.append(_row(k, length, drawn))
    slopes = {k: fitted_slope(k) for k in options.k if k > 2}
    claims = make_claims(rows, draws, slopes, options, rng)
    choices = [
        "the time an error is reached: the first after which it is no larger; a factor of 0 is wrong half the time",
        f"fitted slopes: least squares on {len(DENSE)} block lengths from {DENSE[0]:,} to {DENSE[-1]:,}",
        f"gradient descent: learning rate {RATE:g} on the population loss, block length {SOLVED_AT}",
        f"Gaussian initializations: all weights standard normal, {options.draws} draws, block lengths to "
        f"{options.draws_to:,}",
    ]
    return Findings(rows, claims, partial(draw_picture, rows, slopes), choices, {"gaussian": draws} if draws else {})


def _row(k: int, block_length: int, drawn: Sequence[Draw]) -> Row:
    found = phases(block_length, k, EPSILON)
    left = 1 - found.ratio
    gaussian = tuple(quantile_of([draw.ratio for draw in drawn])) if drawn else (None, None, None)
    scaled = left * math.pow(block_length, k / 2 - 1)
    return Row(k, block_length, found.weight, found.early, found.zero, found.ratio, left, scaled, *gaussian)


def _gaussian(rng: np.random.Generator, k: int, block_length: int, draws: int) -> list[Draw]:
    """The times of several Gaussian initializations of one k and block length."""
    found = []
    for draw in range(draws):
        weights = rng.standard_normal((k, block_length))
        times = phases_of(weights, EPSILON)
        positive = bool(weights[:, 0].prod() > 0)
        found.append(Draw(k, block_length, draw, positive, times.early, times.zero, times.ratio))
    return found
