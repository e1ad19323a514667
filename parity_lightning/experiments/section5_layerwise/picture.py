"""The picture: the accuracy of each trial along training."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.figure import Figure

from parity_lightning.display.style import GRAY, color_of, legend
from parity_lightning.experiments.section5_layerwise.rows import Point


def draw_picture(curves: Sequence[Point], figure: Figure) -> None:
    """Draws the accuracy of each trial against the steps, a panel for each depth.

    Args:
        curves: The accuracies.
        figure: An empty figure.
    """
    depths = sorted({point.depth for point in curves})
    panels = figure.subplots(1, len(depths), sharey=True, squeeze=False)[0]
    for axes, depth in zip(panels, depths, strict=True):
        axes.set(xlabel="SGD steps")
        axes.set_title(f"L={depth}, quadratic activations")
        points = [point for point in curves if point.depth == depth]
        for number, line in enumerate(dict.fromkeys((point.trained, point.layer, point.k) for point in points)):
            own = [point for point in points if (point.trained, point.layer, point.k) == line]
            for trial in sorted({point.trial for point in own}):
                mine = [point for point in own if point.trial == trial]
                label = f"{line[0]}, layer {line[1]}, k={line[2]}" if trial == 0 else None
                steps, found = [point.step for point in mine], [point.accuracy for point in mine]
                axes.plot(steps, found, color=color_of(number), alpha=0.7, linewidth=1, label=label)
        axes.axhline(0.5, color=GRAY, linewidth=0.8, linestyle="--", label="trivial accuracy")
        legend(axes, columns=2)
    panels[0].set_ylabel("accuracy on all inputs, each trial")
