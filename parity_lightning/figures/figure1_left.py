"""Figure 1 (left): training curves of eight networks on the (50, 3)-parity."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from matplotlib.figure import Figure

from parity_lightning.display.style import GRAY, color_of
from parity_lightning.experiments.estimates import share_estimate
from parity_lightning.figures.figure import PaperFigure, Plan, Scale
from parity_lightning.figures.medians import published_claim
from parity_lightning.figures.runs import Runs
from parity_lightning.statistics.survival import quantile_of
from parity_lightning.studies.claims import Claim, Estimate, Statement
from parity_lightning.studies.results import RULE_SHARE

_SECTION = "Figure 1 (left)"
_QUOTE = (
    "A variety of neural networks, with standard training and initialization, can solve the (n, k)-parity learning "
    "problem"
)
_PLATEAU = "long durations of seemingly no progress, followed by periods of rapid decrease in the validation error"


class Panel(NamedTuple):
    """A panel: its title, its configuration, its batch size, and the paper's median of five runs in steps, if read."""

    title: str
    config: str
    batch_size: int
    published: float | None = None


PANELS = {
    "relu": Panel("ReLU MLP (B=32)", "1-left-relu", 32),
    "relu-large": Panel("ReLU MLP (B=1024)", "1-left-relu", 1024, 7.6e6 / 1024),
    "relu-middle": Panel("ReLU MLP (B=256)", "1-left-relu", 256),
    "power": Panel(r"$x^k$ MLP", "1-left-power", 32),
    "zigzag": Panel("width-1 zigzag", "1-left-zigzag", 32),
    "sinusoid": Panel("width-1 sin(w·x+b)", "1-left-sinusoid", 32),
    "transformer": Panel("Transformer", "1-left-transformer", 32, 2.4e4 / 32),
    "polynet": Panel(r"PolyNet $\prod(w_i\cdot x+b)$", "1-left-polynet", 32, 8.0e3 / 32),
}
_RUN: dict[Scale, tuple[str, ...]] = {
    "smoke": ("power", "polynet"),
    "laptop": tuple(name for name in PANELS if name != "transformer"),
    "paper": tuple(PANELS),
}
_CHOICES = (
    "(50, 3), 5 runs each, B=1024 of one ReLU panel and Adam at 0.0003 with B=32 of the Transformer are the paper's",
    "ReLU: eta=0.1, and B=32 or 256 in panels whose B could not be read; others: eta, loss and initialization as in "
    "Figure 1 (right), the zigzag as the sinusoid",
    "solved: the rule of Finding 1, at least 20 % of the runs",
    "evaluated every 10 steps; ended after 20,000 steps; the Transformer runs at the paper's scale only",
)


def _where(panel: Panel) -> dict[str, Any]:
    return {"config": panel.config, "batch_size": panel.batch_size}


def plan(scale: Scale) -> Plan:
    """Five runs of each panel, with their curves."""
    panels = [PANELS[name] for name in _RUN[scale]]
    cells = [{"config": f"{panel.config}.yaml", "data.batch_size": panel.batch_size} for panel in panels]
    trials = 2 if scale == "smoke" else 5
    return Plan(cells, trials, trials)


def claims(runs: Runs) -> list[Claim]:
    """For each panel: its runs are solved, after a plateau, and when, where the paper's runs could be read."""
    return [claim for name, panel in PANELS.items() for claim in _of_panel(name, panel, runs)]


def _of_panel(name: str, panel: Panel, runs: Runs) -> list[Claim]:
    learns = Statement(f"{name}-learns", f"{name}: share of runs solved", _SECTION, _QUOTE, "all")
    waits = Statement(f"{name}-plateau", f"{name}: median share of t_c on the plateau", "Section 3.1", _PLATEAU, "long")
    if not runs.places(**_where(panel)):
        return [Claim.not_attempted(each, "runs at a larger scale") for each in (learns, waits)]
    times = runs.times(**_where(panel))
    solved = np.isfinite(times)
    shares = (runs.column("onset", **_where(panel)) / times)[solved]
    found = Estimate("none solved", n=len(times), censored=len(times))
    if len(shares):
        found = Estimate(*quantile_of(shares), n=len(times), censored=len(times) - len(shares))
    made = [
        Claim.at_least(learns, share_estimate(int(solved.sum()), len(times), censored=True), RULE_SHARE),
        # Of x^k the paper says that there is none, in large batches.
        Claim.reported(waits, found) if name == "power" else Claim.at_least(waits, found, 0.5, support="estimate"),
    ]
    if panel.published is not None:
        what = f"{name}; examples over B in the paper"
        made.append(published_claim(f"{name}-time", what, _SECTION, _QUOTE, panel.published, times))
    return made


def draw(runs: Runs, figure: Figure) -> None:
    """Draws validation errors against examples, a panel for each network."""
    panels = figure.subplots(2, 4, sharey=True).flat
    for number, (axes, panel) in enumerate(zip(panels, PANELS.values(), strict=True)):
        axes.set_title(panel.title)
        axes.axhline(0.5, color=GRAY, linewidth=0.8, linestyle=":")
        axes.set(ylim=(-0.02, 0.55))
        places = runs.places(**_where(panel))
        if not places:
            axes.text(0.5, 0.5, "not run at this scale", ha="center", transform=axes.transAxes)
            axes.set_xticks([])
            continue
        for curve in runs.curves[places[0]]:
            examples = curve["step"] * panel.batch_size
            axes.plot(examples, 1 - curve["val/accuracy"], color=color_of(number), linewidth=1)
        axes.set_xlim(left=0)
        axes.xaxis.set_major_formatter(lambda count, _: f"{count / 1e6:g}M" if count >= 1e6 else f"{count / 1000:g}k")
    for axes in figure.axes[::4]:
        axes.set_ylabel("validation error")
    for axes in figure.axes[4:]:
        axes.set_xlabel("# online training examples")


FIGURE = PaperFigure("Training curves of eight networks", plan, claims, draw, _CHOICES, (13.0, 6.0))
