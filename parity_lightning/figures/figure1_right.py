"""Figure 1 (right): median convergence times against n, for k from 2 to 8, of four architectures."""

from __future__ import annotations

from matplotlib.figure import Figure

from parity_lightning.display.style import color_of, legend_below, ticks_at
from parity_lightning.figures.agreement import Agreement
from parity_lightning.figures.figure import PaperFigure, Plan
from parity_lightning.figures.medians import draw_medians_by_k, draw_published, label_medians, published_claim
from parity_lightning.figures.published import MEDIANS
from parity_lightning.figures.runs import Runs
from parity_lightning.figures.scales import Scale
from parity_lightning.studies.cells import Cell
from parity_lightning.studies.claims import Claim

SECTION = "Figure 1 (right)"
QUOTE = (
    "A variety of neural networks, with standard training and initialization, can solve the (n, k)-parity learning "
    "problem, with a number of iterations scaling as n^O(k)."
)
TITLES = {
    "relu": "width-100 ReLU MLP",
    "power": r"width-100 $x^k$ MLP",
    "sinusoid": "width-1 sin(w·x+b)",
    "polynet": r"PolyNet $\prod(w_i\cdot x+b)$",
}
_CHOICES = (
    "relu: eta=1 is the paper's; B=64, hinge loss, uniform initialization",
    "power: eta=0.1, for eta=1 diverges; B=32, hinge loss, PyTorch's own initialization",
    "sinusoid: eta=0.1, for the paper's 0.01 is far slower than published; B=32, hinge loss, uniform initialization",
    "polynet: eta=0.05 is the paper's; B=32, square loss, PyTorch's own initialization",
    "one setting for all n and k of a panel; converged: no error on 2^13 held-out examples, looked at after every step "
    "or, but for ReLU, every 5 steps from k=5 on",
    "trials end after 10,000 steps, the end of the figure's axis, those of ReLU, which come near it, after 20,000",
)
_SMOKE = {"relu": (10, 20), "power": (10,), "sinusoid": (10,), "polynet": (10, 20)}


def plan(scale: Scale) -> Plan:
    """The points of all panels; at the scale paper every n from 10 to 40."""
    points = [
        (panel, k, n)
        for panel, by_k in MEDIANS.items()
        for k, by_n in by_k.items()
        for n in (range(10, 41) if scale == "paper" else by_n)
        if scale != "smoke" or (k == 2 and n in _SMOKE[panel])
    ]
    return Plan([_cell(*point) for point in points], {"smoke": 6, "laptop": 100, "paper": 100}[scale])


def _cell(panel: str, k: int, n: int) -> Cell:
    cell: Cell = {"config": f"1-right-{panel}.yaml", "data.k": k, "data.n": n}
    # The power of a hundred units on a thousand examples takes far longer than a step.
    return cell if panel == "relu" else {**cell, "trainer.val_check_interval": 1 if k < 5 else 5}


def claims(runs: Runs) -> list[Claim]:
    """A claim on each published point, and two on each panel: how far it is off, and how many points are near."""
    made: list[Claim] = []
    for panel, by_k in MEDIANS.items():
        points = []
        for k, n in ((k, n) for k, by_n in by_k.items() for n in by_n):
            times = runs.times(config=f"1-right-{panel}", k=k, n=n)
            if len(times):
                points.append(
                    published_claim(f"{panel}-k{k}-n{n}", f"{panel}, ({n}, {k})", SECTION, QUOTE, by_k[k][n], times)
                )
        if points:
            limits = [runs.limit(config=f"1-right-{panel}")] * len(points)
            made += [*points, *Agreement.of(points, limits).claims(panel, panel)]
    return made


def draw(runs: Runs, figure: Figure) -> None:
    """Draws a panel for each architecture, medians on logarithmic axes, a colour for each k."""
    panels = figure.subplots(2, 2, sharex=True, sharey=True).flat
    for axes, (panel, by_k) in zip(panels, MEDIANS.items(), strict=True):
        axes.set_title(TITLES[panel])
        colors = {k: color_of(number) for number, k in enumerate(range(2, 9))}
        draw_medians_by_k(axes, runs, f"1-right-{panel}", colors)
        for k, by_n in by_k.items():
            draw_published(axes, list(by_n), list(by_n.values()), color=colors[k], alpha=0.8)
        axes.plot([], [], color="0.4", marker="x", linestyle=":", label="published")
        ticks_at(axes.xaxis, [10, 20, 30, 40])
    label_medians(figure, 2)
    legend_below(figure, figure.axes[0], columns=5)


FIGURE = PaperFigure("Median convergence times for small (n, k)", plan, claims, draw, _CHOICES, (9.0, 8.0))
