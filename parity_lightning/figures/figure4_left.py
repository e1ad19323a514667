"""Figure 4 (left): convergence times against width on the (40, 3)-parity, beside copies of random search."""

from __future__ import annotations

import math

import numpy as np
from matplotlib.figure import Figure

from parity_lightning.display.style import BLUE, GREEN, VERMILION, legend
from parity_lightning.figures.figure import PaperFigure, Plan
from parity_lightning.figures.medians import draw_medians, draw_published, exponent_of, published_claim
from parity_lightning.figures.published import WIDTHS
from parity_lightning.figures.runs import Runs
from parity_lightning.figures.scales import Scale
from parity_lightning.statistics.power_law import fit_power_law
from parity_lightning.statistics.survival import quantile_of
from parity_lightning.studies.claims import Claim, Estimate, Statement

_N, _K = 40, 3
_CHOSEN_BY = 100
_SECTION = "Figure 4 (left)"
_QUOTE = (
    "Success times vs. network width r on a fixed (40, 3)-parity task: in accordance with the theory, parallelization "
    "experiences diminishing returns (unlike expected success times for random search, shown in green)."
)
_PLATEAU = "in Figure 4 (left), convergence times for sparse parities empirically plateau at large model sizes."
_CHOICES = (
    "eta=1, hinge loss, uniform initialization as in Figure 1 (right)",
    "B=256, chosen at width 100 alone by the scan configs/sweeps/width-settings.yaml",
    "widths 1 and 2: the first step with 55 % accuracy on 2^13 examples, the paper's criterion for r < k",
    "no error on 2^13 held-out examples, looked at after every step; trials end unsolved after 10,000 steps",
)
_RUN = {
    "smoke": (10, 100),
    "laptop": (3, 10, 30, 100, 300, 1_000, 3_000, 10_000),
    "paper": tuple(width for width in WIDTHS if width >= _K),
}


def plan(scale: Scale) -> Plan:
    """Every width of the scale; at the paper's scale 1,000 trials of each."""
    cells = [{"config": "4-left.yaml", "model.width": width} for width in _RUN[scale]]
    if scale != "smoke":
        cells += [{"config": "4-left-narrow.yaml", "model.width": width} for width in WIDTHS if width < _K]
    return Plan(cells, {"smoke": 6, "laptop": 50, "paper": 1_000}[scale])


def claims(runs: Runs) -> list[Claim]:
    """A claim on each width, and two on how little width helps."""
    made = []
    for width, published in WIDTHS.items():
        times = _times(runs, width)
        if len(times):
            what = f"width {width:,}" + (", by which B was chosen" if width == _CHOSEN_BY else "")
            what += ", to 55 % accuracy" if width < _K else ""
            made.append(published_claim(f"r{width}", what, _SECTION, _QUOTE, published, times))
        elif width < _K:
            statement = Statement(
                f"r{width}", f"time to 55 % accuracy, width {width}", _SECTION, _QUOTE, published, True
            )
            made.append(Claim.not_attempted(statement, "runs at the scales laptop and paper"))
    return [*made, _diminishing(runs), _plateau(runs)]


def _times(runs: Runs, width: int) -> np.ndarray:
    """The times of a width: to 55 % accuracy of one that cannot express the parity, else to no error."""
    if width >= _K:
        return runs.times(width=width)
    return runs.times_to(0.55, width=width)


def _diminishing(runs: Runs) -> Claim:
    widths = runs.values_of("width", config="4-left")
    law = fit_power_law(widths, [runs.times(width=r) for r in widths], [runs.limit(width=r) for r in widths])
    statement = Statement(
        "diminishing",
        "exponent of median t_c against r; that of random search is -1",
        _SECTION,
        _QUOTE,
        paper="diminishing returns",
    )
    return Claim.at_least(statement, exponent_of(law), -0.5, strict=True)


def _plateau(runs: Runs) -> Claim:
    statement = Statement(
        "plateau", "median t_c of width 1,000 over that of 10,000; of random search 10", _SECTION, _PLATEAU, "about 1"
    )
    narrow, wide = (runs.times(width=width) for width in (1_000, 10_000))
    if not len(narrow) or not len(wide):
        return Claim.not_attempted(statement, "needs widths 1,000 and 10,000")
    one, other = quantile_of(narrow), quantile_of(wide)
    found = Estimate(one.value / other.value, one.low / other.high, one.high / max(other.low, 1), n=len(narrow))
    return Claim.within(statement, found, 0.5, 2.0)


def draw(runs: Runs, figure: Figure) -> None:
    """Draws median times on logarithmic axes, the published ones, and the mean of r copies of random search."""
    axes = figure.subplots()
    axes.set_title(f"Success times against width, ({_N}, {_K})-parity")
    axes.set(
        xscale="log", yscale="log", xlabel="network width r", ylabel="iterations to convergence", ylim=(30, 20_000)
    )
    widths = sorted(runs.values_of("width"))
    # Single trials behind the medians, as far as they are solved.
    for width in widths:
        own = _times(runs, width)
        solved = own[np.isfinite(own)]
        axes.plot(np.full(len(solved), width), solved, "_", color=BLUE, alpha=0.25, markersize=7)
    times, limits = [_times(runs, r) for r in widths], [runs.limit(width=r) for r in widths]
    draw_medians(axes, widths, times, limits, color=BLUE, label="SGD, median of our trials")
    draw_published(axes, list(WIDTHS), list(WIDTHS.values()), color=VERMILION, label="SGD, published")
    copies = np.array([1.0, max(WIDTHS)])
    mean = _N**_K / math.factorial(_K) / copies + 1
    axes.plot(copies, mean, color=GREEN, label="random search, r copies: mean")
    legend(axes, columns=3)


FIGURE = PaperFigure("Convergence time against width", plan, claims, draw, _CHOICES, (8.0, 5.0))
