"""The population gradient of a sinusoidal neuron, in closed form (Section 4.1; extended version, Appendix C.1)."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np


def sinusoid_gradient(weight: np.ndarray, support: Sequence[int], bias: float = 0.0) -> np.ndarray:
    """``E[y x_i sin(w . x + b)]`` for each input i, the labels y being the parity of the support S.

    It is the Fourier coefficient of ``sin(w . x + b)`` at S without i if i is in S, and at S with i if it is not. The
    coefficient at a set T is ``sin(b + |T| pi / 2)`` times the product of ``sin w_j`` over j in T and of ``cos w_j``
    over all other j. So with b = 0 it vanishes for all inputs if k is odd.

    Args:
        weight: The weights w, of shape ``(..., n)``.
        support: The support S.
        bias: The bias b.

    Returns:
        float64 of shape ``(..., n)``.

    Example:
        >>> sinusoid_gradient(np.array([0.5, 0.25, 1.0]), support=[0, 1]).round(4)
        array([ 0.1173,  0.251 , -0.0998])
    """
    n = weight.shape[-1]
    # Row i is the set whose coefficient input i has.
    members = np.isin(np.arange(n), list(support)) ^ np.eye(n, dtype=bool)
    factors = np.where(members, np.sin(weight)[..., None, :], np.cos(weight)[..., None, :])
    # By the number of members modulo 4; sin(2 pi) would not be 0.
    phases = np.array([math.sin(bias), math.cos(bias), -math.sin(bias), -math.cos(bias)])
    gradient: np.ndarray = factors.prod(-1) * phases[members.sum(-1) % 4]
    return gradient
