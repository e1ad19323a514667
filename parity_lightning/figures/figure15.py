"""Figure 15 of the extended version: which sample sizes and weight decays generalize."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure

from parity_lightning.experiments.estimates import share_estimate
from parity_lightning.figures.figure import PaperFigure, Plan
from parity_lightning.figures.runs import Runs
from parity_lightning.figures.scales import Scale
from parity_lightning.statistics.survival import quantile_of
from parity_lightning.studies.claims import Claim, Statement

_SECTION = "Figure 15 of the extended version"
_GROKS = (
    "We find that minibatch SGD (with weight decay) can empirically solve sparse parities, even from a sample of size "
    "m << n^k."
)
_SIZES = (10_000, 1_800, 1_000, 700)
_DECAYS = (0.0, 0.0001, 0.0003, 0.0007, 0.002, 0.005)
_CHOICES = (
    "width-100 ReLU MLP, B=32, eta=0.1 and hinge loss are the paper's; (50, 3), the values of m and lambda ours",
    "lambda is subtracted as it is, theta <- (1 - lambda) theta - eta gradient; ended after 100,000 steps",
    "drawn as shares of trials solved, where the paper has a curve in each place",
)


def plan(scale: Scale) -> Plan:
    """All sample sizes by all decays; smoke the largest sample with three."""
    sizes, decays = ((10_000,), (0.0003, 0.0007)) if scale == "smoke" else (_SIZES, _DECAYS)
    cells = [
        {"config": "4-right.yaml", "data.num_samples": m, "model.optimizer.decay": decay}
        for m in sizes
        for decay in decays
    ]
    return Plan(cells, {"smoke": 4, "laptop": 10, "paper": 25}[scale])


def claims(runs: Runs) -> list[Claim]:
    """Much decay never works, and some decay solves from far fewer than n^3 examples."""
    fails = Statement("much-decay", f"lambda = {_DECAYS[-1]:g}: share of trials solved, any m", _SECTION, "", "none")
    helps = Statement(
        "small-sample",
        "m = 1,000 of n^3 = 125,000: share of trials solved at the best lambda",
        "Section 5",
        _GROKS,
        "some",
    )
    without = Statement("no-decay", "m = 1,000, lambda = 0: share of trials solved", "Section 5", _GROKS, "not said")
    if 1_000 not in runs.values_of("num_samples"):
        return [Claim.not_attempted(each, "runs at the scales laptop and paper") for each in (fails, helps, without)]
    most = runs.times(decay=_DECAYS[-1])
    best = max(
        (runs.times(num_samples=1_000, decay=decay) for decay in _DECAYS), key=lambda times: np.isfinite(times).sum()
    )
    none = runs.times(num_samples=1_000, decay=0.0)
    found = [share_estimate(int(np.isfinite(each).sum()), len(each), censored=True) for each in (most, best, none)]
    return [
        Claim.at_most(fails, found[0], 0.2, tolerance=0.2),
        Claim.at_least(helps, found[1], 0.2, caveat="the best of six, which favours it"),
        Claim.reported(without, found[2]),
    ]


def draw(runs: Runs, figure: Figure) -> None:
    """Draws the share solved in each place, m decreasing to the right and lambda increasing downwards."""
    axes = figure.subplots()
    sizes, decays = runs.values_of("num_samples"), runs.values_of("decay")
    times = [[runs.times(num_samples=m, decay=decay) for m in sizes] for decay in decays]
    shares = np.array([[np.isfinite(own).mean() for own in row] for row in times])
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=2, aspect="auto")
    for row, own in enumerate(times):
        for column, each in enumerate(own):
            median = quantile_of(each).value
            text = f"{np.isfinite(each).sum()} of {len(each)}"
            text += f"\nt_c {median:,.0f}" if np.isfinite(median) else "\nmedian not reached"
            axes.text(column, row, text, ha="center", va="center", fontsize=8.5)
    axes.spines[:].set_visible(False)
    axes.set_xticks(range(len(sizes)), [f"m = {m:,}" for m in sizes])
    axes.set_yticks(range(len(decays)), [f"λ = {decay:g}" for decay in decays])
    axes.set_title("Trials that generalize, and their median convergence time")


FIGURE = PaperFigure("Sample size by weight decay", plan, claims, draw, _CHOICES, (7.5, 6.0))
