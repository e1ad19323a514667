"""Greedy layers learn nothing where end-to-end training learns all (Section 5, Appendix C.7)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import Annotated, NamedTuple

import numpy as np
import torch
from matplotlib.figure import Figure
from scipy import stats

from parity_lightning.data.sparse_parity import SparseParity
from parity_lightning.display.style import GRAY, color_of, legend
from parity_lightning.engine.stack import Stack
from parity_lightning.engine.trainable import NetworkWithLoss
from parity_lightning.errors import SettingError
from parity_lightning.experiments.findings import Findings
from parity_lightning.experiments.options import BoundedOptions, Bounds, Count, Seed
from parity_lightning.experiments.training import train_online
from parity_lightning.optim.losses import find_loss
from parity_lightning.statistics.survival import Share, share_of
from parity_lightning.studies.claims import Claim, Estimate, Statement
from parity_lightning.theory.layerwise import (
    Layer,
    QuadraticNetwork,
    accuracy,
    diverged,
    draw_layers,
    label_gradient,
)

_BATCH, _EVERY = 64, 250
_WHOLE, _GREEDY = "whole", "greedy"
_ZERO = 1e-12
"""A gradient below is zero but for rounding."""

_SECTION, _APPENDIX = "Section 5", "Appendix C.7"
_COUNTEREXAMPLE = (
    'a simple counterexample to the "deep only works if shallow is good" principle of (48), demonstrating a case where '
    "a deep network can get near-perfect accuracy even when greedy layerwise training (e.g. (13)) cannot beat trivial "
    "performance"
)


class _Task(NamedTuple):
    widths: tuple[int, ...]
    k: int
    lr: float
    steps: int

    @property
    def depth(self) -> int:
        return len(self.widths) + 1


_TASKS = {3: _Task((2, 1), 4, 0.03, 20_000), 4: _Task((10, 10, 1), 8, 0.001, 50_000)}
"""By the number of affine layers: widths, k and steps as in the paper."""


@dataclass(frozen=True)
class Options(BoundedOptions):
    """Options of the experiment.

    Attributes:
        n: Number of inputs, few enough to enumerate them all.
        depths: Numbers L of affine layers: 3 (widths 2 and 1, k=4) and 4 (widths 10, 10 and 1, k=8), as in the paper.
        trials: How many supports and networks.
        steps: For how many steps to train whole networks at most; the paper's, 20,000 and 50,000, if 0.
        greedy_steps: For how many steps to train each layer alone.
        seed: Of the first trial.
    """

    n: Annotated[int, Bounds(at_least=4, at_most=14)] = 10
    depths: tuple[int, ...] = (3, 4)
    trials: Count = 10
    steps: Annotated[int, Bounds(at_least=0)] = 0
    greedy_steps: Count = 5000
    seed: Seed = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        for depth in self.depths:
            if depth not in _TASKS:
                raise SettingError("depths", depth, "must be 3 or 4")
            if self.n < _TASKS[depth].k:
                raise SettingError("n", self.n, f"must be at least {_TASKS[depth].k}, the bits of depth {depth}")

    def task(self, depth: int) -> _Task:
        """The task of a depth, with the steps that whole networks are trained for."""
        return _TASKS[depth]._replace(steps=self.steps or _TASKS[depth].steps)

    def has_papers_steps(self, depth: int) -> bool:
        """Whether whole networks are trained for as many steps as in the paper."""
        return self.steps == 0 or self.steps >= _TASKS[depth].steps


class Row(NamedTuple):
    """What became of whole networks, or of one layer trained alone.

    Attributes:
        depth: Number L of affine layers.
        k: Size of the support.
        trained: Whether networks were trained whole, or greedily.
        layer: Which hidden layer was trained, of how many; all if networks were trained whole.
        gradient: The largest entry of grad E[y f] over all inputs before training, of all trials.
        solved: The share of trials that were right on all inputs.
        low: The lower end of its interval.
        high: Its upper end.
        mean: The mean of the last accuracies of trials that did not diverge.
        error: Its standard error.
        best: The best accuracy of any trial at any time.
        diverged: How many trials diverged.
        steps: The median steps until trials were solved.
    """

    depth: int
    k: int
    trained: str
    layer: str
    gradient: float | None
    solved: float
    low: float
    high: float
    mean: float | None
    error: float | None
    best: float
    diverged: int
    steps: int | None

    @property
    def is_last_layer(self) -> bool:
        """Whether the last hidden layer was trained alone."""
        place, _, last = self.layer.partition("/")
        return place == last


class Point(NamedTuple):
    """The accuracy of a trial on all inputs after some steps."""

    depth: int
    k: int
    trained: str
    layer: str
    step: int
    trial: int
    accuracy: float


def run(options: Options) -> Findings:
    """Trains networks of quadratic activations whole, and a layer at a time with a linear readout of its own.

    L affine layers are a polynomial of degree 2^(L-1), and can be a parity of so many bits. Each of the hidden layers
    before the last is, with a readout, of a lower degree, so its gradient has nothing of the labels: exactly zero, by
    enumeration of all 2^n inputs. The last hidden layer is of degree 2^(L-1), but gets what untrained layers pass on.
    """
    rows: list[Row] = []
    curves: list[Point] = []
    for depth in options.depths:
        task = options.task(depth)
        rows.append(_train(task, options, curves))
        greedy: list[Layer] = []
        rows += [_train(task, options, curves, alone, greedy) for alone in range(len(task.widths))]
        if depth == 3 and options.n >= 5:
            # More bits than degrees, as a control.
            rows.append(_train(task._replace(k=5), options, curves))
    choices = [
        f"n={options.n}; hinge loss, fresh batches of {_BATCH}; eta 0.03 at L=3 and 0.001 at L=4; Xavier's uniform law",
        "at L=4, eta 0.003 made 2 of 10 trials diverge and 0.002 1 of 20, which is why it is smaller",
        "greedy: layer after layer, each with a new linear readout of its own; those before it stay as they were",
        f"greedy layers: {options.greedy_steps:,} steps each (tried at L=4: 50,000 solve none either, mean accuracy "
        "0.502)",
        f"solved: right on all {2**options.n:,} inputs, looked at every {_EVERY} steps and at the last; diverged "
        "trials count as unsolved, but not into the mean accuracy",
        f"claims of one kind: 95 % intervals for the {len(options.depths)} depths together",
        "the last hidden layer alone is of degree 2^(L-1), as the network is; how the paper trains it we do not know: "
        "its gradient is zero only if the layers below pass on nothing",
        "the hinge loss has the gradient of -E[y f] only while y f < 1: later a single layer of gradient zero may be "
        "right on more than half for a while; mean and error: of the trials' last "
        "accuracies, with its standard error; best: of any trial at any look",
        "gradient: the largest entry of grad E[y f] over all 2^n inputs, at initialization for whole networks and, for "
        "greedy layers, before their training; the largest of all trials",
    ]
    enough = {depth: options.has_papers_steps(depth) for depth in options.depths}
    return Findings(rows, _claims(rows, options.trials, enough), partial(_draw, curves), choices, {"curves": curves})


def _train(
    task: _Task, options: Options, curves: list[Point], alone: int | None = None, trained: list[Layer] | None = None
) -> Row:
    """Trains whole networks, or the hidden layer ``alone`` on top of ``trained``, to which it is added."""
    trained = [] if trained is None else trained
    trials, seed = options.trials, options.seed
    parities = SparseParity(options.n, task.k, seed=seed).with_seeds(range(seed, seed + trials))
    supports = torch.tensor([parity.support for parity in parities])
    sizes, steps, kind, layer = (options.n, *task.widths, 1), task.steps, _WHOLE, "all"
    if alone is not None:
        sizes, steps = (*sizes[alone : alone + 2], 1), options.greedy_steps
        kind, layer = _GREEDY, f"{alone + 1}/{len(task.widths)}"
    generator = torch.Generator().manual_seed(seed + (alone or 0))
    layers = draw_layers(sizes, trials, generator)
    gradient = _largest_gradient(trained, layers, parities)
    stack = _Stack(trained, layers, parities, task.lr)
    solved = np.full(trials, np.inf)
    # Each layer of its own stretch of the stream, so that no example is seen twice.
    first = (alone or 0) * options.greedy_steps * _BATCH
    right, best = torch.zeros(trials), 0.0
    for step, following in pairwise([*range(0, steps, _EVERY), steps, steps]):
        right = accuracy([*trained, *layers], supports)
        best = max(best, float(right.max()))
        solved = np.where((right.numpy() == 1) & np.isinf(solved), step, solved)
        curves.extend(
            Point(task.depth, task.k, kind, layer, step, trial, float(share)) for trial, share in enumerate(right)
        )
        if np.isfinite(solved).all():
            break
        if following > step:
            layers = stack.train(following - step, first + step * _BATCH)
    lost = diverged([*trained, *layers])
    if alone is not None:
        trained.append(layers[0])
    kept = right[~lost].double()
    median = float(np.median(solved))
    return Row(
        task.depth,
        task.k,
        kind,
        layer,
        gradient,
        *share_of(int(np.isfinite(solved).sum()), trials),
        mean=float(kept.mean()) if len(kept) else None,
        error=float(kept.std() / math.sqrt(len(kept))) if len(kept) > 1 else None,
        best=best,
        diverged=int(lost.sum()),
        steps=round(median) if math.isfinite(median) else None,
    )


def _largest_gradient(
    trained: Sequence[Layer], layers: Sequence[Layer], parities: Sequence[SparseParity]
) -> float | None:
    """Of all trials, by the layers to be trained; None where layers below diverged in all of them."""
    numbers = range(len(trained), len(trained) + len(layers))
    gradients = [
        float(label_gradient([_only(layer, trial) for layer in [*trained, *layers]], parity.support, numbers))
        for trial, parity in enumerate(parities)
    ]
    return max((each for each in gradients if math.isfinite(each)), default=None)


def _only(layer: Layer, trial: int) -> Layer:
    return Layer(*(part[trial : trial + 1] for part in layer))


class _Stack:
    """The trials in a stack of the engine, in an order that begins with one that has not diverged.

    The engine learns what a loss depends on from the first of them.
    """

    def __init__(
        self, frozen: Sequence[Layer], layers: Sequence[Layer], parities: Sequence[SparseParity], lr: float
    ) -> None:
        every, self._layers, self._frozen = [*frozen, *layers], list(layers), len(frozen)
        lost = diverged(every).tolist()
        order = sorted(range(len(parities)), key=lambda trial: lost[trial])
        self._places = torch.tensor(order).argsort()
        self._stack = None
        if not all(lost):
            networks = [QuadraticNetwork(every, trial, len(frozen)) for trial in order]
            self._stack = Stack.of(
                [NetworkWithLoss(network, find_loss("hinge")) for network in networks],
                [parities[trial] for trial in order],
                lambda weights: torch.optim.SGD(weights, lr=lr),
                _BATCH,
            )

    def train(self, steps: int, first: int) -> list[Layer]:
        """The trained layers after more steps of SGD on the hinge loss, which take the examples from ``first`` on."""
        if self._stack is None:
            return self._layers
        train_online(self._stack, steps, _BATCH, first)
        weights = self._stack.weights
        return [
            Layer(*(weights[f"network.{part}.{self._frozen + place}"][self._places] for part in ("weights", "biases")))
            for place in range(len(self._layers))
        ]


def _claims(rows: Sequence[Row], trials: int, enough: dict[int, bool]) -> list[Claim]:
    """The claims on each depth, and whether whole networks had the paper's steps there."""
    claims: list[Claim] = []
    level = 1 - 0.05 / len(enough)
    whole: dict[int, Estimate] = {}
    for row in rows:
        solved = round(row.solved * trials)
        found = Estimate(*share_of(solved, trials, level), n=trials, censored=trials - solved)
        if row.trained == _WHOLE and row.k <= 2 ** (row.depth - 1):
            whole[row.depth] = found
            claims.append(_reaches(row, found, enough[row.depth], share_of(10, 10, level)))
        elif row.trained == _WHOLE:
            claims.append(_never_reaches(row, found, enough[row.depth]))
        else:
            claims.append(_zero_gradient(row, trials))
            if row.is_last_layer:
                claims.append(_greedy_below_whole(row, found, whole[row.depth], enough[row.depth]))
                claims.append(_trivial(row, trials, level))
    return claims


