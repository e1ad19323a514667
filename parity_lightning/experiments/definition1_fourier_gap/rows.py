"""The row of the table: majority's coefficients for one n and k."""

from __future__ import annotations

from typing import NamedTuple


class Row(NamedTuple):
    """The coefficients of majority for one n and k.

    Attributes:
        n: Number of inputs.
        k: Size of the support.
        inner: Size of the coefficients of k - 1 inputs, which inputs in the support show.
        outer: Size of the coefficients of k + 1 inputs, which all other inputs show.
        gamma: The largest gamma for which there is a gamma-Fourier gap, if there is one.
        gap_over_bound: The gap over the bound of the extended version, from n = 4k on.
        transform: ``inner`` by the transform of all 2^n inputs, for small n.
        samples: About how many samples tell the gap, 1/gap^2.
    """

    n: int
    k: int
    inner: float
    outer: float
    gamma: float | None
    gap_over_bound: float | None
    transform: float | None
    samples: int | None
