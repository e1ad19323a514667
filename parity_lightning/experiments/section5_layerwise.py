"""Greedy layers learn nothing where end-to-end training learns all (Section 5, Appendix C.7)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
import torch
from matplotlib.figure import Figure
from scipy import stats
from torch import Tensor

from parity_lightning.data.sparse_parity import SparseParity
from parity_lightning.errors import SettingError, check_int
from parity_lightning.experiments.findings import Claim, Findings
from parity_lightning.statistics.survival import Share, share_of
from parity_lightning.theory.layerwise import (
    Layer,
    accuracy,
    diverged,
    draw_layers,
    hidden_units,
    label_gradient,
    labels,
    outputs,
)

_BATCH, _EVERY = 64, 250


class _Task(NamedTuple):
    widths: tuple[int, ...]
    k: int
    lr: float
    steps: int

    @property
    def depth(self) -> int:
        return len(self.widths) + 1


def run(
    n: int = 10,
    depths: tuple[int, ...] = (3, 4),
    trials: int = 10,
    steps: int = 0,
    greedy_steps: int = 5000,
    seed: int = 0,
) -> Findings:
    """Trains networks of quadratic activations whole, and a layer at a time with a linear readout of its own.

    L affine layers are a polynomial of degree 2^(L-1), and can be a parity of so many bits. Each of the hidden layers
    before the last is, with a readout, of a lower degree, so its gradient has nothing of the labels: exactly zero, by
    enumeration of all 2^n inputs. The last hidden layer is of degree 2^(L-1), but gets what untaught layers pass on.

    Args:
        n: Number of inputs, few enough to enumerate them all.
        depths: Numbers L of affine layers: 3 (widths 2 and 1, k=4) and 4 (widths 10, 10 and 1, k=8), as in the paper.
        trials: How many supports and networks.
        steps: For how many steps to train whole networks at most; the paper's, 20,000 and 50,000, if 0.
        greedy_steps: For how many steps to train each layer alone.
        seed: Of the first trial.
    """
    known = {3: _Task((2, 1), 4, 0.03, 20_000), 4: _Task((10, 10, 1), 8, 0.001, 50_000)}
    for depth in depths:
        if depth not in known:
            raise SettingError("depths", depth, "must be 3 or 4")
    check_int("n", n, at_least=max(known[depth].k for depth in depths), at_most=14)
    check_int("trials", trials, at_least=1)
    check_int("steps", steps, at_least=0)
    check_int("greedy_steps", greedy_steps, at_least=1)
    check_int("seed", seed, at_least=0)
    rows: list[dict[str, Any]] = []
    curves: list[dict[str, Any]] = []
    for depth in depths:
        task = known[depth]._replace(steps=steps or known[depth].steps)
        jobs = [("end to end", task), *(("greedy", task) for _ in task.widths)]
        if depth == 3:
            jobs.append(("end to end", task._replace(k=5)))  # more bits than degrees, as a control
        greedy: list[Layer] = []
        for place, (how, job) in enumerate(jobs):
            if how == "greedy":
                rows.append(_train(job, n, trials, greedy_steps, seed, curves, place - 1, greedy))
            elif n >= job.k:
                rows.append(_train(job, n, trials, greedy_steps, seed, curves, None, []))
    choices = [
        f"n={n}; hinge loss, fresh batches of {_BATCH}; eta 0.03 at L=3 and 0.001 at L=4; Xavier's uniform law",
        "at L=4, eta 0.003 made 2 of 10 trials diverge and 0.002 1 of 20, which is why it is smaller",
        "greedy: layer after layer, each with a new linear readout of its own; those before it stay as they were",
        f"greedy layers: {greedy_steps:,} steps each (tried at L=4: 50,000 solve none either, mean accuracy 0.502)",
        f"solved: right on all {2**n:,} inputs, looked at every {_EVERY} steps and at the last; diverged trials count "
        "as unsolved, but not into the mean accuracy",
        f"claims of one kind: 95 % intervals for the {len(depths)} depths together",
        "the last hidden layer alone is of degree 2^(L-1), as the network is; how the paper trains it we do not know: "
        "its gradient is zero only if the layers below pass on nothing",
        "the hinge loss has the gradient of -E[y f] only while y f < 1: later a single layer of gradient zero may be "
        "right on more than half for a while; mean and error: of the trials' last "
        "accuracies, with its standard error; best: of any trial at any look",
        "gradient: the largest entry of grad E[y f] over all 2^n inputs, at initialization for whole networks and, for "
        "greedy layers, before their training; the largest of all trials",
    ]
    return Findings(
        rows,
        _claims(rows, trials, {depth: steps == 0 or steps >= known[depth].steps for depth in depths}),
        lambda figure: _draw(figure, curves),
        choices,
        {"curves": curves},
    )


def _train(
    task: _Task,
    n: int,
    trials: int,
    greedy_steps: int,
    seed: int,
    curves: list[dict[str, Any]],
    alone: int | None,
    trained: list[Layer],
) -> dict[str, Any]:
    """Trains whole networks, or one hidden layer on top of ``trained``, to which it is added."""
    parities = SparseParity(n, task.k, seed=seed).with_seeds(range(seed, seed + trials))
    supports = torch.tensor([parity.support for parity in parities])
    whole, steps, name = (n, *task.widths, 1), task.steps, "all"
    if alone is not None:
        whole, steps, name = (*whole[alone : alone + 2], 1), greedy_steps, f"{alone + 1}/{len(task.widths)}"
    generator = torch.Generator().manual_seed(seed + (0 if alone is None else alone))
    layers = draw_layers(whole, trials, generator)
    numbers = range(len(trained), len(trained) + len(layers))
    gradients = [
        float(label_gradient([_only(layer, trial) for layer in trained + layers], parity.support, numbers))
        for trial, parity in enumerate(parities)
    ]
    # Layers below that diverged leave none.
    gradient = max((each for each in gradients if math.isfinite(each)), default=None)
    message = {"L": task.depth, "k": task.k, "trained": "whole" if alone is None else "greedy", "layer": name}
    solved = np.full(trials, np.inf)
    # Each layer of its own stretch of the stream, so that no example is seen twice.
    first = (alone or 0) * greedy_steps * _BATCH
    right, best = torch.zeros(trials), 0.0
    for step, following in pairwise([*range(0, steps, _EVERY), steps, steps]):
        right = accuracy([*trained, *layers], supports)
        best = max(best, float(right.max()))
        solved = np.where((right.numpy() == 1) & np.isinf(solved), step, solved)
        curves.extend(
            {**message, "step": step, "trial": trial, "accuracy": float(share)} for trial, share in enumerate(right)
        )
        if np.isfinite(solved).all():
            break
        if following > step:
            index = torch.arange(first + step * _BATCH, first + following * _BATCH)
            x = torch.stack([parity.draw(index)[0] for parity in parities])
            _steps(layers, hidden_units(trained, x), labels(x, supports), task.lr)
    lost = diverged([*trained, *layers])
    if alone is not None:
        trained.append(layers[0])
    share = share_of(int(np.isfinite(solved).sum()), trials)
    kept = right[~lost].double()
    mean = float(kept.mean()) if len(kept) else None
    error = float(kept.std() / math.sqrt(len(kept))) if len(kept) > 1 else None
    row = {**message, "gradient": gradient, "solved": share.value, "low": share.low, "high": share.high, "mean": mean}
    row |= {"error": error, "best": best, "diverged": int(lost.sum())}
    median = float(np.median(solved))
    return row | {"steps": round(median) if math.isfinite(median) else None}


def _only(layer: Layer, trial: int) -> Layer:
    return Layer(*(part[trial : trial + 1] for part in layer))


def _steps(layers: list[Layer], x: Tensor, y: Tensor, lr: float) -> None:
    """SGD on the hinge loss, a batch a step, in place; inputs of shape ``(networks, steps * batch, ins)``."""
    parts = [part.requires_grad_() for layer in layers for part in layer]
    for batch, target in zip(torch.split(x, _BATCH, 1), torch.split(y, _BATCH, 1), strict=True):
        loss = (1 - target * outputs(layers, batch)).clamp(min=0).mean(-1).sum()
        gradients = torch.autograd.grad(loss, parts)
        with torch.no_grad():
            torch._foreach_add_(parts, gradients, alpha=-lr)
    for part in parts:
        part.requires_grad_(False)


def _claims(rows: Sequence[dict[str, Any]], trials: int, enough: dict[int, bool]) -> list[Claim]:
    """The claims on each depth, and whether whole networks had the paper's steps there."""
    claims: list[Claim] = []
    level = 1 - 0.05 / len(enough)
    reached: dict[int, Share] = {}
    for row in rows:
        task, can = f"L={row['L']}, k={row['k']}", row["k"] <= 2 ** (row["L"] - 1)
        share = share_of(round(row["solved"] * trials), trials, level)
        if row["trained"] == "whole":
            message = f"Appendix C.7: end-to-end training {'reaches' if can else 'never reaches'} 100 %, {task}"
            paper = "10 of 10" if can else "none, for k > 2^(L-1)"
            if can:
                reached[row["L"]] = share
                # Less than all contradicts the paper's 10 of 10 where no share could have led to both.
                low = share_of(10, 10, level).low
                holds = True if share.value == 1 else False if enough[row["L"]] and share.high < low else None
            else:
                holds = False if share.value else True if enough[row["L"]] else None
            claims.append(Claim(message, paper, share.value, holds, share.low, share.high))
            continue
        place, last = row["layer"].split("/")
        # How the paper trains the last hidden layer is not known, and with untaught layers below it learns a little.
        holds = row["gradient"] < 1e-12 if place != last and row["gradient"] is not None else None
        message = f"Appendix C.7: alone, hidden layer {row['layer']} has a population gradient of zero, {task}"
        claims.append(Claim(message, 0.0, "all diverged" if row["gradient"] is None else row["gradient"], holds))
        if place == last:
            whole = reached[row["L"]]
            no_less = enough[row["L"]] and share.low > 0 and share.value >= whole.value
            holds = True if share.high < whole.low else False if no_less else None
            message = f"Section 5: greedy layers do not reach what the whole network does, {task} (share solved)"
            claims.append(Claim(message, 0.0, share.value, holds, share.low, share.high))
            claims.append(_trivial(row, trials, level, task))
    return claims