def _task_of(row: Row) -> tuple[str, str]:
    """An id and a text that say which depth and k."""
    return f"L{row.depth}-k{row.k}", f"L={row.depth}, k={row.k}"


def _reaches(row: Row, found: Estimate, enough: bool, papers: Share) -> Claim:
    key, task = _task_of(row)
    text = f"end-to-end training reaches 100 %, {task}"
    # Less than all contradicts the paper's 10 of 10 where no share could have led to both.
    return Claim.decided(
        Statement(f"end-to-end-{key}", text, _APPENDIX, _COUNTEREXAMPLE, "10 of 10"),
        found,
        "holds if all trials reach it; does not hold if, after the paper's number of steps, the interval lies below "
        f"that of 10 of 10, which is {papers.low:.3g} to 1",
        supported=found.value == 1,
        refuted=enough and found.ends[1] < papers.low,
    )


def _never_reaches(row: Row, found: Estimate, enough: bool) -> Claim:
    key, task = _task_of(row)
    text = f"end-to-end training never reaches 100 %, {task}"
    return Claim.decided(
        Statement(f"control-{key}", text, _APPENDIX, paper="none, for k > 2^(L-1)"),
        found,
        "holds if no trial reaches it in the paper's number of steps; does not hold if one does",
        supported=enough,
        refuted=bool(found.value),
    )


