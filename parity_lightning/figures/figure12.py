"""Figure 12 of the extended version: Fourier gaps of sinusoidal activations at random weights, and along SGD."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from parity_lightning.display.style import BLACK, GRAY, color_of
from parity_lightning.experiments.estimates import share_estimate
from parity_lightning.figures.figure import PaperFigure, Plan
from parity_lightning.figures.runs import Curve, Runs
from parity_lightning.figures.scales import Scale
from parity_lightning.figures.trajectories import OFF_CHANCE, RED, leaves_chance
from parity_lightning.statistics.survival import quantile_of
from parity_lightning.studies.claims import Claim, Estimate, Statement
from parity_lightning.theory.majority import majority_coefficient
from parity_lightning.theory.sinusoid import sinusoid_gradient

_SECTION = "extended version, Figure 12"
_COMPARABLE = "In these small cases, they are comparable [to] the Fourier gaps of majority (red dashed line)."
_BEYOND = "Numerical evidence for Fourier gaps beyond random LTFs."
_POSITIVE = (
    "The Fourier gap is consistently positive at initialization, but somewhat smaller than that of majority (red "
    "dashed line)."
)
_AMPLIFIES = "Interestingly, it amplifies through the course of training."
_N, _KS, _PATH_K = 15, (2, 4, 6), 4
_DRAWS = 10_000
_WEIGHTS: dict[str, Callable[[np.random.Generator, tuple[int, int]], np.ndarray]] = {
    "uniform": lambda random, shape: random.uniform(-1, 1, shape),
    "Gaussian": lambda random, shape: random.standard_normal(shape),
    "Bernoulli": lambda random, shape: random.choice([-1.0, 1.0], shape),
}
_COMPARED = 10.0
"""Two gaps are comparable if their ratio is within this factor of 1."""
_TEAL = "#00bfbf"
_CHOICES = (
    "left: n=15, k=2, 4 and 6 and the three kinds of weights are the paper's; that weights are uniform on [-1, 1], "
    "standard normal or ±1 is ours: for these the histograms lie where the paper's do; 10,000 draws each, closed form",
    "left, filled: the largest coefficient of a relevant input less the largest of any other, whose distribution is "
    "that of the paper's panels; outlined: the smallest of a relevant input less it, as by Definition 1",
    "odd k is left out: all these coefficients of sin(w·x) vanish",
    "right: sin(w·x+b) on (15, 4), 10 trials, all 2^15 inputs, every 40 of 10,000 steps are the paper's; B=32, hinge "
    "loss and the uniform initialization ours, and eta=0.03, at which trials take about as many steps as the paper's",
    "right: claims on the gap by Definition 1, and one on that of the largest coefficients, which is drawn, as on the "
    "left",
    "fixed later than the other rules: the factor of ten, after medians of uniform and Gaussian weights had been seen, "
    "and the claim on the largest coefficients along SGD, after that by Definition 1 had been tried",
    f"comparable: within a factor of {_COMPARED:g}; start: the first evaluation, after 40 steps; leaving chance: the "
    f"first with an accuracy of at least {OFF_CHANCE:g}; trials that never do count as failed",
)


def plan(scale: Scale) -> Plan:
    """The paper's ten trials along SGD; smoke two."""
    count = 2 if scale == "smoke" else 10
    return Plan([{"config": "12.yaml"}], count, count)


class _Gaps(NamedTuple):
    """Fourier gaps at random weights, each of shape ``(draws,)``.

    Attributes:
        largest: Of the largest coefficient of a relevant input.
        smallest: Of the smallest, as by Definition 1.
    """

    largest: np.ndarray
    smallest: np.ndarray


@cache
def _gaps(weights: str, k: int) -> _Gaps:
    drawn = _WEIGHTS[weights](np.random.default_rng(0), (_DRAWS, _N))
    sizes = np.abs(sinusoid_gradient(drawn / np.sqrt(_N), range(k)))
    relevant, irrelevant = sizes[:, :k], sizes[:, k:].max(1)
    return _Gaps(relevant.max(1) - irrelevant, relevant.min(1) - irrelevant)


def _majority_gap(k: int) -> float:
    return abs(majority_coefficient(_N, k - 1)) - abs(majority_coefficient(_N, k + 1))


def claims(runs: Runs) -> list[Claim]:
    """At random weights the gap is positive and comparable to that of majority; along SGD it grows."""
    made = []
    for weights in _WEIGHTS:
        smallest = np.array([_gaps(weights, k).smallest for k in _KS])
        text = f"{weights} weights: share of draws with a positive gap for k = 2, 4 and 6"
        positive = Statement(f"{weights.lower()}-positive", text, _SECTION, _BEYOND, "gaps")
        made.append(Claim.at_least(positive, share_estimate(int((smallest > 0).all(0).sum()), _DRAWS), 0.95))
        for k in _KS:
            text = f"{weights} weights, k = {k}: median gap over that of majority"
            comparable = Statement(f"{weights.lower()}-k{k}", text, _SECTION, _COMPARABLE, "comparable")
            ratio = quantile_of(_gaps(weights, k).largest / _majority_gap(k), least=-np.inf)
            made.append(Claim.within(comparable, Estimate(*ratio, n=_DRAWS), 1 / _COMPARED, _COMPARED))
    return [*made, *_along_sgd(runs.curves[0])]


