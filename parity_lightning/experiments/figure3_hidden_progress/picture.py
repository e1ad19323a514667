"""The picture: the measures along training, and when they give the alarm."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure

from parity_lightning.display.style import BLACK, BLUE, GRAY, GREEN, VERMILION, legend
from parity_lightning.experiments.figure3_hidden_progress.rows import Measured


def draw_picture(
    evaluated: np.ndarray,
    learning: Measured,
    control: Measured,
    alarm_steps: dict[str, np.ndarray],
    title: str,
    figure: Figure,
) -> None:
    """Draws the measures along training on the left, and the alarms and their lead on the right.

    Args:
        evaluated: The steps of the evaluations.
        learning: The measures of networks on parities.
        control: Those of networks on random labels.
        alarm_steps: By measure, the step of the alarm in each trial on a parity.
        title: What was trained.
        figure: An empty figure.
    """
    figure.suptitle(f"Hidden progress: {title}")
    grid = figure.add_gridspec(3, 2, width_ratios=[3, 2])
    titles = {
        "accuracy": "Validation accuracy",
        "movement": r"Hidden progress: $\|w_t - w_0\|_\infty$",
        "gap": "The largest Fourier gap of a unit",
    }
    panels = [figure.add_subplot(grid[number, 0]) for number in range(3)]
    for axes, (name, what) in zip(panels, titles.items(), strict=True):
        axes.sharex(panels[0])
        for own, label, color in ((control, "random labels", GRAY), (learning, "parity", VERMILION)):
            values = getattr(own, name)
            axes.plot(evaluated, values[1:20].T, color=color, linewidth=0.4, alpha=0.4)
            axes.plot(evaluated, values[0], color=color, linewidth=2, label=label)
        axes.set_title(what)
    legend(panels[0])
    panels[2].axhline(0, color=GRAY, linewidth=1, linestyle=":")
    panels[2].set_xlabel("SGD steps (one run thick, others thin)")
    first = figure.add_subplot(grid[:2, 1])
    bins = [float(edge) for edge in np.linspace(0, evaluated[-1], 51)]
    for name, color in (("movement", VERMILION), ("accuracy", BLUE)):
        given = alarm_steps[name][np.isfinite(alarm_steps[name])]
        first.hist(given, bins, color=color, alpha=0.7, label=f"{name}: {len(given)} of {len(alarm_steps[name])}")
    first.set_title("First alarm on a parity")
    first.set(xlabel="SGD steps", ylabel="trials")
    legend(first)
    both = np.isfinite(alarm_steps["accuracy"]) & np.isfinite(alarm_steps["movement"])
    lead = figure.add_subplot(grid[2, 1])
    lead.hist(alarm_steps["accuracy"][both] - alarm_steps["movement"][both], 40, color=GREEN)
    lead.axvline(0, color=BLACK, linewidth=1)
    lead.set_title("Lead of weight movement over accuracy")
    lead.set(xlabel="SGD steps", ylabel="trials")
