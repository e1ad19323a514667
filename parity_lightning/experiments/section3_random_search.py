"""Convergence times of SGD against those of random search (Section 3.2)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from parity_lightning.data.sparse_parity import SparseParity
from parity_lightning.errors import SettingError, check_int
from parity_lightning.experiments.convergence_times import HELD_OUT, check_training, train
from parity_lightning.experiments.findings import Claim, Findings
from parity_lightning.experiments.recorded_times import Sample, read_trials
from parity_lightning.statistics import memoryless
from parity_lightning.statistics.survival import share_of, survival_of
from parity_lightning.theory.random_search import check_langevin_search, langevin_search, search_subsets

_LEVEL = 0.01
_MOST_TRIES = 20_000_000
_MOST_NUMBERS = 50_000_000
_EXAMPLES, _UNITS = 40, 4
_FEW = 5
_TELLING, _TELLING_SHARE, _TELLING_DEVIATION = 100, 0.9, 0.1


def run(
    n: int = 20,
    k: int = 3,
    networks: int = 300,
    width: int = 100,
    batch_size: int = 32,
    lr: float = 0.1,
    every: int = 5,
    max_steps: int = 5000,
    trials: str | None = None,
    search_n: int = 10,
    search_k: int = 3,
    searches: int = 2000,
    langevin_n: tuple[int, ...] = (2, 3),
    langevin_networks: int = 200,
    langevin_step: float = 0.1,
    langevin_tries: int = 60_000,
    seed: int = 0,
) -> Findings:
    """Tests whether SGD's convergence times can be those of a random search.

    Args:
        n: Inputs of the parity that SGD learns.
        k: Size of its support.
        networks: How many networks SGD trains, each with a support and examples of its own.
        width: Their hidden ReLU units.
        batch_size: Examples in a batch.
        lr: The learning rate.
        every: After how many steps to look whether a network is right on all held-out examples.
        max_steps: How many steps each network is given.
        trials: A Parquet file of `parity-lightning trials`, whose times are tested instead of training networks here.
        search_n: Inputs of the parity whose support is searched among sets of coordinates.
        search_k: Size of that support.
        searches: How many such searches of either kind.
        langevin_n: Inputs of the parities of two that networks of 4 units find by wandering at random.
        langevin_networks: How many of these networks.
        langevin_step: How far they go at each step, above 0 to 1: 1 forgets everything.
        langevin_tries: How many tries each has.
        seed: Decides everything random.
    """
    check_int("n", n, at_least=1, at_most=10_000)
    check_int("k", k, at_least=1, at_most=n)
    counts = {"networks": networks, "searches": searches, "langevin_networks": langevin_networks}
    for name, count in counts.items():
        check_int(name, count, at_least=10, at_most=100_000)
    for name, count in {
        "width": width,
        "batch_size": batch_size,
        "every": every,
        "langevin_tries": langevin_tries,
    }.items():
        check_int(name, count, at_least=1)
    check_int("max_steps", max_steps, at_least=every)
    check_int("search_n", search_n, at_least=1, at_most=10_000)
    check_int("search_k", search_k, at_least=1, at_most=search_n)
    for size in langevin_n:
        check_int("langevin_n", size, at_least=2, at_most=10)
    check_int("seed", seed, at_least=0, at_most=2**63)
    subsets = math.comb(search_n, search_k)
    fitting = min(_MOST_TRIES // subsets, _MOST_NUMBERS // (_EXAMPLES * search_n))
    if searches > fitting:
        hint = (
            f"there are {subsets:,} sets to search: take at most {fitting:,}"
            if fitting
            else "has too many sets to search"
        )
        raise SettingError(*(("searches", searches) if fitting >= 10 else ("search_n", search_n)), hint)
    for name, positive, most in (("lr", lr, math.inf), ("langevin_step", langevin_step, 1)):
        if not 0 < positive <= most:
            raise SettingError(name, positive, "must be above 0" + (", at most 1" if most == 1 else ""))
    if trials is None:
        check_training(n, networks, width, batch_size, max_steps, every)
    for size in langevin_n:
        check_langevin_search(size, _UNITS, langevin_networks, langevin_tries)

    if trials is None:
        parities = SparseParity(n, k).with_seeds(range(seed, seed + networks))
        times = train(parities, width, batch_size, lr, every, max_steps, seed)
        sgd = [Sample("SGD", n, k, times, every, max_steps)]
    else:
        sgd = read_trials(trials)
    parity = SparseParity(search_n, search_k, seed=seed)
    searched = [
        Sample(
            "random order" if not again else "drawn anew",
            search_n,
            search_k,
            search_subsets(parity, searches, again, _EXAMPLES, seed),
            law=memoryless.geometric_law(1 / subsets) if again else memoryless.uniform_law(subsets),
        )
        for again in (False, True)
    ]
    wandered = [
        Sample(
            "wandering",
            size,
            2,
            langevin_search(size, 2, _UNITS, langevin_networks, langevin_step, langevin_tries, seed),
            1,
            langevin_tries,
        )
        for size in langevin_n
    ]
    samples = [*searched, *wandered, *sgd]
    # Of claims of one kind each is tested at the level over their number; a wandering has three tests.
    levels = [
        _LEVEL / (len(searched) if sample.law else 3 * len(wandered) if sample.search == "wandering" else len(sgd))
        for sample in samples
    ]
    rows = [_row(sample, level, seed) for sample, level in zip(samples, levels, strict=True)]
    claims = [
        claim
        for sample, level, row in zip(samples, levels, rows, strict=True)
        for claim in _claims(sample, level, row, seed)
    ]
    claims += [*_growth(wandered), *_calibration(sgd[0], seed)]
    choices = [
        f"level of the tests: {_LEVEL} over the number of claims of one kind, and of tests in a claim",
        "'p early' is exact for times without rounding, 'p narrow' and 'p wide' are by Monte Carlo; a search in random "
        "order does have a memory, of the sets it tried",
        f"times that no test refutes count as memoryless if at least {_TELLING} trials and {_TELLING_SHARE:.0%} of all "
        f"were solved; as those of a law if a deviation of {_TELLING_DEVIATION} would have been told",
        "early convergence is refuted if a trial took less than a tenth of the median",
        f"a set is tried on {_EXAMPLES} fresh examples; a wandering network has {_UNITS} ReLU units, standard normal "
        "parameters",
    ]
    if trials is None:
        choices.append(
            f"ReLU MLP of width {width}, uniform Xavier initialization, hinge loss, B={batch_size}, lr={lr:g}"
        )
        choices.append(f"solved: no error on {HELD_OUT:,} held-out examples, looked at every {every} steps")
    every_trial = [
        {"search": sample.search, "n": sample.n, "k": sample.k, "time": time if math.isfinite(time) else None}
        for sample in samples
        for time in sample.times.tolist()
    ]
    return Findings(rows, claims, lambda figure: _draw(figure, sgd[0]), choices, {"times": every_trial})


def _row(sample: Sample, level: float, seed: int) -> dict[str, Any]:
    times, every, limit = sample.times, sample.every, sample.limit
    solved = int(np.isfinite(times).sum())
    mean = every / memoryless.rate_of(times, every, limit) if solved else None
    draws = memoryless.samples_for(len(times), level)
    return {
        "search": sample.search,
        "n": sample.n,
        "k": sample.k,
        "trials": len(times),
        "solved": solved,
        "mean": mean if mean is None or mean < 100 else round(mean),
        "first": float(times.min()) if solved else None,
        "spread": memoryless.variation(memoryless.waited(times, limit)),
        "p law": memoryless.deviation_pvalue(times, sample.law) if sample.law else None,
        "p early": memoryless.first_success_pvalue(times, every, limit),
        "p narrow": memoryless.dispersion_pvalue(times, every, limit, draws, seed),
        "p wide": memoryless.dispersion_pvalue(times, every, limit, draws, seed, wide=True),
    }


def _telling(sample: Sample, level: float) -> bool:
    """Whether tests that refute nothing say something: trials enough, most solved, and a p that can be small enough."""
    trials, solved = len(sample.times), np.isfinite(sample.times).sum()
    possible = 1 / (1 + memoryless.samples_for(trials, level)) < level
    return bool(solved >= max(_TELLING, _TELLING_SHARE * trials) and possible)


def _claims(sample: Sample, level: float, row: dict[str, Any], seed: int) -> list[Claim]:
    if sample.law:
        return [_lawful(sample, level, row["p law"])]
    if sample.search == "wandering":
        return [_forgetful(sample, level, row, seed)]
    return _late(sample, level, row, seed)


def _lawful(sample: Sample, level: float, p: float) -> Claim:
    law = "geometric" if "drawn" in sample.search else "uniform"
    message = memoryless.told_deviation(len(sample.times), level)
    text = (
        f"Section 3.2: times of exhaustive search are {law} ({sample.search}, ({sample.n}, {sample.k})): p of so large "
        f"a deviation, where one above {message:.2g} would be told"
    )
    holds = False if p < level else True if message <= _TELLING_DEVIATION else None
    return Claim(text, f"{law}: p at least {level:.2g}", p, holds)


def _forgetful(sample: Sample, level: float, row: dict[str, Any], seed: int) -> Claim:
    """Whether a wandering has no memory: neither a late start, nor times too much alike, nor a mixture of rates."""
    text = f"Section 3.2: a search over parameters is memoryless (wandering, ({sample.n}, {sample.k}))"
    law = f"memoryless: p at least {level:.2g}"
    if row["solved"] < _FEW:
        return Claim(text, law, f"{row['solved']} solved: too few", None)
    draws = memoryless.samples_for(len(sample.times), level)
    spreads = memoryless.simulated_spreads(sample.times, sample.every, sample.limit, draws, seed)
    low, high = np.quantile(spreads, [level, 1 - level])
    worst = min(row["p early"], row["p narrow"], row["p wide"])
    holds = False if worst < level else True if _telling(sample, level) else None
    text += f": smallest p of three, where a spread below {low:.2f} or above {high:.2f} would be told"
    return Claim(text, law, worst, holds)


def _late(sample: Sample, level: float, row: dict[str, Any], seed: int) -> list[Claim]:
    name, solved = f"{sample.search}, ({sample.n}, {sample.k})", row["solved"]
    if solved < _FEW:
        return [Claim(f"Section 3.2: no early convergence ({name})", "none early", f"{solved} solved: too few", None)]
    times, every, trials = sample.times, sample.every, len(sample.times)
    rate = memoryless.rate_of(times, every, sample.limit)
    # Looks before the fastest trial's: none of them may have been a success.
    expected = trials * float(memoryless.geometric_law(rate)(times.min() / every - 1))
    lucky = times.min() < 0.1 * np.median(times)
    claims = [
        Claim(
            f"Section 3.2: no early convergence ({name}): p of no success before step {times.min():,.0f}, where a "
            f"geometric law of the same mean has {expected:.0f} of {trials:,}",
            f"none early: p below {level:.2g}",
            row["p early"],
            _refuted(row["p early"], level, compatible=bool(lucky)),
        ),
        Claim(
            f"Section 3.2: the times are not geometric ({name}): p of so small a spread",
            f"not geometric: p below {level:.2g}",
            row["p narrow"],
            _refuted(row["p narrow"], level, compatible=_telling(sample, level)),
        ),
    ]
    if solved == trials and trials > 2:
        draws = memoryless.samples_for(trials, level)
        later = memoryless.dispersion_pvalue(memoryless.after_the_first(times, every), every, math.inf, draws, seed)
        text = f"nor geometric from the fastest trial's step on ({name}): p of so small a spread"
        holds = _refuted(later, level, compatible=_telling(sample, level))
        claims.append(Claim(text, f"not geometric: p below {level:.2g}", later, holds))
    return claims


def _refuted(p: float, level: float, compatible: bool) -> bool | None:
    """Whether random search is refuted; None if a larger p may be for want of trials, or of looks, alone."""
    return True if p < level else False if compatible else None


def _growth(wandered: Sequence[Sample]) -> list[Claim]:
    """How rare a network of random parameters is that computes the parity."""
    tries = [(sample.n, memoryless.rate_of(sample.times, 1, sample.limit)) for sample in wandered]
    found = "; ".join(f"n={n}: 1 try in {1 / rate:,.0f}" if rate else f"n={n}: none" for n, rate in tries)
    text = "Section 3.2: random initializations are close to a solution with probability 2^-Omega(n), far below n^-k"
    return [Claim(text, "2^-Omega(n)", found, None)] if len(tries) > 1 else []


def _calibration(sample: Sample, seed: int) -> list[Claim]:
    """How often the two tests raise a false alarm, on samples as large of geometric times of the same mean."""
    generator = np.random.default_rng(seed)
    rate = memoryless.rate_of(sample.times, sample.every, sample.limit) or 0.1
    trials, every, limit = min(len(sample.times), 2000), sample.every, float(np.max(sample.limit))
    claims = []
    for test, repeats in (("p early", 1000), ("p narrow", 400)):
        alarms = 0
        for repeat in range(repeats):
            drawn = every * generator.geometric(rate, trials).astype(np.float64)
            times = np.where(drawn <= limit, drawn, np.inf)
            early = test == "p early"
            p = (
                memoryless.first_success_pvalue(times, every, limit)
                if early
                else memoryless.dispersion_pvalue(times, every, limit, 99, seed + repeat)
            )
            alarms += p <= 0.05
        share = share_of(alarms, repeats, 0.975)
        text = (
            f"false alarms of '{test}' at 0.05, on {repeats:,} samples of {trials:,} geometric times of the same mean"
        )
        holds = False if share.low > 0.05 else True if share.high < 0.1 else None
        message = "at most 0.05, surely below 0.1"
        claims.append(Claim(f"{text}; 97.5 % interval, of two", message, share.value, holds, share.low, share.high))
    return claims


def _draw(figure: Figure, sample: Sample) -> None:
    histogram, survival = figure.subplots(1, 2)
    solved = sample.times[np.isfinite(sample.times)]
    figure.suptitle(f"{sample.search} on the ({sample.n}, {sample.k})-parity: {len(sample.times):,} trials")
    if len(solved):
        rate = memoryless.rate_of(sample.times, sample.every, sample.limit)
        law = memoryless.geometric_law(rate)
        most = 1.6 * float(solved.max())
        width = sample.every * max(1, math.ceil(most / sample.every / 40))
        # Edges between looks, so that no time stands on one.
        edges = np.arange(0, most + width, width) + sample.every / 2
        edges[0] = 0
        label = f"geometric, mean {sample.every / rate:,.0f}"
        histogram.hist(solved, edges, color="C0", alpha=0.7, label="measured")
        looks = np.floor(edges / sample.every)
        expected = len(sample.times) * np.diff(law(looks))
        histogram.stairs(expected, edges, color="C3", linewidth=2, label=label)
        curve = survival_of(sample.times, int(np.max(memoryless.waited(sample.times, sample.limit))))
        steps = np.concatenate([[0], curve.steps])
        survival.step(steps, np.concatenate([[1.0], curve.share]), where="post", color="C0", label="measured")
        left = curve.share > 0
        band = (curve.steps[left], curve.low[left], curve.high[left])
        survival.fill_between(*band, step="post", color="C0", alpha=0.2, label="95 %")
        grid = np.linspace(0, most, 200)
        survival.semilogy(grid, 1 - law(grid / sample.every), color="C3", label=label)
        survival.set_ylim(0.3 / len(sample.times), 1.5)
    histogram.set(xlabel="steps to convergence", ylabel="trials", title="When trials were solved")
    survival.set(xlabel="steps", ylabel="share not yet solved", title="Without memory: a straight line")
    for axes in (histogram, survival):
        if axes.get_legend_handles_labels()[1]:
            axes.legend(fontsize=8)
