"""The Fourier gap of majority, and so of a ReLU neuron's derivative (Section 4.1, Definition 1)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Annotated, NamedTuple

from matplotlib.figure import Figure

from parity_lightning.display.style import color_of, legend_below, ticks_at
from parity_lightning.errors import SettingError
from parity_lightning.experiments.findings import Findings
from parity_lightning.experiments.options import BoundedOptions, Bounds
from parity_lightning.measures.coefficients import CoefficientGap, all_inputs, coefficient_gap, fourier_coefficients
from parity_lightning.studies.claims import Claim, Estimate, Statement
from parity_lightning.theory.majority import majority_coefficient

_EXACT_TO = 15
"""Up to which n the transform of all 2^n inputs is taken beside the closed form."""


@dataclass(frozen=True)
class Options(BoundedOptions):
    """Options of the experiment.

    Attributes:
        n: Numbers of inputs, odd: an even number of signs may have no majority.
        k: Sizes of the support, even: of odd k majority shows nothing.
    """

    n: Annotated[tuple[int, ...], Bounds(at_least=3, at_most=10_001)] = (15, 25, 31, 51, 75, 101)
    k: Annotated[tuple[int, ...], Bounds(at_least=2, at_most=50)] = (2, 4, 6)

    def __post_init__(self) -> None:
        super().__post_init__()
        for size in self.k:
            if size % 2:
                raise SettingError("k", size, "must be even: majority has no coefficients of even sizes")
        for inputs in self.n:
            if inputs <= max(self.k):
                raise SettingError("n", inputs, f"must be at least {max(self.k) + 1}")
            if inputs % 2 == 0:
                raise SettingError("n", inputs, "must be odd")


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


def run(options: Options) -> Findings:
    """Compares the coefficients of majority of sizes k - 1 and k + 1, which the gradient of a ReLU neuron shows."""
    rows = [_row(n, k) for n in options.n for k in options.k]
    return Findings(rows, _claims(rows), partial(_draw, rows))


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


def _claims(rows: Sequence[Row]) -> list[Claim]:
    def pairs(chosen: Sequence[Row]) -> str:
        return ", ".join(f"({row.n}, {row.k})" for row in chosen) or "none"

    bounded = [row.gap_over_bound for row in rows if row.gap_over_bound is not None]
    exact = [abs(row.transform - row.inner) for row in rows if row.transform is not None]
    claims = [
        Claim.equal(
            Statement(
                "where-the-gap-is",
                "a gamma-Fourier gap, of majority from n = 3k-2 on; the (n, k) without one",
                "Definition 1",
                "for even k, there is a gap between these Fourier coefficients that is detectable using n^O(k) samples",
                pairs([row for row in rows if row.n < 3 * row.k - 2]),
            ),
            Estimate(pairs([row for row in rows if row.gamma is None]), n=len(rows)),
        ),
        Claim.at_least(
            Statement(
                "size-of-the-gap",
                "the gap is at least 0.03 (n-1)^(-(k-1)/2) for n >= 4k",
                "extended version",
                paper="at least 1 times the bound",
            ),
            Estimate(min(bounded, default="-"), n=len(bounded)),
            least=1,
        ),
    ]
    if exact:
        statement = Statement(
            "closed-form", "closed form of majority, against the transform of all 2^n inputs", paper=0.0
        )
        claims.append(Claim.at_most(statement, Estimate(max(exact), n=len(exact)), 1e-12, tolerance=1e-12))
    return claims


def _draw(rows: Sequence[Row], figure: Figure) -> None:
    axes = figure.subplots()
    for number, k in enumerate(dict.fromkeys(row.k for row in rows)):
        own, color = [row for row in rows if row.k == k], color_of(number)
        n = [row.n for row in own]
        axes.loglog(n, [row.inner for row in own], "o-", color=color, label=f"k={k}: size {k - 1}, in the support")
        # Open and larger: the size k + 1 of one k is the size k - 1 of the next.
        outer = {"markersize": 10, "markerfacecolor": "none", "label": f"k={k}: size {k + 1}, off it"}
        axes.loglog(n, [row.outer for row in own], "s--", color=color, **outer)
    axes.set(xlabel="n", ylabel="|coefficient of majority|")
    axes.set_title("What an initial gradient shows of the support")
    ticks_at(axes.xaxis, [row.n for row in rows])
    legend_below(figure, columns=3)