def _zero_gradient(row: Row, trials: int) -> Claim:
    key, task = _task_of(row)
    text = f"alone, hidden layer {row.layer} has a population gradient of zero, {task}"
    statement = Statement(f"gradient-{key}-layer{row.layer}", text, _APPENDIX, paper=0.0)
    found = Estimate("all diverged" if row.gradient is None else row.gradient, n=trials)
    # How the paper trains the last hidden layer is not known, and with untrained layers below it learns a little.
    return (
        Claim.reported(statement, found)
        if row.is_last_layer
        else Claim.at_most(statement, found, _ZERO, tolerance=_ZERO)
    )


def _greedy_below_whole(row: Row, found: Estimate, whole: Estimate, enough: bool) -> Claim:
    key, task = _task_of(row)
    text = f"greedy layers do not reach what the whole network does, {task} (share solved)"
    low, high = found.ends
    share, whole_share = found.value, whole.value
    assert isinstance(share, float)
    assert isinstance(whole_share, float)
    return Claim.decided(
        Statement(f"greedy-{key}", text, _SECTION, _COUNTEREXAMPLE, 0.0),
        found,
        "holds if the interval lies below that of whole networks; does not hold if, after the paper's number of steps, "
        "some are solved, and no fewer than of whole networks",
        supported=high < whole.ends[0],
        refuted=enough and low > 0 and share >= whole_share,
    )


def _trivial(row: Row, trials: int, level: float) -> Claim:
    """Of the trials that did not diverge, by Student's t."""
    key, task = _task_of(row)
    kept = trials - row.diverged
    text = f"greedy layers cannot beat trivial accuracy, {task} (mean of trials)"
    statement = Statement(f"trivial-{key}", text, _SECTION, _COUNTEREXAMPLE, 0.5)
    found, reach = Estimate(math.nan, n=kept, censored=row.diverged), 0.0
    if row.mean is not None and row.error is not None:
        reach = float(stats.t.ppf((1 + level) / 2, kept - 1)) * row.error
        found = found._replace(value=row.mean, low=row.mean - reach, high=row.mean + reach)
    claim = Claim.at_most(
        statement,
        found,
        0.5,
        support="not refuted",
        refutable=reach > 0,
        caveat="trials that agree to the last input have no spread to judge a difference by",
    )
    if row.error is None:
        # One trial has a mean and no interval, none has neither.
        shown = "all diverged" if row.mean is None else row.mean
        return Claim(statement, claim.rule, found._replace(value=shown), claim.verdict)
    return claim


def _draw(curves: Sequence[Point], figure: Figure) -> None:
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
