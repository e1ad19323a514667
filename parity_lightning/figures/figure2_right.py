"""Figure 2 (right): the exponent of t_c against n gets worse on larger problems."""

from __future__ import annotations

from matplotlib.figure import Figure

from parity_lightning.display.style import color_of, legend, ticks_at
from parity_lightning.figures.figure import PaperFigure, Plan
from parity_lightning.figures.medians import draw_medians, draw_published, exponent_of
from parity_lightning.figures.published import MEDIANS
from parity_lightning.figures.runs import Runs
from parity_lightning.figures.scales import Scale
from parity_lightning.statistics.power_law import PowerLaw, fit_power_law
from parity_lightning.studies.claims import Claim, Statement

_SECTION = "Figure 2 (right)"
_QUOTE = "The power-law exponent (alpha such that t_c ~ n^alpha) eventually degrades on larger problem instances."
_CHOICES = (
    "the setting of Figure 1 (right): eta=1 is the paper's; B=64, hinge loss, uniform initialization",
    "small: n to 20; large: from 60 on; exponents by least squares of medians",
    "trials end unsolved after 20,000 steps",
)
_LARGE = tuple(range(45, 111, 5)) + tuple(range(120, 151, 10))
_NS: dict[Scale, dict[int, tuple[int, ...]]] = {
    "smoke": {2: (10, 20)},
    "laptop": {
        **dict.fromkeys((2, 3), (10, 20, 30, 40, 60, 80, 100, 120, 150)),
        4: (10, 20, 30, 40, 60, 70, 80),
    },
    "paper": {k: (*range(10, 41), *(_LARGE if k <= 4 else ())) for k in range(2, 9)},
}


def plan(scale: Scale) -> Plan:
    """The n of each k."""
    cells = [{"config": "1-right-relu.yaml", "data.k": k, "data.n": n} for k, ns in _NS[scale].items() for n in ns]
    return Plan(cells, {"smoke": 6, "laptop": 25, "paper": 100}[scale])


def _law(runs: Runs, k: int, ns: list[int]) -> PowerLaw | None:
    return fit_power_law(ns, [runs.times(k=k, n=n) for n in ns], [runs.limit(k=k, n=n) for n in ns])


def claims(runs: Runs) -> list[Claim]:
    """For each k with large n: the exponent there is larger than that of small n."""
    made = []
    for k in runs.values_of("k"):
        ns = runs.values_of("n", k=k)
        small = _law(runs, k, [n for n in ns if n <= 20])
        large = _law(runs, k, [n for n in ns if n >= 60])
        beside = "" if small is None else f", {small}"
        what = f"k = {k}: exponent of t_c for n from 60 on, beside that to n = 20{beside}"
        statement = Statement(f"k{k}-degrades", what, _SECTION, _QUOTE, "larger")
        if max(ns) < 60:
            made.append(Claim.not_attempted(statement, "needs n from 60 on, which larger scales run for small k"))
        else:
            made.append(Claim.compared(statement, exponent_of(large), exponent_of(small), "n to 20"))
    return made


def draw(runs: Runs, figure: Figure) -> None:
    """Draws medians against n on logarithmic axes, a colour for each k."""
    axes = figure.subplots()
    axes.set_title("ReLU MLP convergence times")
    axes.set(xscale="log", yscale="log", xlabel="n", ylabel="median iterations to convergence")
    for k in runs.values_of("k"):
        ns, color = runs.values_of("n", k=k), color_of(k - 2)
        times, limits = [runs.times(k=k, n=n) for n in ns], [runs.limit(k=k, n=n) for n in ns]
        draw_medians(axes, ns, times, limits, color=color, label=f"k={k}")
        published = MEDIANS["relu"][k]
        draw_published(axes, list(published), list(published.values()), color=color)
    axes.plot([], [], color="0.4", marker="x", linestyle=":", label="published, to n=40")
    ticks_at(axes.xaxis, [10, 20, 40, 80, 150])
    legend(axes, columns=5)


FIGURE = PaperFigure("The exponent degrades on larger problems", plan, claims, draw, _CHOICES)
