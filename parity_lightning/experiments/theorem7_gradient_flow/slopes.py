"""How the share of the time that is left falls with the block length."""

from __future__ import annotations

import numpy as np

from parity_lightning.experiments.theorem7_gradient_flow.rows import EPSILON
from parity_lightning.theory.gradient_flow import phases

DENSE = np.unique(np.geomspace(300, 30_000, 41).round().astype(int)).tolist()
"""Block lengths of the fitted slopes: many, since the weight at error .49 is a whole number."""


def fitted_slope(k: int) -> float:
    """The log-log slope of the share of the time that is left against the block length, by least squares.

    Args:
        k: Size of the support.
    """
    left = [1 - phases(length, k, EPSILON).ratio for length in DENSE]
    return float(np.polyfit(np.log(DENSE), np.log(left), 1)[0])
