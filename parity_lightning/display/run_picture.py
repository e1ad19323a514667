"""Drawing the curves of a run."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

_RELEVANT, _IRRELEVANT = "#b5179e", "#8d99ae"
_TRAIN, _VALIDATION = "#e09f3e", "#1d3557"


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
    gap = curves.get("fourier_gap", [])
    heights = [2, 3, 3, 2] if _is_drawn(gap) else [2, 3, 3]
    figure = Figure(figsize=(8, sum(heights)), layout="constrained")
    FigureCanvasAgg(figure)
    figure.suptitle(title, fontsize=14)
    panels = figure.subplots(len(heights), 1, sharex=True, height_ratios=heights)
    loss, error, progress = panels[:3]

    _lines(loss, steps, curves, "loss")
    loss.set_title("What one sees: the loss ...", loc="left", fontsize=11)
    loss.set_ylabel("loss")

    _lines(error, steps, curves, "accuracy")
    error.axhline(0.5, color="0.6", linewidth=1, linestyle=":")
    error.set_title("... and the share of wrong labels (0.5 is guessing)", loc="left", fontsize=11)
    error.set_ylabel("error")
    error.set_ylim(-0.02, max(0.55, *error.get_ylim()))

    _hidden_progress(progress, steps, curves)
    if _is_drawn(gap):
        _fourier_gap(panels[3], steps, gap)
    panels[-1].set_xlabel("SGD steps")

    _mark(error, panels, onset, convergence_time)
    if len(steps) == 1:
        for line in (line for axes in panels for line in axes.lines):
            line.set_marker("o")
    if log_steps:
        progress.set_xscale("log")
    else:
        progress.set_xlim(0, 1.02 * max(steps))
    for axes in panels:
        axes.spines[["top", "right"]].set_visible(False)
        if axes.get_legend_handles_labels()[0]:
            axes.legend(frameon=False, fontsize=9, loc="best")
    figure.savefig(path, dpi=120)


def _is_drawn(curve: Sequence[float]) -> bool:
    return any(math.isfinite(value) for value in curve)


def _lines(axes: Axes, steps: Sequence[int], curves: Mapping[str, Sequence[float]], metric: str) -> None:
    named = ("train", "training batches", _TRAIN, 1.2), ("val", "validation examples", _VALIDATION, 2.0)
    for stage, label, color, width in named:
        curve = curves.get(f"{stage}/{metric}", [])
        if _is_drawn(curve):
            shown = [1 - value for value in curve] if metric == "accuracy" else curve
            axes.plot(steps, shown, color=color, linewidth=width, label=label)


def _hidden_progress(axes: Axes, steps: Sequence[int], curves: Mapping[str, Sequence[float]]) -> None:
    axes.set_title(
        "What is hidden: how far the first layer's weights have moved from where they began", loc="left", fontsize=11
    )
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


def _fourier_gap(axes: Axes, steps: Sequence[int], gap: Sequence[float]) -> None:
    axes.plot(steps, gap, color=_RELEVANT, linewidth=2)
    axes.axhline(0, color="0.6", linewidth=1, linestyle=":")
    axes.set_title("How well the gradient of one unit tells these inputs (above 0 it does)", loc="left", fontsize=11)
    axes.set_ylabel("Fourier gap")


def _mark(labelled: Axes, everywhere: Iterable[Axes], onset: int | None, convergence_time: int | None) -> None:
    for name, step, style in (("onset", onset, "--"), ("solved", convergence_time, "-")):
        if step is None:
            continue
        for axes in everywhere:
            label = f"{name}: step {step:,}" if axes is labelled else None
            axes.axvline(step, color="0.35", linewidth=1, linestyle=style, label=label)
