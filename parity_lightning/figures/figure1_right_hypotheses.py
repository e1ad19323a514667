"""Figure 1 (right), what the paper leaves open: which setting and which criterion of convergence explain its panels."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from typing import NamedTuple

import numpy as np
from matplotlib.figure import Figure

from parity_lightning.figures.agreement import MOST_OFF, OFF, Agreement
from parity_lightning.figures.figure import PaperFigure, Plan
from parity_lightning.figures.figure1_right import TITLES
from parity_lightning.figures.hypotheses import CRITERIA, HYPOTHESES, LIMIT, POINTS, Hypothesis, Point
from parity_lightning.figures.medians import FACTOR, published_claim
from parity_lightning.figures.published import MEDIANS
from parity_lightning.figures.runs import Runs, TableRow
from parity_lightning.figures.scales import Scale
from parity_lightning.studies.claims import Claim, Estimate, Statement
from parity_lightning.studies.stored_study import reached

_FINDING = "100% accuracy on a validation batch of size 2^13"
_CLOSE = 1.05
_RANKED = 5
_SMOKE = ("base", "square", "B=32", "cosine, 0.01")
_CHOICES = (
    "each hypothesis changes one thing of relu: eta=1, B=64, hinge loss, uniform initialization; power: eta=0.1, B=32, "
    "hinge, PyTorch's own; sinusoid: eta=0.1, B=32, hinge, uniform; polynet: eta=0.05, B=32, square, PyTorch's own",
    *(
        f"{each.name}: {each.text}" + ("" if len(each.panels) == 4 else f" ({', '.join(each.panels)})")
        for each in HYPOTHESES
    ),
    "converged: the first evaluation at which 55, 75, 90, 99 or 100 % of 2^13 held-out examples are right; about 30 "
    "evaluations up to the published median",
    f"trials end after {LIMIT} times the published median; a median beyond counts as {LIMIT} times off, so that a mean "
    "is at least what is told",
    "the published points at n = 10, 20, 30 and 40; those without a published median are not run",
    "the best of a panel is chosen by the same points that it is scored on, so its score flatters it; held-out scores "
    "choose by trials of even seeds at the other k, and score by trials of odd seeds",
)


class Key(NamedTuple):
    """What is scored: a setting and a criterion on a panel."""

    panel: str
    hypothesis: str
    criterion: float

    def __str__(self) -> str:
        return f"{self.hypothesis} at {self.criterion:.0%}"


def plan(scale: Scale) -> Plan:
    """Every hypothesis at every point that has a published median; settings that several of them share once."""
    cells = []
    for hypothesis, point in _planned():
        if scale != "smoke" or (hypothesis.name in _SMOKE and point.n == 10 and point.k <= 3):
            cell = hypothesis.cell(point)
            cells += [] if cell in cells else [cell]
    return Plan(cells, {"smoke": 4, "laptop": 25, "paper": 100}[scale])


def _planned() -> Iterable[tuple[Hypothesis, Point]]:
    return ((each, point) for point in POINTS for each in HYPOTHESES if point.panel in each.panels)


class Scores:
    """How well each setting agrees with the published medians by each criterion.

    Args:
        runs: What came of the runs.
        first: The first trial that counts.
        step: How far it is from one trial that counts to the next: 2 for every second one.
    """

    def __init__(self, runs: Runs, first: int = 0, step: int = 1) -> None:
        self._claims: dict[Key, dict[Point, tuple[Claim, int]]] = {}
        self._cells: dict[Key, list[int]] = {}
        places = {repr(cell): place for place, cell in enumerate(runs.cells)}
        for hypothesis, point in _planned():
            place = places.get(repr(hypothesis.cell(point)))
            if place is None:
                continue
            for criterion in CRITERIA:
                times = runs.outcomes[place][reached(criterion)][first::step]
                if len(times):
                    claim = published_claim("", "", "", "", point.published, np.nan_to_num(times, nan=np.inf))
                    key = Key(point.panel, hypothesis.name, criterion)
                    self._claims.setdefault(key, {})[point] = claim, runs.limits[place]
                    self._cells.setdefault(key, []).append(place)

    @cached_property
    def all(self) -> Mapping[Key, Agreement]:
        """The scores over all points of a panel."""
        return {key: _score(own.values()) for key, own in self._claims.items()}

    def of_panel(self, panel: str, criteria: Sequence[float] = CRITERIA) -> dict[Key, Agreement]:
        """Those of a panel by these criteria."""
        return {key: own for key, own in self.all.items() if key.panel == panel and key.criterion in criteria}

    def distinct(self, panel: str) -> dict[Key, Agreement]:
        """Those of a panel, each setting by the first hypothesis that says it."""
        first: dict[tuple[float, tuple[int, ...]], Key] = {}
        for key in self.of_panel(panel):
            first.setdefault((key.criterion, tuple(self._cells[key])), key)
        return {key: self.all[key] for key in first.values()}

    def degrees(self, panel: str) -> list[int]:
        """The k that a panel has points of."""
        return sorted({point.k for key, own in self._claims.items() if key.panel == panel for point in own})

    def best_without(self, panel: str, k: int) -> Key:
        """The best setting and criterion of a panel by its points of other k."""
        scores = {
            key: _score(own_claim for point, own_claim in own.items() if point.k != k)
            for key, own in self._claims.items()
            if key.panel == panel
        }
        return best_of(scores)

    def at(self, key: Key, k: int) -> list[tuple[Claim, int]]:
        """The points of a k, each with its limit."""
        return [own for point, own in self._claims[key].items() if point.k == k]


def _score(claims: Iterable[tuple[Claim, int]]) -> Agreement:
    points, limits = zip(*claims, strict=True)
    return Agreement.of(points, limits)


def best_of(scores: Mapping[Key, Agreement]) -> Key:
    """The setting and the criterion whose medians are off least; of equal ones the first."""
    return min(scores, key=lambda key: float(scores[key].off.value))


def claims(runs: Runs) -> list[Claim]:
    """Of each panel, that a setting explains it, also where it was not chosen; and that one criterion does for all."""
    scores, even, odd = Scores(runs), Scores(runs, 0, 2), Scores(runs, 1, 2)
    made: list[Claim] = []
    for panel in MEDIANS:
        own = scores.of_panel(panel)
        made += own[best_of(own)].claims(f"{panel}-best", f"{panel}, the best setting and criterion")
        made += [_held_out(panel, even, odd), _full_accuracy(panel, scores)]
    return [*made, _one_criterion(scores)]


def _held_out(panel: str, even: Scores, odd: Scores) -> Claim:
    """The score of settings where they were not chosen."""
    statement = Statement(
        f"{panel}-held-out",
        f"{panel}: {OFF}, each k by the setting and the criterion that are best at the other k in other trials",
        paper=1.0,
    )
    degrees = even.degrees(panel)
    if len(degrees) < 2:
        return Claim.not_attempted(statement, "needs points of several k")
    points = [own for k in degrees for own in odd.at(even.best_without(panel, k), k)]
    return _score(points).claim_off(statement)


def _full_accuracy(panel: str, scores: Scores) -> Claim:
    """Whether the criterion of Finding 1 does as well as any."""
    statement = Statement(
        f"{panel}-criterion",
        f"{panel}: full accuracy explains it as well as any criterion",
        "Finding 1",
        _FINDING,
        "100 %",
    )
    found, full = scores.distinct(panel), scores.of_panel(panel, [1.0])
    best, at_full = best_of(found), best_of(full)
    off = [float(found[key].off.value) for key in (best, at_full)]
    words = f"{best}: {off[0]:.3g} times off; {at_full}: {off[1]:.3g}"
    is_close = off[1] <= _CLOSE * off[0]
    rule = (
        f"holds if the best setting at 100 % is off at most {_CLOSE:g} times as much as the best at any criterion; "
        "does not hold otherwise"
    )
    return Claim.decided(statement, Estimate(words, n=len(found)), rule, supported=is_close, refuted=not is_close)


def _one_criterion(scores: Scores) -> Claim:
    """Whether one criterion explains all panels, each by a setting of its own."""
    text = f"with one criterion for all panels, each with its best setting: {OFF}, on the worst panel"
    worst = _worst_panels(scores)
    return min(worst.values(), key=_times_off).claim_off(Statement("one-criterion", text, paper=1.0))


def _worst_panels(scores: Scores) -> dict[float, Agreement]:
    """By criterion, the score of the panel that its own best setting explains least."""
    worst = {}
    for criterion in CRITERIA:
        panels = [scores.of_panel(panel, [criterion]) for panel in MEDIANS]
        worst[criterion] = max((own[best_of(own)] for own in panels), key=_times_off)
    return worst


def _times_off(score: Agreement) -> float:
    return float(score.off.value)


def notes(runs: Runs) -> list[str]:
    """Of each panel the best settings and criteria, and how far each criterion leaves the worst panel off."""
    scores = Scores(runs)
    made = []
    for panel in MEDIANS:
        own = scores.distinct(panel)
        ranked = sorted(own, key=lambda key: float(own[key].off.value))
        words = "; ".join(f"{key}: {own[key].off.value:.3g}, {own[key].near.value:.0%}" for key in ranked[:_RANKED])
        made.append(f"{panel}, the best of {len(own)} (times off, share within x{FACTOR:g}): {words}")
    criteria = ", ".join(
        f"{criterion:.0%}: {worst.off.value:.3g}" for criterion, worst in _worst_panels(scores).items()
    )
    return [
        *made,
        f"one criterion for all panels, each with its best setting, times off on the worst panel: {criteria}",
    ]


class ScoreRow(NamedTuple):
    """How well a setting agrees with a panel by a criterion."""

    panel: str
    hypothesis: str
    criterion: float
    points: int
    off: float
    off_low: float
    off_high: float
    near: float


def tables(runs: Runs) -> Mapping[str, Sequence[TableRow | ScoreRow]]:
    """A row for each hypothesis, of each panel by the best criterion and by 100 %; and a table of all scores."""
    scores = Scores(runs).all
    every = [
        ScoreRow(*key, score.off.n or 0, float(score.off.value), *score.off.ends, float(score.near.value))
        for key, score in scores.items()
    ]
    run = {key.hypothesis for key in scores}
    return {"data": [_row(each, scores) for each in HYPOTHESES if each.name in run], "scores": every}


def _row(hypothesis: Hypothesis, scores: Mapping[Key, Agreement]) -> TableRow:
    values: dict[str, object] = {"hypothesis": hypothesis.name}
    for panel in MEDIANS:
        own = {key: score for key, score in scores.items() if key[:2] == (panel, hypothesis.name)}
        best = best_of(own) if own else None
        values |= {
            f"{panel} off": None if best is None else own[best].off.value,
            f"{panel} accuracy": None if best is None else best.criterion,
            f"{panel} off at 100 %": None if best is None else own[best._replace(criterion=1.0)].off.value,
        }
    return TableRow(values)


def draw(runs: Runs, figure: Figure) -> None:
    """Draws a panel for each architecture: how many times medians are off, by hypothesis and criterion."""
    scores = Scores(runs)
    names = [each.name for each in HYPOTHESES]
    for axes, panel in zip(figure.subplots(1, 4, sharey=True), MEDIANS, strict=True):
        own = scores.of_panel(panel)
        off = np.full((len(names), len(CRITERIA)), np.nan)
        for key, score in own.items():
            off[names.index(key.hypothesis), CRITERIA.index(key.criterion)] = float(score.off.value)
        shown = axes.imshow(np.log(off), cmap="viridis_r", vmin=0, vmax=math.log(LIMIT), aspect="auto")
        best = best_of(own) if own else None
        for key, score in own.items():
            place = CRITERIA.index(key.criterion), names.index(key.hypothesis)
            dark = float(score.off.value) > math.sqrt(LIMIT)
            text = f"{float(score.off.value):.2f}  {float(score.near.value):.0%}"
            weight = "bold" if key == best else "normal"
            axes.text(*place, text, ha="center", va="center", fontsize=7, color="w" if dark else "k", weight=weight)
        axes.set_title(TITLES[panel], fontsize=10)
        axes.set_xticks(range(len(CRITERIA)), [f"{criterion:.0%}" for criterion in CRITERIA])
        axes.set_yticks(range(len(names)), names)
        axes.set_xlabel("accuracy that counts as converged")
    bar = figure.colorbar(shown, ax=figure.axes, location="bottom", shrink=0.4, pad=0.02, aspect=40)
    ticks = [1, MOST_OFF, FACTOR, 2, 3, LIMIT]
    bar.set_ticks([math.log(tick) for tick in ticks], labels=[f"{tick:g}" for tick in ticks])
    bar.ax.set_title(
        f"medians off, geometric mean of factors; beside it the share within x{FACTOR:g}; bold: the panel's best",
        loc="center",
        fontsize=9,
    )


FIGURE = PaperFigure(
    "Hypotheses on what the paper leaves open",
    plan,
    claims,
    draw,
    _CHOICES,
    (17.0, 9.5),
    tables=tables,
    notes=notes,
)
