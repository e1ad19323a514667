"""Figure 16 of the extended version: parities are learned from labels of which up to 49 % are flipped."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure

from parity_lightning.display.style import GRAY, color_of, legend
from parity_lightning.figures.figure import PaperFigure, Plan
from parity_lightning.figures.runs import Runs
from parity_lightning.figures.scales import Scale
from parity_lightning.studies.cells import Cell
from parity_lightning.studies.claims import Claim, Estimate, Statement

_SECTION = "Figure 16 of the extended version"
_CHOICES = (
    "width-100 ReLU MLP on (50, 3), eta=0.1 and 5 seeds are the paper's; hinge loss, uniform initialization, the "
    "probabilities and batch sizes ours",
    "accuracy on 1,024 held-out examples with true labels after the last step, or 1 where a trial was solved; the last "
    "step is 100,000, at 49 % a million: after 100,000, our first choice, nothing had been learned",
)
_RUN: dict[Scale, tuple[tuple[float, ...], tuple[int, ...]]] = {
    "smoke": ((0.1, 0.2), (32,)),
    "laptop": ((0.1, 0.2, 0.3, 0.4, 0.45, 0.49), (32, 256)),
    "paper": ((0.1, 0.2, 0.3, 0.4, 0.45, 0.49), (32, 256, 1_024)),
}


def plan(scale: Scale) -> Plan:
    """The probabilities of a flip by the batch sizes."""
    noises, batches = _RUN[scale]
    return Plan([_cell(p, b) for b in batches for p in noises], 5)


def _cell(p: float, b: int) -> Cell:
    limit = 1_000_000 if p > 0.45 else 100_000
    return {"config": "16.yaml", "data.batch_size": b, "data.label_noise": p, "trainer.max_steps": limit}


def claims(runs: Runs) -> list[Claim]:
    """For each probability: the accuracy reached at the best batch size is far from one half."""
    made = []
    for p in _RUN["paper"][0]:
        text = f"labels flipped with probability {p:g}: accuracy at the best batch size, trials from lowest to highest"
        statement = Statement(f"p{round(100 * p)}", text, _SECTION, "", "learned")
        batches = runs.values_of("batch_size", label_noise=p)
        if not batches:
            made.append(Claim.not_attempted(statement, "runs at the scales laptop and paper"))
            continue
        reached = [runs.column("val_accuracy", label_noise=p, batch_size=b) for b in batches]
        best = max(reached, key=np.median)
        found = Estimate(float(np.median(best)), float(best.min()), float(best.max()), n=len(best))
        made.append(Claim.at_least(statement, found, 0.9, support="estimate", tolerance=0.1))
    return made


def draw(runs: Runs, figure: Figure) -> None:
    """Draws the accuracy that each trial has in the end, and when it was solved."""
    accuracy, times = figure.subplots(1, 2)
    accuracy.axhline(0.5, color=GRAY, linewidth=0.8, linestyle=":")
    for number, b in enumerate(runs.values_of("batch_size")):
        color = color_of(number)
        noises = np.array(runs.values_of("label_noise", batch_size=b))
        reached = np.stack([runs.column("val_accuracy", batch_size=b, label_noise=p) for p in noises])
        # Side by side, so that batch sizes do not cover each other.
        x = noises + 0.004 * (number - 1)
        accuracy.plot(x, reached, "o", color=color, markersize=4, alpha=0.6)
        accuracy.plot(x, np.median(reached, 1), color=color, label=f"B={b:,}")
        limits = np.array([runs.limit(batch_size=b, label_noise=p) for p in noises])
        solved = np.stack([runs.times(batch_size=b, label_noise=p) for p in noises])
        for trial in solved.T:
            done = np.isfinite(trial)
            times.plot(x[done], trial[done], "o", color=color, markersize=4, alpha=0.6)
            times.plot(x[~done], limits[~done], "^", color=color, fillstyle="none")
    accuracy.set_title("Accuracy on true labels, in the end")
    accuracy.set(xlabel="probability that a label is flipped", ylabel="accuracy", ylim=(0.45, 1.02))
    times.set_title("t_c of each trial (triangles: not solved)")
    times.set(xlabel="probability that a label is flipped", ylabel="SGD iterations", yscale="log")
    legend(accuracy)


FIGURE = PaperFigure("Noisy labels", plan, claims, draw, _CHOICES, (10.0, 4.5))
