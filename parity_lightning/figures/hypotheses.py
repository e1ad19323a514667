"""What the paper may have run for Figure 1 (right) and does not state: settings that differ from ours by one idea.

The list was written before this scan was run. A hypothesis is one setting for all n and k of a panel; where a value
depends on them, it does so by the formula that the hypothesis states. Some change what the network computes. These run
as what is equal to them, another initialization with other learning rates: training ``f(s w)`` from w at a rate eta is
training ``f(v)`` from ``v = s w`` at a rate ``s^2 eta``. A test compares them with networks that are written out.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from parity_lightning.figures.published import MEDIANS
from parity_lightning.studies.cells import Cell

CRITERIA = (0.55, 0.75, 0.9, 0.99, 1.0)
"""Accuracies on 2^13 held-out examples of which the first may be what the figure calls convergence."""

LIMIT = 4
"""Trials end after so many times the published median; a median beyond is censored there."""

_EVALUATIONS = 30
_INTERVALS = (1, 2, 5, 10, 20, 50, 100, 200, 500)
_WIDTH = 100

BASE: dict[str, Mapping[str, Any]] = {
    "relu": {"lr": 1.0, "batch_size": 64, "loss": "hinge", "initialization": "uniform"},
    "power": {"lr": 0.1, "batch_size": 32, "loss": "hinge", "initialization": "default"},
    "sinusoid": {"lr": 0.1, "batch_size": 32, "loss": "hinge", "initialization": "uniform"},
    "polynet": {"lr": 0.05, "batch_size": 32, "loss": "square", "initialization": "default"},
}
"""What hypotheses change: the settings of ``configs/figures/1-right-PANEL.yaml``."""

STATED = {"relu": 1.0, "power": 1.0, "sinusoid": 0.01, "polynet": 0.05}
"""The learning rates that the paper gives with its Figure 10, whose curves are those of Figure 1 (right)."""

_OPTIONS = {
    "lr": "model.optimizer.lr",
    "momentum": "model.optimizer.momentum",
    "batch_size": "data.batch_size",
    "second_layer": "model.second_layer",
}


class Point(NamedTuple):
    """A point of a panel."""

    panel: str
    k: int
    n: int

    @property
    def published(self) -> float:
        """The published median in steps."""
        return MEDIANS[self.panel][self.k][self.n]

    @property
    def layer(self) -> str:
        """The name of the layer that reads the inputs."""
        return "factors" if self.panel == "polynet" else "hidden"


POINTS = [Point(panel, k, n) for panel, by_k in MEDIANS.items() for k, by_n in by_k.items() for n in by_n]
"""The points of all panels that the paper has a median of."""


@dataclass(frozen=True)
class Hypothesis:
    """What the paper may have run.

    Attributes:
        name: A short name.
        text: What it says, in a sentence.
        changes: What it changes at a point, by short names of options.
        panels: The panels that it says something about.
    """

    name: str
    text: str
    changes: Callable[[Point], dict[str, Any]]
    panels: tuple[str, ...] = tuple(MEDIANS)

    def cell(self, point: Point) -> Cell:
        """The setting at a point; hypotheses that say the same there have the same."""
        chosen: dict[str, Any] = {
            **BASE[point.panel],
            **{"momentum": 0.0, "bias": True, "param_groups": {}},
            **{"initialization_factors": {}, "initialization_offsets": {}},
            **({"second_layer": False} if point.panel == "sinusoid" else {}),
            **self.changes(point),
            **{"accuracy_thresholds": list(CRITERIA), "val_screen_size": 2**13},
        }
        every = interval(point.published)
        return {
            "config": f"1-right-{point.panel}.yaml",
            "data.k": point.k,
            "data.n": point.n,
            **{_OPTIONS.get(name, f"model.{name}"): value for name, value in chosen.items()},
            "trainer.val_check_interval": every,
            "trainer.max_steps": math.ceil(LIMIT * point.published / every) * every,
        }


def interval(published: float) -> int:
    """Steps between evaluations, about a thirtieth of a published median: 1, 2, 5, 10 and so on.

    Example:
        >>> [interval(median) for median in (14.0, 70.0, 200.0, 5000.0)]
        [1, 2, 5, 200]
    """
    return min(_INTERVALS, key=lambda each: abs(math.log(each * _EVALUATIONS / published)))


def _constant(**changes: Any) -> Callable[[Point], dict[str, Any]]:
    return lambda _: changes


def _stated(point: Point) -> dict[str, Any]:
    return {"lr": STATED[point.panel]}


def _scaled_input(point: Point) -> dict[str, Any]:
    weight, lr = f"{point.layer}.weight", BASE[point.panel]["lr"]
    return {
        "param_groups": {weight: {"lr": lr / point.n}},
        "initialization_factors": {weight: point.n**-0.5},
    }


def _scaled_output(factor: float) -> Callable[[Point], dict[str, Any]]:
    def changes(point: Point) -> dict[str, Any]:
        lr = STATED[point.panel]
        return {
            "lr": lr,
            "param_groups": {"output.weight": {"lr": lr * factor**2}},
            "initialization_factors": {"output.weight": factor},
        }

    return changes


def _sum(point: Point) -> dict[str, Any]:
    return {"lr": STATED[point.panel] * BASE[point.panel]["batch_size"]}


def _fixed_bias(point: Point) -> dict[str, Any]:
    return {"param_groups": {f"{point.layer}.bias": {"lr": 0.0}}}


def _wide_bias(loss: str) -> Callable[[Point], dict[str, Any]]:
    def changes(point: Point) -> dict[str, Any]:
        # The uniform initialization draws from Xavier's [-c, c].
        bound = math.sqrt(6 / (point.n + 1))
        return {"loss": loss, "initialization_factors": {"hidden.bias": math.pi / bound}}

    return changes


def _cosine(lr: float, **others: Any) -> Callable[[Point], dict[str, Any]]:
    # cos(pi (k - z) / 2) = sin(pi z / 2 + pi (1 - k) / 2).
    def changes(point: Point) -> dict[str, Any]:
        scale = math.pi / 2
        return {
            **others,
            "lr": lr * scale**2,
            "initialization_factors": {"hidden.weight": scale, "hidden.bias": scale},
            "initialization_offsets": {"hidden.bias": scale * (1 - point.k)},
        }

    return changes


_LEAD = {"loss": "square", "initialization": "default"}

HYPOTHESES = (
    Hypothesis("base", "the setting of Figure 1 (right) here, criterion apart", _constant()),
    Hypothesis("stated eta", "the learning rate is the one that the paper states: z^k 1, sinusoid 0.01", _stated),
    Hypothesis("hinge", "hinge loss", _constant(loss="hinge")),
    Hypothesis("square", "square loss", _constant(loss="square")),
    Hypothesis("cross-entropy", "cross-entropy", _constant(loss="cross_entropy")),
    Hypothesis("correlation", "correlation loss, that of the paper's theory", _constant(loss="correlation")),
    Hypothesis("default", "PyTorch's own initialization", _constant(initialization="default")),
    Hypothesis("uniform", "uniform initialization by Xavier's convention", _constant(initialization="uniform")),
    Hypothesis("gaussian", "Gaussian initialization by Kaiming's convention", _constant(initialization="gaussian")),
    Hypothesis("bernoulli", "initialization -c or +c, c as of the uniform one", _constant(initialization="bernoulli")),
    Hypothesis("B=32", "32 examples a step", _constant(batch_size=32)),
    Hypothesis("B=64", "64 examples a step", _constant(batch_size=64)),
    Hypothesis("B=128", "128 examples a step", _constant(batch_size=128)),
    Hypothesis("x/sqrt(n)", "inputs divided by sqrt(n), biases not", _scaled_input),
    Hypothesis("f/sqrt(r)", "output divided by sqrt(r), stated eta", _scaled_output(_WIDTH**-0.5), ("relu", "power")),
    Hypothesis("f/r", "output divided by r, stated eta", _scaled_output(1 / _WIDTH), ("relu", "power")),
    Hypothesis("sum", "the loss is summed over the batch, that is eta B for eta; stated eta", _sum),
    Hypothesis("momentum", "momentum of 0.9, stated eta", lambda point: {**_stated(point), "momentum": 0.9}),
    Hypothesis("no bias", "no biases", _constant(bias=False)),
    Hypothesis("fixed bias", "biases stay as they are drawn", _fixed_bias),
    Hypothesis("wide bias", "bias drawn from [-pi, pi]", _wide_bias("hinge"), ("sinusoid",)),
    Hypothesis("wide bias, square", "bias drawn from [-pi, pi], square loss", _wide_bias("square"), ("sinusoid",)),
    Hypothesis("cosine", "cos(pi (k - z) / 2) for sin(z)", _cosine(BASE["sinusoid"]["lr"]), ("sinusoid",)),
    Hypothesis(
        "cosine, 0.01",
        "cos(pi (k - z) / 2) at the stated eta, square loss, PyTorch's own initialization",
        _cosine(STATED["sinusoid"], **_LEAD),
        ("sinusoid",),
    ),
    Hypothesis("cosine, 0.03", "the same at eta=0.03", _cosine(0.03, **_LEAD), ("sinusoid",)),
    Hypothesis("second layer", "a weight behind the sinusoid, trained", _constant(second_layer=True), ("sinusoid",)),
)
"""All of them, in the order of tables and pictures."""
