"""Figure 10 of the extended version: median convergence times against n, of more architectures and larger n."""

from __future__ import annotations

from typing import Any, NamedTuple

from matplotlib.figure import Figure

from parity_lightning.display.style import color_of, legend_below, ticks_at
from parity_lightning.figures.figure import PaperFigure, Plan, say_not_run
from parity_lightning.figures.medians import draw_medians_by_k, exponent_of, label_medians
from parity_lightning.figures.runs import Runs
from parity_lightning.figures.scales import SCALES, Scale
from parity_lightning.statistics.power_law import fit_power_law
from parity_lightning.studies.cells import Cell
from parity_lightning.studies.claims import Claim, Statement

_SECTION = "Figure 10 of the extended version"
_QUOTE = "a number of iterations scaling as n^O(k)"
_NS = (10, 20, 30, 40)


class _Curves(NamedTuple):
    """A panel: its title, its configuration, its learning rate, and which n of each k at the laptop's scale."""

    title: str
    config: str
    lr: float
    ns: dict[int, tuple[int, ...]]
    scale: Scale = "laptop"


_PANELS = {
    "polynomial": _Curves(
        "width-1 oscillating polynomial", "architectures/viii.yaml", 0.01, {2: _NS, 3: _NS, 4: (10, 20)}
    ),
    "sinusoid": _Curves(
        "width-1 sin(w·x+b)", "1-right-sinusoid.yaml", 0.1, {2: (*_NS, 60, 80, 100), 3: (*_NS, 60), 4: (10, 20)}
    ),
    "transformer": _Curves("Transformer", "architectures/star-iii.yaml", 0.0003, {2: (10, 20), 3: (10,)}, "paper"),
    "polynet": _Curves(
        r"PolyNet $\prod(w_i\cdot x+b)$", "1-right-polynet.yaml", 0.05, {2: (*_NS, 60, 80, 100), 3: (*_NS, 60), 4: _NS}
    ),
    "relu": _Curves(
        "width-100 ReLU MLP", "1-right-relu.yaml", 1.0, {2: (*_NS, 60, 80, 100), 3: (*_NS, 60, 80), 4: _NS}
    ),
    "power": _Curves(
        r"width-100 $x^k$ MLP", "1-right-power.yaml", 0.1, {2: (*_NS, 60, 80), 3: (*_NS, 60), 4: (10, 20)}
    ),
}
_LARGE = {2: (100, 150, 200), 3: (60, 80, 100), 4: (30, 40), 5: _NS, 6: (10, 20)}
_CHOICES = (
    "architectures, eta of the polynomial, Transformer, PolyNet and ReLU are the paper's",
    "eta=0.1 of sinusoid and z^k as in Figure 1 (right): 0.01 is far slower than published, 1 diverges",
    "B, loss and initialization as in Figure 1 (right), of polynomial and Transformer as in configs/architectures",
    "trials end unsolved after 20,000 steps; evaluated every 5 steps; the Transformer runs at the paper's scale only",
    "the rule: the exponent of t_c against n is at most k, which is that of trying all subsets",
)


def plan(scale: Scale) -> Plan:
    """The n of each k in each panel; smoke those of the smallest parities of one."""
    if scale == "smoke":
        cells = [_cell("polynet", 2, n) for n in (10, 20, 30)]
        return Plan(cells, 6)
    cells = []
    for name, panel in _PANELS.items():
        if SCALES.index(panel.scale) > SCALES.index(scale):
            continue
        ks = sorted({*panel.ns, *(_LARGE if scale == "paper" else ())})
        for k in ks:
            ns = {*panel.ns.get(k, ()), *(_LARGE[k] if scale == "paper" else ())}
            cells += [_cell(name, k, n) for n in sorted(ns)]
    return Plan(cells, {"laptop": 25, "paper": 100}[scale])


def _cell(name: str, k: int, n: int) -> Cell:
    cell: dict[str, Any] = {"config": _PANELS[name].config, "data.k": k, "data.n": n}
    limits = {"trainer.max_steps": 20_000, "trainer.val_check_interval": 5}
    return {**cell, "model.optimizer.lr": _PANELS[name].lr, **limits}


def _config(name: str) -> str:
    return _PANELS[name].config.rpartition("/")[2].removesuffix(".yaml")


def claims(runs: Runs) -> list[Claim]:
    """For each panel and k: t_c grows at most as n^k."""
    made = []
    for name in _PANELS:
        for k in runs.values_of("k", config=_config(name)):
            text = f"{name}, k = {k}: exponent of t_c against n"
            statement = Statement(f"{name}-k{k}", text, _SECTION, _QUOTE, f"at most {k}")
            ns = runs.values_of("n", config=_config(name), k=k)
            where = [{"config": _config(name), "k": k, "n": n} for n in ns]
            law = fit_power_law(ns, [runs.times(**each) for each in where], [runs.limit(**each) for each in where])
            if len(ns) < 3:
                made.append(Claim.not_attempted(statement, "needs three n, which larger scales run"))
            else:
                made.append(Claim.at_most(statement, exponent_of(law), float(k)))
        if not runs.places(config=_config(name)):
            statement = Statement(f"{name}-k2", f"{name}, k = 2: exponent of t_c against n", _SECTION, _QUOTE)
            made.append(Claim.not_attempted(statement, "runs at a larger scale"))
    return made


def draw(runs: Runs, figure: Figure) -> None:
    """Draws a panel for each architecture, medians on logarithmic axes, a colour for each k."""
    for axes, (name, panel) in zip(figure.subplots(2, 3, sharex=True, sharey=True).flat, _PANELS.items(), strict=True):
        axes.set_title(panel.title)
        draw_medians_by_k(axes, runs, _config(name), {k: color_of(number) for number, k in enumerate(_LARGE)})
        if not runs.places(config=_config(name)):
            say_not_run(axes)
        ticks_at(axes.xaxis, [10, 20, 40, 100])
    label_medians(figure, 3)
    legend_below(figure, figure.axes[0], columns=6)


FIGURE = PaperFigure("Median convergence times of more architectures", plan, claims, draw, _CHOICES, (12.0, 8.0))
