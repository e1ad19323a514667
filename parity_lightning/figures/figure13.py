"""Figure 13 of the extended version: weights along training and hidden progress, by batch size."""

from __future__ import annotations

from typing import Any, NamedTuple

from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from parity_lightning.display.style import legend_below
from parity_lightning.figures.figure import PaperFigure, Plan, say_not_run
from parity_lightning.figures.runs import Runs
from parity_lightning.figures.scales import Scale
from parity_lightning.figures.trajectories import (
    LATE_FAILED,
    OFF_CHANCE,
    departures,
    draw_loss,
    draw_progress,
    draw_weights,
    first_that_learns,
    relevant_lead,
    share_of_all,
    shown_until,
)
from parity_lightning.studies.cells import Cell
from parity_lightning.studies.claims import Claim, Statement

_SECTION = "extended version, C.3"
_QUOTE = (
    "As seen in these plots, progress only becomes visible in the loss once the relevant weights become larger than "
    "all of the irrelevant weights."
)


class _Setting(NamedTuple):
    """A panel: the batch size, the learning rate, the number of steps, and the steps between evaluations."""

    batch_size: int
    lr: float
    steps: int
    every: int


_SETTINGS = {
    "13-sinusoid": (
        _Setting(1, 0.003, 20_000, 16),
        _Setting(4, 0.01, 8_000, 4),
        _Setting(32, 0.03, 4_000, 10),
        _Setting(1024, 0.03, 4_000, 10),
    ),
    "13-relu": (
        _Setting(1, 0.03, 30_000, 64),
        _Setting(4, 0.1, 15_000, 20),
        _Setting(32, 0.1, 8_000, 20),
        _Setting(1024, 0.1, 4_000, 20),
    ),
}
_NAMES = {"13-sinusoid": "sin(w·x+b)", "13-relu": "width-10 MLP"}
_CHOICES = (
    "sin(w·x+b) with a trained bias and u = 1, the MLP's width of 10, B=1 and 4 and the windows of 16 and 4 steps of "
    "the neuron's losses are the paper's; (30, 3), B=32 and 1,024, hinge loss and the uniform initialization ours",
    "neuron: eta=0.003, 0.01, 0.03 and 0.03 with B=1, 4, 32 and 1,024; MLP of ReLUs: eta=0.03 with B=1, 0.1 otherwise; "
    "its losses are means over 64 and 20 steps",
    "ended after 20,000, 8,000, 4,000 and 4,000 steps (MLP: 30,000, 15,000, 8,000 and 4,000)",
    f"accuracy leaves chance, progress is visible: the first evaluation with at least {OFF_CHANCE:g} on 1,024 "
    "examples; half-way: the first from half of these steps on",
    "runs that never leave chance count as failed; this was fixed after a first look, at which they were left out",
    "of the MLP: the relevant weights of one unit are larger, in size, than all irrelevant ones of that unit",
    "drawn: the first run that leaves chance; rho of the MLP is that of its whole first layer",
)


def _cell(config: str, setting: _Setting) -> Cell:
    cell: dict[str, Any] = {"config": f"{config}.yaml", "data.batch_size": setting.batch_size}
    steps = {"trainer.max_steps": setting.steps, "trainer.val_check_interval": setting.every}
    return {**cell, "model.optimizer.lr": setting.lr, **steps}


def plan(scale: Scale) -> Plan:
    """Both networks by all batch sizes; smoke the neuron with B = 32."""
    cells = [
        _cell(config, setting)
        for config, settings in _SETTINGS.items()
        for setting in settings
        if scale != "smoke" or (config, setting.batch_size) == ("13-sinusoid", 32)
    ]
    count = {"smoke": 2, "laptop": 10, "paper": 25}[scale]
    return Plan(cells, count, count)


def claims(runs: Runs) -> list[Claim]:
    """For each network and batch size: relevant weights are larger than all others once progress shows, not before."""
    return [
        claim
        for config, settings in _SETTINGS.items()
        for setting in settings
        for claim in _of_setting(runs, config, setting.batch_size)
    ]


def _of_setting(runs: Runs, config: str, batch_size: int) -> list[Claim]:
    def stated(name: str, text: str) -> Statement:
        what = f"{_NAMES[config]}, B = {batch_size:,}: share of runs whose relevant weights {text}"
        return Statement(f"{config.removeprefix('13-')}-b{batch_size}-{name}", what, _SECTION, _QUOTE, "all")

    then = stated("then", "are larger than all others when accuracy leaves chance")
    before = stated("before", "are not yet, half-way there")
    places = runs.places(config=config, batch_size=batch_size)
    if not places:
        return [Claim.not_attempted(each, "runs at the scales laptop and paper") for each in (then, before)]
    curves = runs.curves[places[0]]
    left = departures(curves)
    leads = [relevant_lead(each.curve)[[each.end, each.half]] for each in left]
    shares = (
        share_of_all([own[0] for own in leads], len(curves)),
        share_of_all([not own[1] for own in leads], len(curves)),
    )
    return [
        Claim.at_least(statement, share, 0.5, caveat=LATE_FAILED, tolerance=0.5)
        for statement, share in zip((then, before), shares, strict=True)
    ]


def draw(runs: Runs, figure: Figure) -> None:
    """Draws loss and hidden progress above the weights, a column for each batch size, the neuron above the MLP."""
    panels = figure.subplots(2 * len(_SETTINGS), len(_SETTINGS["13-relu"]))
    for (config, settings), pair in zip(_SETTINGS.items(), panels.reshape(2, 2, -1), strict=True):
        for setting, column in zip(settings, pair.T, strict=True):
            column[0].set_title(f"{_NAMES[config]}, B = {setting.batch_size:,}")
            column[1].set_title("weights" if config == "13-sinusoid" else "weights, a colour for each neuron")
            places = runs.places(config=config, batch_size=setting.batch_size)
            if not places:
                for axes in column:
                    say_not_run(axes)
                    axes.set(xticks=[], yticks=[])
                continue
            curves = runs.curves[places[0]]
            curve = curves[first_that_learns(curves)]
            draw_loss(column[0], curve)
            draw_progress(column[0], curve)
            draw_weights(column[1], curve)
            for axes in column:
                axes.set_xlim(0, shown_until(curve))
                axes.xaxis.set_major_locator(MaxNLocator(4))
        pair[0, 0].set_ylabel("loss/error")
    for axes in panels[-1]:
        axes.set_xlabel("SGD iterations")
    legend_below(figure, columns=6)


FIGURE = PaperFigure("Weight trajectories by batch size", plan, claims, draw, _CHOICES, (16.0, 11.0))
