"""The Fourier gap of majority, and so of a ReLU neuron's derivative (Section 4.1, Definition 1)."""

from __future__ import annotations

import math
from typing import Any

from matplotlib.figure import Figure

from parity_lightning.errors import SettingError, check_int
from parity_lightning.experiments.findings import Claim, Findings
from parity_lightning.measures.coefficients import CoefficientGap, all_inputs, coefficient_gap, fourier_coefficients
from parity_lightning.theory.majority import majority_coefficient

_EXACT_TO = 15


def run(n: tuple[int, ...] = (15, 25, 31, 51, 75, 101), k: tuple[int, ...] = (2, 4, 6)) -> Findings:
    """Compares the coefficients of majority of sizes k - 1 and k + 1, which the gradient of a ReLU neuron shows.

    Args:
        n: Numbers of inputs, odd: an even number of signs may have no majority.
        k: Sizes of the support, even: of odd k majority shows nothing.
    """
    for size in k:
        if check_int("k", size, at_least=2, at_most=50) % 2:
            raise SettingError("k", size, "must be even: majority has no coefficients of even sizes")
    for inputs in n:
        if check_int("n", inputs, at_least=max(k) + 1, at_most=10_001) % 2 == 0:
            raise SettingError("n", inputs, "must be odd")
    rows = [_row(inputs, size) for inputs in n for size in k]
    bounded = [row for row in rows if row["gap / bound"] is not None]
    exact = [row for row in rows if row["transform"] is not None]
    claims = [
        Claim(
            "Definition 1: a gamma-Fourier gap, of majority from n = 3k-2 on; the (n, k) without one",
            ", ".join(f"({row['n']}, {row['k']})" for row in rows if row["n"] < 3 * row["k"] - 2) or "none",
            ", ".join(f"({row['n']}, {row['k']})" for row in rows if row["gamma"] is None) or "none",
            all((row["gamma"] is not None) == (row["n"] >= 3 * row["k"] - 2) for row in rows),
        ),
        Claim(
            "extended version: the gap is at least 0.03 (n-1)^(-(k-1)/2) for n >= 4k",
            "at least 1 times the bound",
            min((row["gap / bound"] for row in bounded), default="-"),
            all(row["gap / bound"] >= 1 for row in bounded) if bounded else None,
        ),
    ]
    if exact:
        worst = max(abs(row["transform"] - row["inner"]) for row in exact)
        claims.append(
            Claim("closed form of majority, against the transform of all 2^n inputs", 0.0, worst, worst < 1e-12)
        )

    def draw(figure: Figure) -> None:
        axes = figure.subplots()
        for number, size in enumerate(k):
            own = [row for row in rows if row["k"] == size]
            inner, outer = f"k={size}: size {size - 1}, in the support", f"size {size + 1}, off it"
            axes.loglog([row["n"] for row in own], [row["inner"] for row in own], "o-", color=f"C{number}", label=inner)
            axes.loglog(
                [row["n"] for row in own], [row["outer"] for row in own], "s--", color=f"C{number}", label=outer
            )
        axes.set(xlabel="n", ylabel="|coefficient of majority|", title="What an initial gradient shows of the support")
        axes.legend(fontsize=8)

    return Findings(rows, claims, draw)


def _row(n: int, k: int) -> dict[str, Any]:
    gap = CoefficientGap(*(abs(majority_coefficient(n, size)) for size in (k - 1, k + 1)))
    inner, outer = gap
    transform = None
    if n <= _EXACT_TO:
        majority = all_inputs(n).sum(-1).sign().numpy()
        transform = coefficient_gap(fourier_coefficients(majority), range(k)).inner
    bound = 0.03 * math.pow(n - 1, -(k - 1) / 2)
    return {
        "n": n,
        "k": k,
        "inner": inner,
        "outer": outer,
        "gamma": gap.gamma or None,
        "gap / bound": (inner - outer) / bound if n >= 4 * k else None,
        "transform": transform,
        "samples ~ 1/gap^2": round(1 / (inner - outer) ** 2) if inner > outer else None,
    }
