"""Solvers that are no gradient descent: the samples and seconds they need (Section 2)."""

from __future__ import annotations

import math
import time
from typing import Any, NamedTuple

import numpy as np
import torch
from matplotlib.figure import Figure
from scipy import stats

from parity_lightning.data.sparse_parity import SparseParity
from parity_lightning.errors import SettingError, check_int
from parity_lightning.experiments.findings import Claim, Findings
from parity_lightning.statistics.survival import Share, share_of
from parity_lightning.theory.solvers import best_correlation, eliminate, full_rank_probability, sufficient_samples

_GOAL = 0.95
_MOST_SUBSETS = 2_000_000
_FEWEST_TRIALS = 20
_TELLING_TRIALS = 100
# Multiplications for all success rates from samples that are enough: about half a minute; there are ten such rates.
_MOST_OPERATIONS = 10**11
# To draw 128 bits takes as long as so many.
_DRAW = 2500


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


def run(
    n: tuple[int, ...] = (20, 30, 50),
    k: int = 3,
    noise: tuple[float, ...] = (0.0, 0.01, 0.1, 0.3),
    trials: int = 200,
    curve: bool = True,
    seed: int = 0,
) -> Findings:
    """Measures how many samples elimination over GF(2) and exhaustive search need to find the support.

    Args:
        n: Numbers of inputs.
        k: Size of the support.
        noise: Probabilities that a label is wrong, below 1/2; elimination is tried with all of them.
        trials: How many parities to measure each success rate on.
        curve: Whether to measure success at several numbers of samples for the picture.
        seed: Decides supports, samples and noise.
    """
    check_int("k", k, at_least=1)
    check_int("trials", trials, at_least=_FEWEST_TRIALS, at_most=100_000)
    check_int("seed", seed, at_least=0, at_most=2**62)
    for size in n:
        check_int("n", size, at_least=k + 1, at_most=2000)
        if math.comb(size, k) > _MOST_SUBSETS:
            raise SettingError("n", size, f"has {math.comb(size, k):,} sets of {k}, take at most {_MOST_SUBSETS:,}")
    for rate in noise:
        if not 0 <= rate < 0.5:
            raise SettingError("noise", rate, "must be at least 0 and below 0.5")
    if not n or not noise:
        raise SettingError("n" if not n else "noise", (), "must name one at least")
    _check_work(n, k, noise, trials)
    rows = [
        _row(solver, size, k, rate, trials, seed)
        for size in n
        for rate in noise
        for solver in (_ELIMINATION, _BEST_SET)
    ]
    points = _curves(n[-1], k, noise, trials, seed) if curve else []
    choices = [
        "assumes: what a solver may assume beside its samples",
        f"samples: of the best set, the fewest with success in {_GOAL:.0%} of {trials // 2:,} trials, by bisection; of "
        f"elimination, the fewest that reach {_GOAL:.0%} by the closed form, or those with which success is likeliest",
        f"success: of {trials:,} other trials; a tie with the support is a failure",
        f"enough: samples that a law calls enough for {_GOAL:.0%}; there: success of the best set from as many",
        "intervals of claims: 95 % for all rates of a claim together; a law of ours that is not refuted counts as one "
        f"that holds from {_TELLING_TRIALS} trials on",
    ]
    more = {"success": points} if points else {}
    return Findings(
        rows, _claims(rows, k, trials), lambda figure: _draw(figure, points or rows, n[-1], k), choices, more
    )


