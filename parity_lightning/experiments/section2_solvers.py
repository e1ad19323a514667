"""Solvers that are no gradient descent: the samples and seconds they need (Section 2)."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Annotated, NamedTuple

import numpy as np
import torch
from matplotlib.figure import Figure
from scipy import stats

from parity_lightning.data.sparse_parity import SparseParity
from parity_lightning.display.style import GRAY, color_of, legend
from parity_lightning.errors import SettingError, check_int
from parity_lightning.experiments.findings import Findings
from parity_lightning.experiments.options import BoundedOptions, Bounds, Count, Seed
from parity_lightning.experiments.work_limits import DRAW_OPERATIONS, MOST_SETS, MOST_SOLVER_OPERATIONS
from parity_lightning.statistics.survival import Share, share_of
from parity_lightning.studies.claims import Claim, Estimate, Statement
from parity_lightning.theory.solvers import best_correlation, eliminate, full_rank_probability, sufficient_samples

_GOAL = 0.95
_FEWEST_TRIALS = 20
_TELLING_TRIALS = 100
_LEVEL = 0.01


class _Solver(NamedTuple):
    name: str
    assumes: str

    def solves(self, parity: SparseParity, samples: int) -> bool:
        """Whether it finds the support, and no other set as good."""
        x, y = parity.draw(torch.arange(samples))
        if self.name == "elimination":
            return eliminate(x, y).support == parity.support
        best = best_correlation(x, y, parity.k)
        return best.ties == 1 and best.support == parity.support


_ELIMINATION = _Solver("elimination", "no noise")
_BEST_SET = _Solver("best set", "k")


@dataclass(frozen=True)
class Options(BoundedOptions):
    """Options of the experiment.

    Attributes:
        n: Numbers of inputs.
        k: Size of the support.
        noise: Probabilities that a label is wrong, below 1/2; elimination is tried with all of them.
        trials: How many parities to measure each success rate on.
        curve: Whether to measure success at several numbers of samples for the picture.
        seed: Decides supports, samples and noise.
    """

    n: tuple[int, ...] = (20, 30, 50)
    k: Count = 3
    noise: Annotated[tuple[float, ...], Bounds(at_least=0, below=0.5)] = (0.0, 0.01, 0.1, 0.3)
    trials: Annotated[int, Bounds(at_least=_FEWEST_TRIALS, at_most=100_000)] = 200
    curve: bool = True
    seed: Seed = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        for n in self.n:
            check_int("n", n, at_least=self.k + 1, at_most=2000)
            if math.comb(n, self.k) > MOST_SETS:
                hint = f"has {math.comb(n, self.k):,} sets of {self.k}, take at most {MOST_SETS:,}"
                raise SettingError("n", n, hint)
        _check_work(self.n, self.k, self.noise, self.trials)


class Row(NamedTuple):
    """How many samples a solver needs, and what it does with them.

    Attributes:
        solver: Elimination over GF(2), or the set of k inputs that agrees best.
        assumes: What it may assume beside its samples.
        n: Number of inputs.
        noise: The probability that a label is wrong.
        samples: How many samples it got.
        success: The share of trials in which it found the support.
        low: The lower end of the interval of that share.
        high: Its upper end.
        enough: How many samples a law calls enough, if there is one.
        success_at_enough: The success of the best set from as many.
        ms: Milliseconds that a trial took, drawing the samples included.
    """

    solver: str
    assumes: str
    n: int
    noise: float
    samples: int
    success: float
    low: float
    high: float
    enough: int | None
    success_at_enough: float | None
    ms: float


class Point(NamedTuple):
    """The success rate of a solver from a number of samples, for the picture."""

    solver: str
    n: int
    k: int
    noise: float
    samples: int
    success: float
    low: float
    high: float
    seconds: float


def run(options: Options) -> Findings:
    """Measures how many samples elimination over GF(2) and exhaustive search need to find the support."""
    k, trials = options.k, options.trials
    rows = [
        _row(solver, n, k, noise, trials, options.seed)
        for n in options.n
        for noise in options.noise
        for solver in (_ELIMINATION, _BEST_SET)
    ]
    points = _curves(options.n[-1], k, options.noise, trials, options.seed) if options.curve else []
    choices = [
        "assumes: what a solver may assume beside its samples",
        f"samples: of the best set, the fewest with success in {_GOAL:.0%} of {trials // 2:,} trials, by bisection; of "
        f"elimination, the fewest that reach {_GOAL:.0%} by the closed form, or those with which success is likeliest",
        f"success: of {trials:,} other trials; a tie with the support is a failure",
        f"enough: samples that a law calls enough for {_GOAL:.0%}; success at enough: of the best set from as many",
        "intervals of claims: 95 % for all rates of a claim together; a law of ours that is not refuted counts as one "
        f"that holds from {_TELLING_TRIALS} trials on",
    ]
    draw = partial(_draw, points or _points(rows, k), options.n[-1], k)
    return Findings(rows, _claims(rows, k, trials), draw, choices, {"success": points} if points else {})


def _check_work(n: Sequence[int], k: int, noise: Sequence[float], trials: int) -> None:
    """Refuses samples and trials that take hours."""
    total = 0
    for size in n:
        draw = DRAW_OPERATIONS * math.ceil(size / 128)
        elimination = (2 * size + 20) * (draw + size * size // 8)
        for rate in noise:
            samples = sufficient_samples(size, k, rate)
            one = elimination + samples * (draw + size * math.comb(size, k - 1))
            if one * _FEWEST_TRIALS > MOST_SOLVER_OPERATIONS:
                hint = f"needs {samples:,} samples for {k} of n={size} inputs, too many to try: take a smaller one"
                if rate:
                    raise SettingError("noise", rate, f"{hint}, or smaller n")
                raise SettingError("n", size, hint)
            total += one
    if total * trials > MOST_SOLVER_OPERATIONS:
        most = MOST_SOLVER_OPERATIONS // total
        if most < _FEWEST_TRIALS:
            raise SettingError("n", tuple(n), f"too many, with noise {tuple(noise)}, to try each: take fewer of either")
        hint = f"too many for so many inputs, sets and samples: take at most {most:,}"
        raise SettingError("trials", trials, hint)


def elimination_law(samples: int, n: int, noise: float) -> float:
    """The probability that elimination finds the support: n samples independent, and no label wrong.

    A wrong label leaves another set that fits, or none: the support itself does not fit it.

    Example:
        >>> elimination_law(2, 2, 0.0), round(elimination_law(2, 2, 0.1), 5)
        (0.375, 0.30375)
    """
    return full_rank_probability(samples, n) * (1 - noise) ** samples


def _fewest(n: int, k: int, noise: float, trials: int, seed: int) -> int:
    """The fewest samples with which the best set is the support in most of some trials, by bisection."""

    def enough(samples: int) -> bool:
        return _success(_BEST_SET, n, k, noise, samples, trials // 2, seed)[0].value >= _GOAL

    low, high = 0, sufficient_samples(n, k, noise)
    while not enough(high):
        low, high = high, 2 * high
    while high - low > max(1, low // 50):
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    return high


def _success(
    solver: _Solver, n: int, k: int, noise: float, samples: int, trials: int, seed: int
) -> tuple[Share, float]:
    """The share of trials solved, and seconds for each, drawing samples included."""
    parities = SparseParity(n, k, label_noise=noise).with_seeds(range(seed, seed + trials))
    started = time.perf_counter()
    solved = sum(solver.solves(parity, samples) for parity in parities)
    return share_of(solved, trials), (time.perf_counter() - started) / trials


def _row(solver: _Solver, n: int, k: int, noise: float, trials: int, seed: int) -> Row:
    enough, there = None, None
    if solver is _ELIMINATION:
        tries = range(n, 2 * n + 20)
        samples = max(tries, key=lambda samples: elimination_law(samples, n, noise))
        if elimination_law(samples, n, noise) >= _GOAL:
            samples = enough = next(tried for tried in tries if elimination_law(tried, n, noise) >= _GOAL)
    else:
        samples, enough = _fewest(n, k, noise, trials, seed), sufficient_samples(n, k, noise)
        there = round(_success(solver, n, k, noise, enough, trials, seed + trials)[0].value, 4)
    share, seconds = _success(solver, n, k, noise, samples, trials, seed + trials)
    success, low, high = (round(each, 4) for each in share)
    return Row(solver.name, solver.assumes, n, noise, samples, success, low, high, enough, there, 1000 * seconds)


def _claims(rows: Sequence[Row], k: int, trials: int) -> list[Claim]:
    elimination = [row for row in rows if row.solver == _ELIMINATION.name]
    best = [row for row in rows if row.solver == _BEST_SET.name]
    claims = []
    if exact := [row for row in elimination if row.noise == 0]:
        claims.append(_linear_samples(exact, trials))
    claims.append(_elimination_by_law(elimination, trials))
    if noisy := [row for row in elimination if row.enough is None]:
        claims.append(_broken_by_noise(noisy, trials))
    if clean := [row for row in best if row.noise == 0]:
        claims.append(_information_bound(clean, k, trials))
    return [*claims, _union_bound(best, trials), _queries(rows, k)]


def _estimate(value: float, trials: int, rates: int) -> Estimate:
    """A success rate with the interval that covers all of so many rates together (Bonferroni)."""
    return Estimate(*share_of(round(value * trials), trials, 1 - 0.05 / rates), n=trials)


def _linear_samples(exact: Sequence[Row], trials: int) -> Claim:
    refuted = any(_estimate(row.success, trials, len(exact)).ends[1] < _GOAL for row in exact)
    statement = Statement(
        "elimination-samples",
        f"elimination needs O(n) samples without noise: samples - n for {_GOAL:.0%}",
        "Section 2",
        "While learning noiseless parities can be solved by Gaussian elimination using O(n) samples",
        "O(n)",
    )
    rule = (
        f"holds from {_TELLING_TRIALS} trials on if no success rate is refuted to be {_GOAL}; does not hold if the "
        f"interval of one lies below"
    )
    spare = Estimate(max(row.samples - row.n for row in exact), n=trials)
    return Claim.decided(statement, spare, rule, supported=trials >= _TELLING_TRIALS, refuted=refuted)


def _elimination_by_law(elimination: Sequence[Row], trials: int) -> Claim:
    p_values = []
    for row in elimination:
        law = elimination_law(row.samples, row.n, row.noise)
        p_values.append(float(stats.binomtest(round(row.success * trials), trials, law).pvalue))
    statement = Statement(
        "elimination-law",
        "elimination succeeds as often as n samples are independent, all labels right: smallest p of "
        f"{len(p_values)}, times their number",
        paper=f"at least {_LEVEL}",
    )
    p = Estimate(min(1.0, min(p_values) * len(p_values)), n=trials)
    conclusive, caveat = trials >= _TELLING_TRIALS, f"{_TELLING_TRIALS} trials or more"
    return Claim.not_rejected(statement, p, _LEVEL, conclusive=conclusive, caveat=caveat)


def _broken_by_noise(noisy: Sequence[Row], trials: int) -> Claim:
    most = max(noisy, key=lambda row: row.success)
    statement = Statement(
        f"elimination-noise-{most.noise:g}",
        f"noise of {most.noise:g} breaks elimination, however many samples: its best success rate",
        "Section 2",
        "learning sparse noisy parities, even at a very small noise level (i.e., o(1) or n^-delta) is believed to "
        "inherently require n^Omega(k) computational steps and samples",
        f"below {_GOAL}",
    )
    return Claim.at_most(statement, _estimate(most.success, trials, len(noisy)), _GOAL, strict=True)


def _information_bound(clean: Sequence[Row], k: int, trials: int) -> Claim:
    bits = [math.log2(math.comb(row.n, k)) for row in clean]
    ratios = [row.samples / one for row, one in zip(clean, bits, strict=True)]
    there = [_rate_at_enough(row, trials, len(clean)) for row in clean]
    # With fewer samples than bits there are fewer labels than supports to tell apart: of those so many are found.
    found = [max(_estimate(row.success, trials, len(clean)).ends[0], 1e-9) for row in clean]
    impossible = any(row.samples < one + math.log2(least) for row, one, least in zip(clean, bits, found, strict=True))
    possible = all(row.samples >= one + math.log2(_GOAL) for row, one in zip(clean, bits, strict=True))
    return Claim.decided(
        Statement(
            "information-bound",
            "Theta(log C(n,k)) samples are enough in principle: samples / log2 C(n,k), without noise",
            "Section 2",
            "Statistically, it is possible to do so using Theta(log C(n,k)) ~ k log n samples",
            "at least 1, and bounded",
        ),
        Estimate(f"{min(ratios):.2f} to {max(ratios):.2f}", n=trials),
        f"holds if success at enough is at least {_GOAL} by its whole interval and samples are as many as bits; does "
        f"not hold if success is below {_GOAL} by its whole interval, or larger than so few samples allow",
        supported=possible and all(each.ends[0] >= _GOAL for each in there),
        refuted=impossible or any(each.ends[1] < _GOAL for each in there),
    )


def _rate_at_enough(row: Row, trials: int, rates: int) -> Estimate:
    assert row.success_at_enough is not None
    return _estimate(row.success_at_enough, trials, rates)


def _union_bound(best: Sequence[Row], trials: int) -> Claim:
    least = min((_rate_at_enough(row, trials, len(best)) for row in best), key=lambda each: each.value)
    statement = Statement(
        "union-bound",
        "the best set succeeds from the samples of a union bound, with noise ~ 4 ln C(n,k) / (1-2 noise)^2: least rate",
        paper=f"at least {_GOAL}",
    )
    return Claim.at_least(statement, least, _GOAL)


def _queries(rows: Sequence[Row], k: int) -> Claim:
    tried = ", ".join(f"n={n}: {math.comb(n, k):,}" for n in sorted({row.n for row in rows}))
    statement = Statement(
        "statistical-queries",
        "statistical queries, so SGD too, need Omega(n^k) of them; both solvers here read single examples",
        "Section 2",
        "in the statistical query (SQ) model, (which has been shown to encapsulate gradient-based methods such as GD "
        "or SGD), this task requires Omega(n^k) queries",
        "Omega(n^k)",
    )
    return Claim.reported(statement, Estimate(f"sets of k tried: {tried}"))


def _curves(n: int, k: int, noise: Sequence[float], trials: int, seed: int) -> list[Point]:
    """Success at several numbers of samples, for one n."""
    points = []
    for rate in noise:
        enough = sufficient_samples(n, k, rate)
        grids = {
            _ELIMINATION: np.unique([*np.linspace(n - 2, 2 * n, 10).astype(int).tolist(), n, n + 1, n + 2, n + 5]),
            _BEST_SET: np.unique(np.linspace(0.3 * enough, 1.1 * enough, 8).astype(int)),
        }
        for solver, grid in grids.items():
            for samples in grid[grid >= 1].tolist():
                share, seconds = _success(solver, n, k, rate, samples, max(20, trials // 4), seed + 2 * trials)
                points.append(Point(solver.name, n, k, rate, samples, *share, seconds))
    return points


def _points(rows: Sequence[Row], k: int) -> list[Point]:
    return [
        Point(row.solver, row.n, k, row.noise, row.samples, row.success, row.low, row.high, row.ms / 1000)
        for row in rows
    ]


def _draw(points: Sequence[Point], n: int, k: int, figure: Figure) -> None:
    figure.suptitle(f"Finding the support of the ({n}, {k})-parity without gradients")
    left, right = figure.subplots(1, 2, sharey=True)
    for axes, solver in ((left, _ELIMINATION), (right, _BEST_SET)):
        own = [point for point in points if point.solver == solver.name and point.n == n]
        for number, rate in enumerate(sorted({point.noise for point in own})):
            line = [point for point in own if point.noise == rate]
            samples = [point.samples for point in line]
            success = np.array([point.success for point in line])
            ends = np.array([(point.low, point.high) for point in line]).T
            color, label = color_of(number), f"noise {rate:g}"
            if solver is _ELIMINATION:
                grid = np.arange(min(samples), max(samples) + 1)
                axes.plot(grid, [elimination_law(int(m), n, rate) for m in grid], color=color)
            else:
                enough = sufficient_samples(n, k, rate)
                axes.axvline(enough, color=color, linestyle=":")
                label += f", bound {enough:,}"
            axes.errorbar(samples, success, np.abs(ends - success), fmt="o", markersize=4, color=color, label=label)
        axes.axhline(_GOAL, color=GRAY, linewidth=0.8)
        axes.set(xlabel="samples", ylim=(-0.03, 1.03))
    left.set_ylabel("share of trials solved, 95 % interval")
    left.set_title("Elimination over GF(2), lines: closed form")
    right.set_title("The set that agrees best, dotted: union bound")
    right.set_xscale("log")
    for axes in (left, right):
        legend(axes, columns=2)