def _largest_gap(curve: Curve) -> np.ndarray:
    """The gap along a run between the largest coefficient of a relevant input and the largest of any other."""
    gap: np.ndarray = curve["fourier_gap/strongest"] - curve["fourier_gap/irrelevant"]
    return gap


def _along_sgd(curves: Sequence[Curve]) -> list[Claim]:
    starts = [float(curve["fourier_gap"][0]) for curve in curves]
    left = [(curve, end) for curve in curves if (end := leaves_chance(curve)) is not None]
    grown = sum(bool(curve["fourier_gap"][end] > curve["fourier_gap"][0]) for curve, end in left)
    largest_grown = sum(bool(_largest_gap(curve)[end] > _largest_gap(curve)[0]) for curve, end in left)
    shares = {
        "positive": (sum(start > 0 for start in starts), "share of trials with a positive gap at the start", _POSITIVE),
        "below-majority": (
            sum(start < _majority_gap(_PATH_K) for start in starts),
            "share of trials whose gap is below that of majority at the start",
            _POSITIVE,
        ),
        "amplifies": (grown, "share of trials whose gap has grown when accuracy leaves chance", _AMPLIFIES),
        "largest-amplifies": (
            largest_grown,
            "share of trials whose gap of the largest coefficients has grown when accuracy leaves chance",
            _AMPLIFIES,
        ),
    }
    return [
        Claim.at_least(
            Statement(f"sgd-{name}", f"along SGD: {text}", _SECTION, quote, "all"),
            share_estimate(count, len(curves)),
            0.5,
        )
        for name, (count, text, quote) in shares.items()
    ]


def draw(runs: Runs, figure: Figure) -> None:
    """Draws densities of the gap at random weights, and beside them validation error above the gap along SGD."""
    left, right = figure.subfigures(1, 2, squeeze=False, width_ratios=[3, 2])[0]
    panels = left.subplots(len(_WEIGHTS), len(_KS))
    for row, weights in zip(panels, _WEIGHTS, strict=True):
        for axes, k in zip(row, _KS, strict=True):
            _draw_density(axes, weights, k)
    left.supxlabel("Fourier gap Γ for sinusoidal activation")
    left.supylabel("prob. density")
    panels[0, 2].legend(loc="upper center")
    _draw_path(runs, *right.subplots(2, 1, sharex=True))


def _draw_density(axes: Axes, weights: str, k: int) -> None:
    found, majority = _gaps(weights, k), _majority_gap(k)
    end = max(1.25 * majority, min(float(np.quantile(found.largest, 0.995)), 2.5 * majority))
    bins = [float(edge) for edge in np.linspace(-0.2 * majority, end, 80)]
    axes.axvline(0, color=BLACK, linewidth=1)
    axes.axvline(majority, color=RED, linewidth=1, linestyle="--", label="majority")
    axes.hist(found.largest, bins, density=True, color=_TEAL, alpha=0.4, label="sinusoid")
    axes.hist(found.smallest, bins, density=True, histtype="step", color=GRAY, linewidth=0.7, label="by Definition 1")
    axes.set_ylim(0, _top(found.largest, bins))
    axes.set_title(f"{weights}, k={k}")
    axes.set_yticks([])
    axes.locator_params(axis="x", nbins=4)


def _top(gaps: np.ndarray, bins: list[float]) -> float:
    """Where the axis of densities ends: the outlined histogram is cut off, it peaks at 0."""
    return 1.25 * float(np.histogram(gaps, bins, density=True)[0].max())


def _draw_path(runs: Runs, above: Axes, below: Axes) -> None:
    above.set_title(f"sin(w·x+b) neuron, ({_N},{_PATH_K})-parity")
    below.set_title("Fourier gap along SGD")
    for number, curve in enumerate(runs.curves[0]):
        color = color_of(number)
        above.plot(curve["step"], 1 - curve["val/accuracy"], color=color, linewidth=1.2)
        gap = np.where(_largest_gap(curve) > 0, _largest_gap(curve), np.nan)
        below.plot(curve["step"], gap, color=color, alpha=0.6, linewidth=1.2)
        below.plot(curve["step"][:1], gap[:1], color=color, marker="o", markersize=5, markeredgecolor=BLACK)
    below.axhline(_majority_gap(_PATH_K), color=RED, linestyle="--", linewidth=1.2, label="majority")
    below.plot([], [], color=GRAY, label=r"path Γ$(w_t)$")
    below.plot([], [], color=GRAY, marker="o", linestyle="none", markeredgecolor=BLACK, label="start")
    below.set_yscale("log")
    above.set_ylabel("validation error")
    below.set(ylabel=r"Fourier gap Γ$(w_t)$", xlabel="iteration t", ylim=(None, 2))
    below.legend(loc="upper right", ncols=3)


FIGURE = PaperFigure("Fourier gaps beyond majority", plan, claims, draw, _CHOICES, (15.0, 7.5))
