"""Figures of training curves, a panel for each network: what is run, what is claimed, how it looks."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial
from typing import NamedTuple

import numpy as np
from matplotlib.figure import Figure

from parity_lightning.display.style import GRAY, color_of
from parity_lightning.experiments.estimates import share_estimate
from parity_lightning.figures.figure import PaperFigure, Plan, say_not_run
from parity_lightning.figures.medians import plateau_share_of, published_claim
from parity_lightning.figures.runs import Runs, short_values
from parity_lightning.figures.scales import SCALES, Scale
from parity_lightning.studies.cells import Cell
from parity_lightning.studies.claims import Claim, Statement
from parity_lightning.studies.results import RULE_SHARE

_RUNS: dict[Scale, int] = {"smoke": 2, "laptop": 5, "paper": 5}

_LEARNS = (
    "A variety of neural networks, with standard training and initialization, can solve the (n, k)-parity learning "
    "problem"
)

PLATEAU = "long durations of seemingly no progress, followed by periods of rapid decrease in the validation error"
"""What Section 3.1 says of training curves."""


class Panel(NamedTuple):
    """A panel of training curves.

    Attributes:
        name: What its claims are called after.
        title: What stands above it.
        cell: Its setting; ``data.batch_size`` among its values.
        published: The median of the paper's runs in steps, if it could be read.
        has_plateau: Whether the paper says that these curves begin with a plateau.
        scale: The smallest scale at which it is run.
    """

    name: str
    title: str
    cell: Cell
    published: float | None = None
    has_plateau: bool = True
    scale: Scale = "laptop"


def curves_figure(
    title: str,
    panels: Sequence[Panel],
    section: str,
    choices: Sequence[str],
    columns: int,
    size: tuple[float, float],
) -> PaperFigure:
    """A figure of training curves.

    Args:
        title: What it shows, in a line.
        panels: Its panels, row by row.
        section: What the paper calls it.
        choices: Settings that the paper does not state.
        columns: How many panels stand in a row.
        size: Width and height of the picture in inches.
    """
    return PaperFigure(
        title,
        partial(plan_of, panels),
        partial(claims_of, panels, section=section),
        partial(draw_panels, panels, columns),
        choices,
        size,
    )


def plan_of(panels: Sequence[Panel], scale: Scale) -> Plan:
    """Runs of each panel that this scale has, the paper's five or fewer, with their curves."""
    run = [panel.cell for panel in panels if SCALES.index(panel.scale) <= SCALES.index(scale)]
    return Plan(run, _RUNS[scale], _RUNS[scale])


def claims_of(panels: Sequence[Panel], runs: Runs, section: str) -> list[Claim]:
    """For each panel: its runs are solved, after a plateau, and when, where the paper's runs could be read.

    Args:
        panels: The panels.
        runs: What came of them; a panel that was not run is not attempted.
        section: What the paper calls the figure.
    """
    return [claim for panel in panels for claim in _of_panel(panel, runs, section)]


def _of_panel(panel: Panel, runs: Runs, section: str) -> list[Claim]:
    name, values = panel.name, short_values(panel.cell)
    learns = Statement(f"{name}-learns", f"{name}: share of runs solved", section, _LEARNS, "all")
    waits = Statement(f"{name}-plateau", f"{name}: median share of t_c on the plateau", "Section 3.1", PLATEAU, "long")
    if not runs.places(**values):
        return [Claim.not_attempted(each, "runs at a larger scale") for each in (learns, waits)]
    times = runs.times(**values)
    found = plateau_share_of(runs.column("onset", **values), times)
    solved = int(np.isfinite(times).sum())
    made = [
        Claim.at_least(learns, share_estimate(solved, len(times), censored=True), RULE_SHARE),
        Claim.at_least(waits, found, 0.5, support="estimate") if panel.has_plateau else Claim.reported(waits, found),
    ]
    if panel.published is not None:
        what = f"{name}; examples over B in the paper"
        made.append(published_claim(f"{name}-time", what, section, _LEARNS, panel.published, times))
    return made


def draw_panels(panels: Sequence[Panel], columns: int, runs: Runs, figure: Figure) -> None:
    """Draws validation errors against examples, a panel for each network.

    Args:
        panels: The panels, row by row.
        columns: How many stand in a row.
        runs: What came of them.
        figure: An empty figure.
    """
    rows = math.ceil(len(panels) / columns)
    for number, (axes, panel) in enumerate(zip(figure.subplots(rows, columns, sharey=True).flat, panels, strict=False)):
        axes.set_title(panel.title)
        axes.axhline(0.5, color=GRAY, linewidth=0.8, linestyle=":")
        axes.set(ylim=(-0.02, 0.55))
        places = runs.places(**short_values(panel.cell))
        if not places:
            say_not_run(axes)
            axes.set_xticks([])
            continue
        for curve in runs.curves[places[0]]:
            examples = curve["step"] * panel.cell["data.batch_size"]
            axes.plot(examples, 1 - curve["val/accuracy"], color=color_of(number), linewidth=1)
        axes.set_xlim(left=0)
        axes.xaxis.set_major_formatter(lambda count, _: f"{count / 1e6:g}M" if count >= 1e6 else f"{count / 1000:g}k")
    for axes in figure.axes[len(panels) :]:
        axes.remove()
    for axes in figure.axes[::columns]:
        axes.set_ylabel("validation error")
    for axes in figure.axes[-columns:]:
        axes.set_xlabel("# online training examples")