def _trivial(row: dict[str, Any], trials: int, level: float, task: str) -> Claim:
    """Of the trials that did not diverge, by Student's t."""
    message, kept = (
        f"Section 5: greedy layers cannot beat trivial accuracy, {task} (mean of trials)",
        trials - row["diverged"],
    )
    if kept < 2:
        return Claim(message, 0.5, "all diverged" if kept == 0 else row["mean"], None)
    reach = float(stats.t.ppf((1 + level) / 2, kept - 1)) * row["error"]
    low, high = row["mean"] - reach, row["mean"] + reach
    # Trials that agree to the last input have no spread to judge a difference by.
    holds = True if low <= 0.5 else False if reach > 0 else None
    return Claim(message, 0.5, row["mean"], holds, low, high)


def _draw(figure: Figure, curves: Sequence[dict[str, Any]]) -> None:
    depths = sorted({point["L"] for point in curves})
    for axes, depth in zip(np.atleast_1d(figure.subplots(1, len(depths), sharey=True)), depths, strict=True):
        lines = dict.fromkeys((point["trained"], point["layer"], point["k"]) for point in curves if point["L"] == depth)
        for number, line in enumerate(lines):
            own = [p for p in curves if p["L"] == depth and (p["trained"], p["layer"], p["k"]) == line]
            for trial in sorted({point["trial"] for point in own}):
                mine = [point for point in own if point["trial"] == trial]
                label = f"{line[0]}, layer {line[1]}, k={line[2]}" if trial == 0 else None
                where, found = [p["step"] for p in mine], [p["accuracy"] for p in mine]
                axes.plot(where, found, color=f"C{number}", alpha=0.7, linewidth=1, label=label)
        axes.set(xlabel="SGD steps", title=f"L={depth}, quadratic activations")
        axes.axhline(0.5, color="gray", linewidth=0.5, linestyle="--", label="trivial accuracy")
        axes.legend(fontsize=7)
    figure.axes[0].set_ylabel("accuracy on all inputs, each trial")
