"""A figure of the paper: what to run at each scale, what is claimed, how it looks."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from parity_lightning.experiments.findings import Row
from parity_lightning.figures.runs import Runs
from parity_lightning.figures.scales import Scale
from parity_lightning.studies.cells import Cell
from parity_lightning.studies.claims import Claim


@dataclass(frozen=True)
class Plan:
    """What a figure runs at a scale.

    Attributes:
        cells: Values of options of ``fit`` by option, of each setting; ``config`` is a file below ``configs/figures``,
            or with its folder below ``configs``.
        trials: How many trials of each setting. Trial j is the run of ``fit`` with ``seed_everything`` S+j.
        curves: Of how many of these trials, the first ones, a whole run is made, whose curves are kept.
        decided_at: End a setting early once so many of its trials are solved, or once so many no longer can be.
    """

    cells: Sequence[Cell]
    trials: int
    curves: int = 0
    decided_at: int | None = None


def no_more(runs: Runs) -> Sequence[Cell]:
    """No settings beside those of the plan."""
    return ()


@dataclass(frozen=True)
class PaperFigure:
    """A figure of the paper.

    Attributes:
        title: What it shows, in a line.
        plan: What to run at a scale.
        claims: What is claimed, decided by what came of the runs; the rules do not depend on that.
        draw: Draws the picture into an empty figure, as the paper's looks.
        choices: Settings that the paper does not state: ours.
        size: Width and height of the picture in inches.
        then: Settings to run beside those that have been run, decided by what came of these; none at the end. It is
            asked again and again until there are none, and must not depend on anything else.
        tables: Tables to write, by the names of their files; that of the name ``data`` is printed.
        notes: What was found beside, in sentences.
    """

    title: str
    plan: Callable[[Scale], Plan]
    claims: Callable[[Runs], list[Claim]]
    draw: Callable[[Runs, Figure], None]
    choices: Sequence[str]
    size: tuple[float, float] = (8.0, 5.0)
    then: Callable[[Runs], Sequence[Cell]] = no_more
    tables: Callable[[Runs], Mapping[str, Sequence[Row]]] = lambda runs: {"data": runs.rows()}
    notes: Callable[[Runs], Sequence[str]] = lambda runs: ()


def say_not_run(axes: Axes) -> None:
    """Says in an empty panel that its runs belong to a larger scale."""
    axes.text(0.5, 0.5, "not run at this scale", ha="center", transform=axes.transAxes)
