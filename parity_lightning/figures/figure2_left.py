"""Figure 2 (left): histograms of convergence times, none of them early, beside random search."""

from __future__ import annotations

import math

import numpy as np
from matplotlib.figure import Figure

from parity_lightning.display.style import color_of, legend
from parity_lightning.experiments.estimates import share_estimate
from parity_lightning.figures.figure import PaperFigure, Plan
from parity_lightning.figures.runs import Runs
from parity_lightning.figures.scales import Scale
from parity_lightning.statistics.memoryless import first_success_pvalue
from parity_lightning.statistics.survival import quantile_of
from parity_lightning.studies.claims import Claim, Estimate, Statement

_K, _EVERY = 3, 5
_SECTION = "Figure 2 (left)"
_QUOTE = (
    "Histograms of convergence times over 10^6 random trials, with heavy upper tails but no observed successes near "
    "t = 0 (unlike random search)."
)
_LUCKY = (
    "Over a large number of random trials, no copies of this randomized algorithm get lucky (i.e. solve the problem in "
    "significantly fewer than the median number of iterations)"
)
_CHOICES = (
    "the paper states n = 10, 20, 30, 40 alone; here k=3, width-100 ReLU MLP, eta=1, B=64, hinge loss, uniform "
    "initialization: the setting of Figure 1 (right)",
    f"looked at after every {_EVERY} steps; early: within a tenth of the median",
)


def plan(scale: Scale) -> Plan:
    """Every n; at the paper's scale a million trials of each."""
    ns = (10, 20) if scale == "smoke" else (10, 20, 30, 40)
    cells = [{"config": "2-left.yaml", "data.n": n} for n in ns]
    return Plan(cells, {"smoke": 400, "laptop": 100_000, "paper": 1_000_000}[scale])


def claims(runs: Runs) -> list[Claim]:
    """Three claims on each n: none is early, no memoryless search has such times, and the upper tail is heavier."""
    return [claim for n in runs.values_of("n") for claim in _of_n(n, runs.times(n=n), runs.limit(n=n))]


def _of_n(n: int, times: np.ndarray, limit: int) -> list[Claim]:
    median = quantile_of(times)
    early = int((times <= median.value / 10).sum())
    p = first_success_pvalue(times, _EVERY, limit)
    low, high = quantile_of(times, 0.01), quantile_of(times, 0.99)
    heavy = Estimate(
        (high.value - median.value) / (median.value - low.value),
        (high.low - median.high) / (median.high - low.low),
        (high.high - median.low) / (median.low - low.high),
        n=len(times),
    )
    return [
        Claim.at_most(
            Statement(
                f"n{n}-early",
                f"n = {n}: share of trials solved within a tenth of the median; of random search 7 %",
                "Section 3.2",
                _LUCKY,
                0.0,
            ),
            share_estimate(early, len(times)),
            0.01,
            tolerance=0.01,
        ),
        Claim.rejected(
            Statement(
                f"n{n}-memoryless",
                f"n = {n}: p of a memoryless search whose first success is as late",
                _SECTION,
                _QUOTE,
            ),
            Estimate(p, n=len(times)),
            0.001,
            conclusive=len(times) >= 100,
            caveat="at least 100 trials",
        ),
        Claim.at_least(
            Statement(
                f"n{n}-tail",
                f"n = {n}: from the median to the slowest 1 %, over from the fastest 1 % to the median",
                _SECTION,
                _QUOTE,
                "above 1: heavy upper tails",
            ),
            heavy,
            1.0,
            strict=True,
        ),
    ]


def draw(runs: Runs, figure: Figure) -> None:
    """Draws a histogram for each n, and the geometric law of random search over all supports."""
    axes = figure.subplots()
    ns = runs.values_of("n")
    last = max(min(quantile_of(runs.times(n=n), 0.995).value, runs.limit(n=n)) for n in ns)
    for number, n in enumerate(ns):
        times, color = runs.times(n=n), color_of(number)
        solved = times[np.isfinite(times)]
        if not len(solved):
            continue
        width = _EVERY * max(1, round((np.quantile(solved, 0.99) - solved.min()) / 40 / _EVERY))
        edges = np.arange(solved.min() - _EVERY / 2, solved.max() + width, width)
        counts, _ = np.histogram(solved, edges)
        axes.stairs(counts / len(times) / width, edges, fill=True, color=color, alpha=0.5, label=f"n={n}")
        rate = 1 / math.comb(n, _K)
        steps = np.arange(1, last)
        label = f"random search, n={n}"
        axes.plot(steps, rate * (1 - rate) ** (steps - 1), color=color, linestyle="--", linewidth=1.2, label=label)
    axes.set_title(f"Convergence times of {len(runs.times(n=ns[0])):,} trials each, k={_K}")
    axes.set(xlabel="iterations to convergence", ylabel="share of trials a step", xlim=(0, last))
    legend(axes, columns=4)


FIGURE = PaperFigure("No early convergence: histograms against random search", plan, claims, draw, _CHOICES)