def _check_work(n: tuple[int, ...], k: int, noise: tuple[float, ...], trials: int) -> None:
    """Refuses samples and trials that take hours."""
    total = 0
    for size in n:
        draw = _DRAW * math.ceil(size / 128)
        elimination = (2 * size + 20) * (draw + size * size // 8)
        for rate in noise:
            samples = sufficient_samples(size, k, rate)
            one = elimination + samples * (draw + size * math.comb(size, k - 1))
            if one * _FEWEST_TRIALS > _MOST_OPERATIONS:
                assumes = f"needs {samples:,} samples for {k} of n={size} inputs, too many to try: take a smaller one"
                raise (
                    SettingError("noise", rate, f"{assumes}, or smaller n")
                    if rate
                    else SettingError("n", size, assumes)
                )
            total += one
    if total * trials > _MOST_OPERATIONS:
        most = _MOST_OPERATIONS // total
        hint = f"too many for so many inputs, sets and samples: take at most {most:,}"
        if most < _FEWEST_TRIALS:
            raise SettingError("n", n, f"too many, with noise {noise}, to try each: take fewer of either")
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


def _row(solver: _Solver, n: int, k: int, noise: float, trials: int, seed: int) -> dict[str, Any]:
    enough, there = None, None
    if solver is _ELIMINATION:
        tries = range(n, 2 * n + 20)
        samples = max(tries, key=lambda samples: elimination_law(samples, n, noise))
        if elimination_law(samples, n, noise) >= _GOAL:
            samples = enough = next(tried for tried in tries if elimination_law(tried, n, noise) >= _GOAL)
    else:
        samples, enough = _fewest(n, k, noise, trials, seed), sufficient_samples(n, k, noise)
        there = _success(solver, n, k, noise, enough, trials, seed + trials)[0]
    share, seconds = _success(solver, n, k, noise, samples, trials, seed + trials)
    return {
        "solver": solver.name,
        "assumes": solver.assumes,
        "n": n,
        "noise": noise,
        "samples": samples,
        "success": round(share.value, 4),
        "low": round(share.low, 4),
        "high": round(share.high, 4),
        "enough": enough,
        "there": round(there.value, 4) if there else None,
        "ms": 1000 * seconds,
    }


def _claims(rows: list[dict[str, Any]], k: int, trials: int) -> list[Claim]:
    elimination = [row for row in rows if row["solver"] == "elimination"]
    best = [row for row in rows if row["solver"] == "best set"]
    claims = []
    if exact := [row for row in elimination if row["noise"] == 0]:
        spare = max(row["samples"] - row["n"] for row in exact)
        refuted = any(_share(row["success"], trials, len(exact)).high < _GOAL for row in exact)
        text = f"Section 2: elimination needs O(n) samples without noise: samples - n for {_GOAL:.0%}"
        claims.append(Claim(text, "O(n)", spare, _unless(refuted, trials)))
    p_values = []
    for row in elimination:
        law = elimination_law(row["samples"], row["n"], row["noise"])
        p_values.append(float(stats.binomtest(round(row["success"] * trials), trials, law).pvalue))
    p = min(1.0, min(p_values) * len(p_values))
    text = (
        f"elimination succeeds as often as n samples are independent, all labels right: smallest p of {len(p_values)}"
    )
    claims.append(Claim(f"{text}, times their number", "at least 0.01", p, _unless(p < 0.01, trials)))
    if noisy := [row for row in elimination if row["enough"] is None]:
        most = max(noisy, key=lambda row: row["success"])
        share = _share(most["success"], trials, len(noisy))
        text = f"Section 2: noise of {most['noise']:g} breaks elimination, however many samples: its best success rate"
        holds = True if share.high < _GOAL else False if share.low >= _GOAL else None
        claims.append(Claim(text, f"below {_GOAL}", share.value, holds, share.low, share.high))
    if clean := [row for row in best if row["noise"] == 0]:
        bits = [math.log2(math.comb(row["n"], k)) for row in clean]
        ratios = [row["samples"] / one for row, one in zip(clean, bits, strict=True)]
        text = "Section 2: Theta(log C(n,k)) samples are enough in principle: samples / log2 C(n,k), without noise"
        shares = [_share(row["there"], trials, len(clean)) for row in clean]
        # With fewer samples than bits there are fewer labels than supports to tell apart: of those so many are found.
        limits = [one + math.log2(_GOAL) for one in bits]
        found = [max(_share(row["success"], trials, len(clean)).low, 1e-9) for row in clean]
        samples = [row["samples"] for row in clean]
        impossible = any(m < one + math.log2(least) for m, one, least in zip(samples, bits, found, strict=True))
        refuted = impossible or any(share.high < _GOAL for share in shares)
        supported = min(m - limit for m, limit in zip(samples, limits, strict=True)) >= 0
        supported = supported and all(share.low >= _GOAL for share in shares)
        shown = f"{min(ratios):.2f} to {max(ratios):.2f}"
        claims.append(Claim(text, "at least 1, and bounded", shown, False if refuted else True if supported else None))
    least = min(best, key=lambda row: row["there"])
    share = _share(least["there"], trials, len(best))
    text = (
        "the best set succeeds from the samples of a union bound, with noise ~ 4 ln C(n,k) / (1-2 noise)^2: least rate"
    )
    holds = True if share.low >= _GOAL else False if share.high < _GOAL else None
    claims.append(Claim(text, f"at least {_GOAL}", share.value, holds, share.low, share.high))
    tried = ", ".join(f"n={n}: {math.comb(n, k):,}" for n in sorted({row["n"] for row in rows}))
    text = "Section 2: statistical queries, so SGD too, need Omega(n^k) of them; both solvers here read single examples"
    claims.append(Claim(text, "Omega(n^k)", f"sets of k tried: {tried}", None))
    return claims


def _share(value: float, trials: int, rates: int) -> Share:
    """A success rate with the interval that covers all of so many rates together (Bonferroni)."""
    return share_of(round(value * trials), trials, 1 - 0.05 / rates)


def _unless(refuted: bool, trials: int) -> bool | None:
    """Whether a law of ours holds: not told by too few trials."""
    return False if refuted else True if trials >= _TELLING_TRIALS else None


def _curves(n: int, k: int, noise: tuple[float, ...], trials: int, seed: int) -> list[dict[str, Any]]:
    """Success at several numbers of samples, for one n."""
    points = []
    for rate in noise:
        enough = sufficient_samples(n, k, rate)
        grids = {
            _ELIMINATION: np.unique([*np.linspace(n - 2, 2 * n, 10).astype(int).tolist(), n, n + 1, n + 2, n + 5]),
            _BEST_SET: np.unique(np.linspace(0.3 * enough, 1.1 * enough, 8).astype(int)),
        }
        for solver, grid in grids.items():
            for samples in grid.tolist():
                if samples < 1:
                    continue
                share, seconds = _success(solver, n, k, rate, samples, max(20, trials // 4), seed + 2 * trials)
                points.append(
                    {
                        "solver": solver.name,
                        "n": n,
                        "k": k,
                        "noise": rate,
                        "samples": samples,
                        "success": share.value,
                        "low": share.low,
                        "high": share.high,
                        "seconds": seconds,
                    }
                )
    return points


def _draw(figure: Figure, points: list[dict[str, Any]], n: int, k: int) -> None:
    figure.suptitle(f"Finding the support of the ({n}, {k})-parity without gradients")
    for axes, name in zip(figure.subplots(1, 2, sharey=True), ("elimination", "best set"), strict=True):
        own = [point for point in points if point["solver"] == name and point["n"] == n]
        for number, rate in enumerate(sorted({point["noise"] for point in own})):
            line = [point for point in own if point["noise"] == rate]
            samples = [point["samples"] for point in line]
            success = np.array([point["success"] for point in line])
            ends = np.array([[point["low"], point["high"]] for point in line]).T
            color, label = f"C{number}", f"noise {rate:g}"
            if name == "elimination":
                grid = np.arange(min(samples), max(samples) + 1)
                axes.plot(grid, [elimination_law(int(m), n, rate) for m in grid], color=color)
            else:
                enough = sufficient_samples(n, k, rate)
                axes.axvline(enough, color=color, linestyle=":")
                label += f", bound {enough:,}"
            axes.errorbar(samples, success, np.abs(ends - success), fmt="o", markersize=4, color=color, label=label)
        axes.axhline(_GOAL, color="gray", linewidth=0.8)
        corner = (1, 0.9) if name == "elimination" else (1, 0.01)
        axes.set(xlabel="samples", ylim=(-0.03, 1.03))
        # Where the curves leave room.
        axes.legend(fontsize=8, loc="upper right" if name == "elimination" else "lower right", bbox_to_anchor=corner)
    left, right = figure.axes
    left.set_ylabel("share of trials solved, 95 % interval")
    left.set_title("Elimination over GF(2), lines: closed form", fontsize=10)
    right.set_title("The set that agrees best, dotted: union bound", fontsize=10)
    right.set_xscale("log")
