"""Measures how many samples the solvers need."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np

from parity_lightning.experiments.findings import Findings
from parity_lightning.experiments.section2_solvers.claims import TELLING_TRIALS, make_claims
from parity_lightning.experiments.section2_solvers.options import Options
from parity_lightning.experiments.section2_solvers.picture import draw_picture
from parity_lightning.experiments.section2_solvers.rows import Point, Row
from parity_lightning.experiments.section2_solvers.solving import (
    BEST_SET,
    ELIMINATION,
    GOAL,
    Solver,
    fewest_samples,
    success_rate,
)
from parity_lightning.theory.solver_laws import elimination_law, sufficient_samples


def run(options: Options) -> Findings:
    """Measures how many samples elimination over GF(2) and exhaustive search need to find the support."""
    k, trials = options.k, options.trials
    rows = [
        _row(solver, n, k, noise, trials, options.seed)
        for n in options.n
        for noise in options.noise
        for solver in (ELIMINATION, BEST_SET)
    ]
    points = _curves(options.n[-1], k, options.noise, trials, options.seed) if options.curve else []
    choices = [
        "assumes: what a solver may assume beside its samples",
        f"samples: of the best set, the fewest with success in {GOAL:.0%} of {trials // 2:,} trials, by bisection; of "
        f"elimination, the fewest that reach {GOAL:.0%} by the closed form, or those with which success is likeliest",
        f"success: of {trials:,} other trials; a tie with the support is a failure",
        f"enough: samples that a law calls enough for {GOAL:.0%}; success at enough: of the best set from as many",
        "intervals of claims: 95 % for all rates of a claim together; a law of ours that is not refuted counts as one "
        f"that holds from {TELLING_TRIALS} trials on",
    ]
    draw = partial(draw_picture, points or _points(rows, k), options.n[-1], k)
    return Findings(rows, make_claims(rows, k, trials), draw, choices, {"success": points} if points else {})


def _row(solver: Solver, n: int, k: int, noise: float, trials: int, seed: int) -> Row:
    """Finds out how many samples a solver needs, and measures its success with as many on other trials."""
    enough, there = None, None
    if solver is ELIMINATION:
        tries = range(n, 2 * n + 20)
        samples = max(tries, key=lambda samples: elimination_law(samples, n, noise))
        if elimination_law(samples, n, noise) >= GOAL:
            samples = enough = next(tried for tried in tries if elimination_law(tried, n, noise) >= GOAL)
    else:
        samples, enough = fewest_samples(n, k, noise, trials, seed), sufficient_samples(n, k, noise)
        there = round(success_rate(solver, n, k, noise, enough, trials, seed + trials)[0].value, 4)
    share, seconds = success_rate(solver, n, k, noise, samples, trials, seed + trials)
    success, low, high = (round(each, 4) for each in share)
    return Row(solver.name, solver.assumes, n, noise, samples, success, low, high, enough, there, 1000 * seconds)


def _curves(n: int, k: int, noise: Sequence[float], trials: int, seed: int) -> list[Point]:
    """The success of both solvers with several numbers of samples, for one n."""
    points = []
    for rate in noise:
        enough = sufficient_samples(n, k, rate)
        grids = {
            ELIMINATION: np.unique([*np.linspace(n - 2, 2 * n, 10).astype(int).tolist(), n, n + 1, n + 2, n + 5]),
            BEST_SET: np.unique(np.linspace(0.3 * enough, 1.1 * enough, 8).astype(int)),
        }
        for solver, grid in grids.items():
            for samples in grid[grid >= 1].tolist():
                share, seconds = success_rate(solver, n, k, rate, samples, max(20, trials // 4), seed + 2 * trials)
                points.append(Point(solver.name, n, k, rate, samples, *share, seconds))
    return points


def _points(rows: Sequence[Row], k: int) -> list[Point]:
    """The rows of the table as points, for a picture without curves."""
    return [
        Point(row.solver, row.n, k, row.noise, row.samples, row.success, row.low, row.high, row.ms / 1000)
        for row in rows
    ]
