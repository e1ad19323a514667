"""Figure 3: the weights of a sinusoidal neuron and hidden progress, while loss and accuracy stand still."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from parity_lightning.display.style import legend_below
from parity_lightning.experiments.estimates import share_estimate
from parity_lightning.figures.figure import PaperFigure, Plan, say_not_run
from parity_lightning.figures.runs import Curve, Runs
from parity_lightning.figures.scales import Scale
from parity_lightning.figures.trajectories import (
    FAILED,
    LATE,
    LATE_FAILED,
    OFF_CHANCE,
    departures,
    draw_loss,
    draw_progress,
    draw_weights,
    first_that_learns,
    median_of_all,
    share_of_all,
    shown_until,
)
from parity_lightning.studies.cells import Cell
from parity_lightning.studies.claims import Claim, Statement

_PLATEAU = (
    "Figure 3 (left, center)",
    "Black-box losses and accuracies exhibit a long plateau and sharp phase transition (top), hiding gradual progress "
    "in the SGD iterates (bottom).",
)
_HIDDEN = (
    "Section 5",
    "Figure 3 shows how gradual weight movement (and thus, progress) can be hidden behind plateauing losses.",
)
_TOLD_APART = (
    "Figure 3 (right)",
    "A hidden progress measure which distinguishes gradual feature amplification (top) from training on noise "
    "(bottom).",
)
_TRUE, _RANDOM = 0.0, 0.5
"""The share of labels that are flipped: none, or half of them, so that labels are random."""
_SETTINGS = {32: (0.03, 5_000, 10), 1024: (0.01, 10_000, 20)}
"""Learning rate, number of steps and steps between evaluations, by batch size."""
_RHO = "hidden_progress"
_CHOICES = (
    "sin(w·x+b) with a trained bias and u = 1, and B=1,024 of the right panels are the paper's; (50, 3), hinge loss "
    "and the uniform initialization ours, as in Figure 1 (left)",
    "B=32 with eta=0.03, B=1,024 with eta=0.01: of 0.1, 0.03 and 0.01 those whose median t_c lies nearest to where the "
    "paper's axes end, at 1,200 and 3,000 steps; ended after 5,000 and 10,000 steps",
    "random labels: each is flipped with probability 1/2; accuracy is that on true labels",
    f"leaving chance: the first evaluation with an accuracy of at least {OFF_CHANCE:g} on 1,024 examples; half-way: "
    "the first from half of these steps on",
    "runs that never leave chance, and for the plateau those that are not solved, count as failed: in shares, and in "
    "medians as minus infinity; that they do in medians was fixed after a first look, at which they were left out",
    "fixed after a first look: rho is compared with that of the run of the same seed on random labels, at the same "
    "evaluation; before it was compared with the most of all runs on random labels, for which no interval is right",
    "bounds of ours, where the paper has words: the loss is flat from 90 % of its first value on; progress is gradual "
    "if a quarter of that at leaving chance is there half-way",
    "drawn: the first run that leaves chance, and the run of the same seed on random labels",
)


def _cell(batch_size: int, label_noise: float) -> Cell:
    lr, steps, every = _SETTINGS[batch_size]
    cell: dict[str, Any] = {"config": "3.yaml", "data.batch_size": batch_size, "data.label_noise": label_noise}
    return {**cell, "model.optimizer.lr": lr, "trainer.max_steps": steps, "trainer.val_check_interval": every}


def plan(scale: Scale) -> Plan:
    """Both batch sizes with true and with random labels; smoke the small one."""
    sizes = [32] if scale == "smoke" else list(_SETTINGS)
    count = {"smoke": 2, "laptop": 20, "paper": 100}[scale]
    return Plan([_cell(size, labels) for size in sizes for labels in (_TRUE, _RANDOM)], count, count)


def _curves(runs: Runs, batch_size: int, label_noise: float) -> Sequence[Curve]:
    (place,) = runs.places(batch_size=batch_size, label_noise=label_noise)
    return runs.curves[place]


def claims(runs: Runs) -> list[Claim]:
    """For each batch size: a plateau, on which weights move, and further than on random labels."""
    return [claim for size in _SETTINGS for claim in _of_batch(size, runs)]


def _of_batch(size: int, runs: Runs) -> list[Claim]:
    def statement(name: str, text: str, said: tuple[str, str], paper: str) -> Statement:
        return Statement(f"b{size}-{name}", f"B = {size:,}: {text}", *said, paper)

    plateau = statement("plateau", "median share of t_c on the plateau", _PLATEAU, "long")
    flat = statement("flat", "half-way to leaving chance, median training loss over the first", _HIDDEN, "plateau")
    moved = statement("moved", "half-way, median rho over that at leaving chance", _HIDDEN, "gradual")
    above = f"share of runs with rho above that of the run of their seed on noise {LATE}"
    leaving = statement("leaving", f"leaving chance, {above}", _TOLD_APART, "all")
    half_way = statement("half-way", f"half-way, {above}", _TOLD_APART, "all")
    noise = statement("noise", "share of runs on random labels that leave chance", _TOLD_APART, "none")
    if not runs.places(batch_size=size):
        statements = (plateau, flat, moved, leaving, half_way, noise)
        return [Claim.not_attempted(each, "runs at the scales laptop and paper") for each in statements]
    where = {"batch_size": size, "label_noise": _TRUE}
    learning, random = _curves(runs, size, _TRUE), _curves(runs, size, _RANDOM)
    left, count = departures(learning), len(learning)
    plateaus = runs.column("onset", **where) / runs.times(**where)
    losses = [each.curve["train/loss"][each.half] / each.curve["train/loss"][0] for each in left]
    moves = [each.curve[_RHO][each.half] / each.curve[_RHO][each.end] for each in left]
    at_end = [each.curve[_RHO][each.end] > _progress(random[each.run], each.end) for each in left]
    at_half = [each.curve[_RHO][each.half] > _progress(random[each.run], each.half) for each in left]
    solved = plateaus[np.isfinite(runs.times(**where))].tolist()
    return [
        Claim.at_least(
            plateau,
            median_of_all(solved, count),
            0.5,
            caveat="unsolved runs count as failed (fixed after a first look)",
        ),
        Claim.at_least(flat, median_of_all(losses, count), 0.9, caveat=LATE_FAILED),
        Claim.at_least(moved, median_of_all(moves, count), 0.25, caveat=LATE_FAILED),
        Claim.at_least(leaving, share_of_all(at_end, count), 0.5, caveat=FAILED, tolerance=0.5),
        Claim.at_least(half_way, share_of_all(at_half, count), 0.5, caveat=FAILED, tolerance=0.5),
        Claim.at_most(noise, share_estimate(len(departures(random)), len(random)), 0.2, tolerance=0.2),
    ]


def _progress(curve: Curve, at: int) -> float:
    """The hidden progress of a run at an evaluation; at its end if it ended before."""
    return float(curve[_RHO][: at + 1][-1])


def draw(runs: Runs, figure: Figure) -> None:
    """Draws loss above weights for each batch size, and on the right hidden progress on true and on random labels."""
    panels = figure.subplots(2, len(_SETTINGS) + 1)
    for column, size in zip(panels.T, _SETTINGS, strict=False):
        title = f"{'small' if size == min(_SETTINGS) else 'large'} batch, B = {size:,}"
        column[0].set_title(f"sin(w·x+b), {title}")
        column[1].set_title("weights")
        if not runs.places(batch_size=size):
            for axes in column:
                say_not_run(axes)
                axes.set(xticks=[], yticks=[])
            continue
        curves = _curves(runs, size, _TRUE)
        curve = curves[first_that_learns(curves)]
        draw_loss(column[0], curve)
        draw_weights(column[1], curve)
        for axes in column:
            axes.set_xlim(0, shown_until(curve))
    _draw_apart(runs, panels[:, -1])
    panels[0, 0].set_ylabel("loss/error")
    panels[1, 0].set_ylabel("weights")
    for axes in panels[1]:
        axes.set_xlabel("SGD iterations")
    legend_below(figure, columns=6)


def _draw_apart(runs: Runs, panels: Sequence[Axes]) -> None:
    """Draws loss and hidden progress, on true labels above and on random ones below, on the same scales."""
    size = runs.values_of("batch_size")[-1]
    learning = _curves(runs, size, _TRUE)
    number = first_that_learns(learning)
    end = shown_until(learning[number])
    top = 1.1 * float(learning[number][_RHO].max())
    for axes, labels, title in zip(panels, (_TRUE, _RANDOM), ("parity", "noise"), strict=True):
        axes.set_title(f"hidden progress, B = {size:,}: {title}")
        draw_loss(axes, _curves(runs, size, labels)[number])
        draw_progress(axes, _curves(runs, size, labels)[number], top)
        axes.set_xlim(0, end)


FIGURE = PaperFigure("Hidden progress of a sinusoidal neuron", plan, claims, draw, _CHOICES, (14.0, 6.5))
