"""Figure 4 (right): the same training on fewer and fewer examples; between it groks."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure

from parity_lightning.display.style import BLUE, GRAY, ORANGE, legend_below
from parity_lightning.experiments.estimates import share_estimate
from parity_lightning.figures.figure import PaperFigure, Plan, say_not_run
from parity_lightning.figures.runs import Curve, Runs
from parity_lightning.figures.scales import Scale
from parity_lightning.statistics.survival import quantile_of
from parity_lightning.studies.claims import Claim, Estimate, Statement

_SECTION = "Figure 4 (right)"
_QUOTE = (
    "Training curves for an identical setup, varying only the sample size m. The two center panels display grokking: a "
    "large gap between the time to zero train error vs. zero test error."
)
_ENDS = {10_000: 2_500, 1_800: 8_000, 1_000: 40_000, 700: 1_000_000}
"""Where the axis of each panel of the paper ends, by sample size."""
_PUBLISHED = {10_000: 1_800, 1_800: 6_700, 1_000: 38_900}
"""When the paper's run makes no validation error any more."""
_FITTED = 0.999
_CHOICES = (
    "width-100 ReLU MLP on (50, 3), hinge loss, eta=0.1, B=32 are the paper's; lambda=0.0007, one for all sample sizes",
    "uniform initialization; evaluated every 100 steps; ended after 100,000 steps, where the paper's m=700 has 10^6",
    f"no train error: {_FITTED:.1%} of the batches since the last evaluation are right",
)


def plan(scale: Scale) -> Plan:
    """The paper's sample sizes; smoke the largest, which does not grok."""
    sizes = list(_ENDS)[:1] if scale == "smoke" else list(_ENDS)
    trials, curves = {"smoke": (6, 1), "laptop": (25, 3), "paper": (100, 5)}[scale]
    return Plan([{"config": "4-right.yaml", "data.num_samples": m} for m in sizes], trials, curves)


def _fitted_at(curve: Curve) -> float:
    """The first evaluation with no train error; the last one if the run, solved, ended before."""
    at = np.flatnonzero(curve["train/accuracy"] >= _FITTED)
    return float(curve["step"][at[0] if len(at) else -1])


def _solved_at(curve: Curve, limit: float) -> float:
    """The first evaluation with no validation error; the limit if there is none, at least that."""
    at = np.flatnonzero(curve["val/errors"] == 0)
    return float(curve["step"][at[0]]) if len(at) else limit


def claims(runs: Runs) -> list[Claim]:
    """How far the two transitions lie apart, where the paper's runs lie among ours, and that m = 700 never does."""
    sizes = runs.values_of("num_samples")
    made = []
    for m in (10_000, 1_000):
        statement = Statement(
            f"m{m}-gap",
            f"m = {m:,}: steps to no validation error over those to no train error, runs from lowest to highest",
            _SECTION,
            _QUOTE,
            "1" if m == 10_000 else "about 25",
            digitised=True,
        )
        gaps = _gaps(runs, m) if m in sizes else []
        if not gaps:
            made.append(Claim.not_attempted(statement, "runs at the scales laptop and paper"))
            continue
        found = Estimate(float(np.median(gaps)), min(gaps), max(gaps), n=len(gaps))
        made.append(Claim.at_most(statement, found, 1.5) if m == 10_000 else Claim.at_least(statement, found, 5.0))
    for m, published in _PUBLISHED.items():
        text = f"m = {m:,}: t_c of the published run, beside the middle 90 % of our trials"
        statement = Statement(f"m{m}", text, _SECTION, _QUOTE, published, digitised=True)
        if m not in sizes:
            made.append(Claim.not_attempted(statement, "runs at the scales laptop and paper"))
            continue
        times = runs.times(num_samples=m)
        middle, low, high = (quantile_of(times, share).value for share in (0.5, 0.05, 0.95))
        censored = int((~np.isfinite(times)).sum())
        made.append(Claim.contains(statement, Estimate(middle, low, high, len(times), censored), published))
    statement = Statement(
        "m700-never", "m = 700: share of trials that generalize", _SECTION, _QUOTE, 0.0, digitised=True
    )
    if 700 in sizes:
        times = runs.times(num_samples=700)
        found = share_estimate(int(np.isfinite(times).sum()), len(times), censored=True)
        made.append(Claim.at_most(statement, found, 0.2, tolerance=0.2))
    else:
        made.append(Claim.not_attempted(statement, "runs at the scales laptop and paper"))
    return made


def _gaps(runs: Runs, m: int) -> list[float]:
    limit = float(runs.limit(num_samples=m))
    (place,) = runs.places(num_samples=m)
    return [_solved_at(curve, limit) / _fitted_at(curve) for curve in runs.curves[place]]


def draw(runs: Runs, figure: Figure) -> None:
    """Draws a panel for each sample size: train and validation error of one run, others thin."""
    sizes = runs.values_of("num_samples")
    panels = figure.subplots(1, len(_ENDS), sharey=True)
    for axes, (m, end) in zip(panels, _ENDS.items(), strict=True):
        axes.set_title(f"m = {m:,}")
        axes.axhline(0.5, color=GRAY, linewidth=0.8, linestyle=":")
        axes.set(xlabel="SGD iterations", ylim=(-0.02, 0.55))
        if m not in sizes:
            say_not_run(axes)
            axes.set_xticks([])
            continue
        (place,) = runs.places(num_samples=m)
        for number, curve in enumerate(runs.curves[place]):
            width, alpha = (1.8, 1.0) if number == 0 else (0.7, 0.5)
            for stage, color, name in (("train", ORANGE, "train error"), ("val", BLUE, "validation error")):
                error = 1 - curve[f"{stage}/accuracy"]
                label = name if number == 0 else None
                axes.plot(curve["step"], error, color=color, linewidth=width, alpha=alpha, label=label)
        last = max(float(curve["step"][-1]) for curve in runs.curves[place])
        axes.set_xlim(0, min(max(last, end), runs.limit(num_samples=m)))
        axes.xaxis.set_major_formatter(lambda steps, _: f"{steps / 1000:g}k")
    panels[0].set_ylabel("error")
    legend_below(figure)


FIGURE = PaperFigure("Grokking: training curves by sample size", plan, claims, draw, _CHOICES, (13.0, 4.2))
