"""Figure 2 (center): convergence times depend on the initialization, not on the batches."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure

from parity_lightning.display.style import color_of, legend
from parity_lightning.figures.figure import PaperFigure, Plan
from parity_lightning.figures.runs import Runs
from parity_lightning.figures.scales import Scale
from parity_lightning.statistics.variance_share import share_between
from parity_lightning.studies.claims import Claim, Estimate, Statement

_SECTION = "Figure 2 (center)"
_QUOTE = "Optimization path (and convergence time) depend heavily on initialization, not the randomness of SGD"
_SHOWN = 5
_CHOICES = (
    "B=128 and eta=0.01 are the paper's; width-100 ReLU MLP on the (20, 3)-parity, hinge loss, uniform initialization",
    "the support is always that of the first three inputs: a new seed of the data is other batches and nothing else",
    "20 initializations, where the paper shows 5; the share of variance is that of log t_c, by a one-way model",
    "evaluated every 50 steps",
)


def plan(scale: Scale) -> Plan:
    """Every setting is a seed of the batches, every trial an initialization."""
    batches, trials, curves = {"smoke": (2, 4, 0), "laptop": (5, 20, 5), "paper": (10, 100, 5)}[scale]
    return Plan([{"config": "2-center.yaml", "data.seed": 1_000 + seed} for seed in range(batches)], trials, curves)


def _by_initialization(runs: Runs) -> np.ndarray:
    """Convergence times of shape ``(initializations, batches)``; those of unsolved trials are the limit."""
    times = np.stack([runs.times(seed=seed) for seed in runs.values_of("seed")], axis=1)
    return np.asarray(np.minimum(times, runs.limit()))


def claims(runs: Runs) -> list[Claim]:
    """The initialization explains most of the variance of log t_c."""
    times = _by_initialization(runs)
    share = share_between(np.log(times))
    censored = int((times >= runs.limit()).sum())
    statement = Statement(
        "initialization", "share of the variance of log t_c that the initialization explains", _SECTION, _QUOTE, "most"
    )
    found = Estimate(*share, n=times.size, censored=censored)
    return [Claim.at_least(statement, found, 0.5, strict=True)]


def draw(runs: Runs, figure: Figure) -> None:
    """Draws losses of five initializations, each with other batches, and the times of all."""
    times = _by_initialization(runs)
    curves, dots = figure.subplots(1, 2, width_ratios=[3, 2])
    curves.set_title("Validation loss, the same initialization in one colour")
    curves.set(xlabel="SGD iterations", ylabel="loss")
    for own in runs.curves:
        for number, curve in enumerate(own[:_SHOWN]):
            curves.plot(curve["step"], curve["val/loss"], color=color_of(number), linewidth=1)
    if any(runs.curves):
        for number in range(_SHOWN):
            curves.plot([], [], color=color_of(number), label=f"random init #{number + 1}")
        legend(curves, columns=3)
    else:
        curves.text(0.5, 0.5, "no curves at this scale", ha="center", transform=curves.transAxes)
    share = share_between(np.log(times))
    dots.set_title(f"t_c by initialization: {share.value:.0%} of the\nvariance ({share.low:.0%} to {share.high:.0%})")
    for place, number in enumerate(np.argsort(np.median(times, 1))):
        color = color_of(int(number)) if number < _SHOWN else "0.6"
        dots.plot(times[number], np.full(times.shape[1], place), "o", color=color, markersize=3.5, alpha=0.8)
    dots.set(xscale="log", xlabel="iterations to convergence", ylabel="initializations, by median", yticks=[])


FIGURE = PaperFigure("The initialization decides, not the batches", plan, claims, draw, _CHOICES, (11.0, 5.0))
