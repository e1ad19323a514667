"""Medians of convergence times beside published ones: the claim on a point, and how medians are drawn."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from parity_lightning.figures.runs import Runs
from parity_lightning.statistics.power_law import PowerLaw
from parity_lightning.statistics.survival import quantile_of
from parity_lightning.studies.claims import Claim, Estimate, Statement

FACTOR = 1.5
"""A median is the published one if the whole interval of their ratio lies within this factor of 1."""


def median_of(times: np.ndarray) -> Estimate:
    """The median of convergence times as claims have it.

    Example:
        >>> median_of(np.array([10.0, 20.0, np.inf])).censored
        1
    """
    return Estimate(*quantile_of(times), n=len(times), censored=int((~np.isfinite(times)).sum()))


def exponent_of(law: PowerLaw | None) -> Estimate:
    """The exponent of a power law as claims have it.

    Example:
        >>> exponent_of(None).value
        'no law'
    """
    return Estimate("no law") if law is None else Estimate(law.exponent, law.low, law.high, n=law.points)


def plateau_share_of(onsets: np.ndarray, times: np.ndarray) -> Estimate:
    """The median share of its time that a trial was on the plateau.

    Of a trial that was not solved it is not known: it counts as 0 for the lower end and as 1 for the upper one.

    Args:
        onsets: When each trial left the plateau, in steps.
        times: The convergence times, infinite where a trial was not solved.

    Example:
        >>> plateau_share_of(np.array([80.0, 30.0]), np.array([100.0, np.inf])).value
        0.8
        >>> plateau_share_of(np.array([80.0]), np.array([np.inf])).value
        'none solved'
        >>> many = plateau_share_of(np.full(30, 80.0), np.where(np.arange(30) < 24, 100.0, np.inf))
        >>> many.low, many.high, many.censored
        (0.8, 0.8, 6)
    """
    solved = np.isfinite(times)
    censored = len(times) - int(solved.sum())
    if not solved.any():
        return Estimate("none solved", n=len(times), censored=censored)
    shares = onsets / times
    low, high = (quantile_of(np.where(solved, shares, unknown)) for unknown in (0.0, 1.0))
    return Estimate(quantile_of(shares[solved]).value, low.low, min(high.high, 1.0), n=len(times), censored=censored)


def published_claim(name: str, what: str, section: str, quote: str, published: float, times: np.ndarray) -> Claim:
    """The claim that the median of convergence times is the published one, read off a figure.

    Args:
        name: The id of the claim.
        what: Of which trials.
        section: Where the paper says it.
        quote: Its words.
        published: The published median in steps.
        times: The convergence times, infinite where a trial was not solved.

    Example:
        >>> rule = published_claim("n10", "n = 10", "Figure 1 (right)", "", 100.0, np.full(9, 120.0)).rule
        >>> rule
        'holds if the interval lies in [66.67, 150]; does not hold if it lies outside'
    """
    statement = Statement(name, f"median t_c in steps, {what}", section, quote, published, digitised=True)
    return Claim.within(statement, median_of(times), published / FACTOR, published * FACTOR)


def draw_medians(
    axes: Axes, x: Sequence[float], times: Sequence[np.ndarray], limits: Sequence[int], **style: Any
) -> None:
    """Draws medians with their 95 % intervals; one that was not reached as a triangle where its trials were given up.

    Args:
        axes: Where to draw.
        x: Where each median stands.
        times: The convergence times of each.
        limits: After how many steps trials of each were given up.
        style: Color, label and so on, of the line.
    """
    medians = np.array([quantile_of(own) for own in times])
    reached = np.isfinite(medians[:, 0])
    places, value = np.array(x, dtype=float)[reached], medians[reached, 0]
    high = np.minimum(medians[reached, 2], np.array(limits)[reached])
    low = np.where(medians[reached, 1] > 0, medians[reached, 1], value)
    errors = np.maximum([value - low, high - value], 0)
    drawn = axes.errorbar(places, value, errors, **{"marker": "o", "markersize": 4, "capsize": 2, **style})
    if not reached.all():
        own = {"color": drawn[0].get_color(), "linestyle": "none", "fillstyle": "none", "markersize": 6}
        axes.plot(np.array(x)[~reached], np.array(limits)[~reached], marker="^", **own)


def draw_medians_by_k(axes: Axes, runs: Runs, config: str, colors: Mapping[int, str]) -> None:
    """Draws the medians of a configuration against n on logarithmic axes, a colour for each k, and what they mean.

    Args:
        axes: Where to draw.
        runs: What came of the runs.
        config: The configuration, by the name of its file.
        colors: The colours by k; of one without runs only the legend is drawn.
    """
    axes.set(xscale="log", yscale="log", ylim=(5, 30_000))
    for k, color in colors.items():
        ns = runs.values_of("n", config=config, k=k)
        if ns:
            times = [runs.times(config=config, k=k, n=n) for n in ns]
            limits = [runs.limit(config=config, k=k, n=n) for n in ns]
            draw_medians(axes, ns, times, limits, color=color, linestyle="-")
        axes.plot([], [], color=color, marker="o", markersize=4, label=f"k={k}")
    axes.plot([], [], color="0.4", marker="^", linestyle="none", fillstyle="none", label="median not reached")


def label_medians(figure: Figure, columns: int) -> None:
    """Says below and beside a grid of panels that they show medians against n.

    Args:
        figure: Its axes are the panels, row by row.
        columns: How many panels stand in a row.
    """
    for axes in figure.axes[-columns:]:
        axes.set_xlabel("n")
    for axes in figure.axes[::columns]:
        axes.set_ylabel("median iterations to convergence")


def draw_published(axes: Axes, x: Sequence[float], medians: Sequence[float], **style: Any) -> None:
    """Draws published medians as crosses on a thin line."""
    axes.plot(x, medians, **{"marker": "x", "markersize": 5, "linestyle": ":", "linewidth": 1, **style})
