"""The picture of a run: the curves of its metrics over SGD steps."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from parity_lightning.display.style import BLUE, GRAY, ORANGE, VERMILION, draw_to, legend

_RELEVANT, _IRRELEVANT = VERMILION, GRAY
_STAGES = (("train", "training batches", ORANGE, 1.2), ("val", "validation examples", BLUE, 2.0))


def draw_run(
    path: Path,
    steps: Sequence[int],
    curves: Mapping[str, Sequence[float]],
    title: str,
    onset: int | None = None,
    convergence_time: int | None = None,
    log_steps: bool = False,
) -> None:
    """Draws losses, errors, hidden progress and the Fourier gap of a run, one above the other, into a PNG file.

    Args:
        path: The file.
        steps: The evaluated steps.
        curves: Metrics at those steps, by the names under which they are logged; NaN where there is none.
        title: What was run.
        onset: The step at which the run left its plateau, if it is known.
        convergence_time: The step at which the run solved the parity, if it did.
        log_steps: Whether steps are drawn on a logarithmic axis.
    """
    heights = [2.4, 3.2, 3.2, 2.4] if _is_drawn(curves.get("fourier_gap", [])) else [2.4, 3.2, 3.2]

    def draw(figure: Figure) -> None:
        panels = figure.subplots(len(heights), 1, sharex=True, height_ratios=heights)
        figure.suptitle(title)
        _draw_panels(panels, steps, curves)
        for axes in panels:
            _mark(axes, onset, convergence_time)
            legend(axes, columns=4)
            if len(steps) == 1:
                for line in axes.lines:
                    line.set_marker("o")
        panels[-1].set_xlabel("SGD steps")
        if log_steps:
            panels[-1].set_xscale("log")
        else:
            panels[-1].set_xlim(0, 1.02 * max(steps))

    draw_to(path, draw, (8, sum(heights)))


def _is_drawn(curve: Sequence[float]) -> bool:
    return any(math.isfinite(value) for value in curve)


def _draw_panels(panels: Sequence[Axes], steps: Sequence[int], curves: Mapping[str, Sequence[float]]) -> None:
    loss, error, progress, *more = panels
    loss.set_title("Loss")
    loss.set_ylabel("loss")
    _stages(loss, steps, curves, "loss")
    error.set_title("Error: the share of wrong labels (0.5 is guessing)")
    error.set_ylabel("error")
    error.axhline(0.5, color=GRAY, linewidth=1, linestyle=":")
    _stages(error, steps, curves, "accuracy")
    error.set_ylim(-0.02, max(0.55, *error.get_ylim()))
    _hidden_progress(progress, steps, curves)
    for axes in more:
        axes.set_title("Fourier gap: above 0, the gradient of one unit tells the inputs the label depends on")
        axes.set_ylabel("Fourier gap")
        axes.plot(steps, curves["fourier_gap"], color=_RELEVANT, linewidth=2)
        axes.axhline(0, color=GRAY, linewidth=1, linestyle=":")


def _stages(axes: Axes, steps: Sequence[int], curves: Mapping[str, Sequence[float]], metric: str) -> None:
    for stage, label, color, width in _STAGES:
        curve = curves.get(f"{stage}/{metric}", [])
        if _is_drawn(curve):
            shown = [1 - value for value in curve] if metric == "accuracy" else curve
            axes.plot(steps, shown, color=color, linewidth=width, label=label)


def _hidden_progress(axes: Axes, steps: Sequence[int], curves: Mapping[str, Sequence[float]]) -> None:
    axes.set_title("Hidden progress: how far the first layer's weights have moved")
    axes.set_ylabel(r"largest $|w_t - w_0|$")
    strongest, weakest, irrelevant = (
        curves.get(f"hidden_progress/{name}", []) for name in ("relevant", "relevant_min", "irrelevant")
    )
    if not _is_drawn(strongest):
        axes.text(0.5, 0.5, "not measured (add the callback HiddenProgress)", ha="center", transform=axes.transAxes)
        return
    axes.plot(steps, strongest, color=_RELEVANT, linewidth=2, label="inputs the label depends on, strongest")
    axes.plot(steps, weakest, color=_RELEVANT, linewidth=1, linestyle="--", label="... and weakest")
    axes.fill_between(steps, weakest, strongest, color=_RELEVANT, alpha=0.15, linewidth=0)
    axes.plot(steps, irrelevant, color=_IRRELEVANT, linewidth=2, label="all other inputs, strongest")
    if any(value > 0 for value in strongest):
        # What grows by a little on the plateau and by a lot after it is seen on a logarithmic axis only.
        axes.set_yscale("log")


def _mark(axes: Axes, onset: int | None, convergence_time: int | None) -> None:
    # The legend of the errors has the steps; the other panels have the lines only.
    labelled = axes.get_ylabel() == "error"
    for name, step, style in (("onset", onset, "--"), ("solved", convergence_time, "-")):
        if step is not None:
            label = f"{name}: step {step:,}" if labelled else None
            axes.axvline(step, color="0.35", linewidth=1, linestyle=style, label=label)
