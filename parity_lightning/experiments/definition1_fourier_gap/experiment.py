"""Computes the Fourier coefficients of majority."""

from __future__ import annotations

import math
from functools import partial

from parity_lightning.experiments.definition1_fourier_gap.claims import make_claims
from parity_lightning.experiments.definition1_fourier_gap.options import Options
from parity_lightning.experiments.definition1_fourier_gap.picture import draw_picture
from parity_lightning.experiments.definition1_fourier_gap.rows import Row
from parity_lightning.experiments.findings import Findings
from parity_lightning.measures.coefficients import CoefficientGap, all_inputs, coefficient_gap, fourier_coefficients
from parity_lightning.theory.majority import majority_coefficient

_EXACT_TO = 15
"""Up to which n the transform of all 2^n inputs is taken beside the closed form."""


def run(options: Options) -> Findings:
    """Compares the coefficients of majority of sizes k - 1 and k + 1, which the gradient of a ReLU neuron shows."""
    rows = [_row(n, k) for n in options.n for k in options.k]
    return Findings(rows, make_claims(rows), partial(draw_picture, rows))


def _row(n: int, k: int) -> Row:
    gap = CoefficientGap(*(abs(majority_coefficient(n, size)) for size in (k - 1, k + 1)))
    inner, outer = gap
    transform = None
    if n <= _EXACT_TO:
        majority = all_inputs(n).sum(-1).sign().numpy()
        transform = coefficient_gap(fourier_coefficients(majority), range(k)).inner
    bound = 0.03 * math.pow(n - 1, -(k - 1) / 2)
    return Row(
        n,
        k,
        inner,
        outer,
        gap.gamma or None,
        (inner - outer) / bound if n >= 4 * k else None,
        transform,
        round(1 / (inner - outer) ** 2) if inner > outer else None,
    )
