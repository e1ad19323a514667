"""Convergence times of SGD against those of random search (Section 3.2)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Annotated, NamedTuple

import numpy as np
from matplotlib.figure import Figure

from parity_lightning.data.held_out import HELD_OUT
from parity_lightning.data.sparse_parity import SparseParity
from parity_lightning.display.style import BLUE, VERMILION, legend
from parity_lightning.errors import SettingError
from parity_lightning.experiments.convergence_times import train
from parity_lightning.experiments.findings import Findings
from parity_lightning.experiments.options import BoundedOptions, Bounds, Count, Seed
from parity_lightning.experiments.recorded_times import Sample, read_trials
from parity_lightning.experiments.work_limits import check_langevin_search, check_searches, check_training
from parity_lightning.statistics import memoryless
from parity_lightning.statistics.survival import share_of, survival_of
from parity_lightning.studies.claims import Claim, Estimate, Statement
from parity_lightning.theory.random_search import langevin_search, search_subsets

_LEVEL = 0.01
_FEWEST_TRIALS, _MOST_TRIALS = 10, 100_000
_EXAMPLES, _UNITS = 40, 4
_FEW = 5
_TELLING, _TELLING_SHARE, _TELLING_DEVIATION = 100, 0.9, 0.1
_LANGEVIN = "Langevin"
_CAVEAT = f"{_TELLING} trials and {_TELLING_SHARE:.0%} of all solved, enough for the smallest p to be below the level"

_SECTION = "Section 3.2"
_GEOMETRIC = (
    "The success times of random exhaustive search would be distributed as Geom(1/C(n,k)), whose probability mass is "
    "highest at t = 0 and decreases monotonically with t."
)
_NO_EARLY = (
    'Over a large number of random trials, no copies of this randomized algorithm get "lucky" (i.e. solve the '
    "problem in significantly fewer than the median number of iterations)"
)
_FAR_FROM_SOLVED = (
    "under all standard architectures and initialization, the probability that a random network is Omega(1)-correlated "
    "with a sparse parity would be 2^-Omega(n)"
)

_Number = Annotated[int, Bounds(at_least=_FEWEST_TRIALS, at_most=_MOST_TRIALS)]
_Inputs = Annotated[int, Bounds(at_least=1, at_most=10_000)]


@dataclass(frozen=True)
class Options(BoundedOptions):
    """Options of the experiment.

    Attributes:
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
        langevin_n: Inputs of the parities of two that networks of 4 units find by moving at random.
        langevin_networks: How many of these networks.
        langevin_step: How far they go at each step, above 0 to 1: 1 forgets everything.
        langevin_tries: How many tries each has.
        seed: Decides everything random.
    """

    n: _Inputs = 20
    k: Count = 3
    networks: _Number = 300
    width: Count = 100
    batch_size: Count = 32
    lr: Annotated[float, Bounds(above=0, below=math.inf)] = 0.1
    every: Count = 5
    max_steps: Count = 5000
    trials: str | None = None
    search_n: _Inputs = 10
    search_k: Count = 3
    searches: _Number = 2000
    langevin_n: Annotated[tuple[int, ...], Bounds(at_least=2, at_most=10)] = (2, 3)
    langevin_networks: _Number = 200
    langevin_step: Annotated[float, Bounds(above=0, at_most=1)] = 0.1
    langevin_tries: Count = 60_000
    seed: Seed = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        for option, value, most in (("k", self.k, self.n), ("search_k", self.search_k, self.search_n)):
            if value > most:
                raise SettingError(option, value, f"must be at most {most:,}")
        if self.max_steps < self.every:
            raise SettingError("max_steps", self.max_steps, f"must be at least {self.every:,}")
        check_searches(self.search_n, self.subsets, self.searches, _EXAMPLES, _FEWEST_TRIALS)
        if self.trials is None:
            check_training(self.n, self.networks, self.width, self.batch_size, self.max_steps, self.every)
        for n in self.langevin_n:
            check_langevin_search(n, _UNITS, self.langevin_networks, self.langevin_tries)

    @property
    def subsets(self) -> int:
        """How many sets are searched."""
        return math.comb(self.search_n, self.search_k)


class Row(NamedTuple):
    """The times of a search, and the p values of tests of them.

    Attributes:
        search: What searched.
        n: Inputs of the parity.
        k: Size of the support.
        trials: How many trials.
        solved: How many of them were solved.
        mean: The mean time, where unsolved trials count by what they waited.
        first: The time of the fastest trial.
        spread: Standard deviation over mean.
        p_law: The p value of so large a deviation from the law, if one is known.
        p_early: The p value of no success before the fastest trial's, if times have no memory.
        p_narrow: The p value of so small a spread, if times have no memory.
        p_wide: The p value of so large a spread, if times have no memory.
    """

    search: str
    n: int
    k: int
    trials: int
    solved: int
    mean: float | None
    first: float | None
    spread: float
    p_law: float | None
    p_early: float
    p_narrow: float
    p_wide: float


class Time(NamedTuple):
    """The time of a trial; None if it was not solved."""

    search: str
    n: int
    k: int
    time: float | None


def run(options: Options) -> Findings:
    """Tests whether SGD's convergence times can be those of a random search."""
    sgd, searched, moving = _sgd(options), _searches(options), _langevin(options)
    samples = [*searched, *moving, *sgd]
    # Of claims of one kind each is tested at the level over their number; a search by moving has three tests.
    levels = [
        *(_LEVEL / len(searched) for _ in searched),
        *(_LEVEL / (3 * len(moving)) for _ in moving),
        *(_LEVEL / len(sgd) for _ in sgd),
    ]
    rows = [_row(sample, level, options.seed) for sample, level in zip(samples, levels, strict=True)]
    claims = [
        claim
        for sample, level, row in zip(samples, levels, rows, strict=True)
        for claim in _claims(sample, level, row, options.seed)
    ]
    claims += [*_growth(moving), *_calibration(sgd[0], options.seed)]
    choices = [
        f"level of the tests: {_LEVEL} over the number of claims of one kind, and of tests in a claim",
        "p early is exact for times without rounding, p narrow and p wide are by Monte Carlo; a search in random "
        "order does have a memory, of the sets it tried",
        f"times that no test refutes count as memoryless if at least {_TELLING} trials and {_TELLING_SHARE:.0%} of all "
        f"were solved; as those of a law if a deviation of {_TELLING_DEVIATION} would have been told",
        "early convergence is refuted if a trial took less than a tenth of the median",
        f"a set is tried on {_EXAMPLES} fresh examples; a Langevin network has {_UNITS} ReLU units, standard normal "
        "parameters",
    ]
    if options.trials is None:
        choices.append(
            f"ReLU MLP of width {options.width}, uniform Xavier initialization, hinge loss, B={options.batch_size}, "
            f"lr={options.lr:g}"
        )
        choices.append(f"solved: no error on {HELD_OUT:,} held-out examples, looked at every {options.every} steps")
    times = [
        Time(sample.search, sample.n, sample.k, time if math.isfinite(time) else None)
        for sample in samples
        for time in sample.times.tolist()
    ]
    return Findings(rows, claims, partial(_draw, sgd[0]), choices, {"times": times}, size=(8, 4.5))


def _sgd(options: Options) -> list[Sample]:
    """The times of trials on record, or of networks trained here."""
    if options.trials is not None:
        return read_trials(options.trials)
    n, k, seed, every, max_steps = options.n, options.k, options.seed, options.every, options.max_steps
    parities = SparseParity(n, k).with_seeds(range(seed, seed + options.networks))
    times = train(parities, options.width, options.batch_size, options.lr, every, max_steps, seed)
    return [Sample("SGD", n, k, times, every, max_steps)]


def _searches(options: Options) -> list[Sample]:
    """Searches among sets of coordinates: in random order, and drawn anew each time."""
    n, k, seed = options.search_n, options.search_k, options.seed
    parity = SparseParity(n, k, seed=seed)
    laws = {False: memoryless.uniform_law(options.subsets), True: memoryless.geometric_law(1 / options.subsets)}
    return [
        Sample(
            "drawn anew" if again else "random order",
            n,
            k,
            search_subsets(parity, options.searches, again, _EXAMPLES, seed),
            law=law,
        )
        for again, law in laws.items()
    ]


def _langevin(options: Options) -> list[Sample]:
    """Searches among networks whose parameters move at random."""
    networks, step, tries = options.langevin_networks, options.langevin_step, options.langevin_tries
    return [
        Sample(_LANGEVIN, n, 2, langevin_search(n, 2, _UNITS, networks, step, tries, options.seed), 1, tries)
        for n in options.langevin_n
    ]


def _row(sample: Sample, level: float, seed: int) -> Row:
    times, every, limit = sample.times, sample.every, sample.limit
    solved = int(np.isfinite(times).sum())
    mean = every / memoryless.rate_of(times, every, limit) if solved else None
    draws = memoryless.samples_for(len(times), level)
    return Row(
        sample.search,
        sample.n,
        sample.k,
        len(times),
        solved,
        mean if mean is None or mean < 100 else round(mean),
        float(times.min()) if solved else None,
        memoryless.variation(memoryless.waited(times, limit)),
        memoryless.deviation_pvalue(times, sample.law) if sample.law else None,
        memoryless.first_success_pvalue(times, every, limit),
        memoryless.dispersion_pvalue(times, every, limit, draws, seed),
        memoryless.dispersion_pvalue(times, every, limit, draws, seed, wide=True),
    )


def _telling(sample: Sample, level: float) -> bool:
    """Whether tests that refute nothing say something: trials enough, most solved, and a p that can be small enough."""
    trials, solved = len(sample.times), np.isfinite(sample.times).sum()
    possible = 1 / (1 + memoryless.samples_for(trials, level)) < level
    return bool(solved >= max(_TELLING, _TELLING_SHARE * trials) and possible)


def _claims(sample: Sample, level: float, row: Row, seed: int) -> list[Claim]:
    if row.p_law is not None:
        return [_lawful(sample, level, row.p_law)]
    if sample.search == _LANGEVIN:
        return [_forgetful(sample, level, row, seed)]
    return _late(sample, level, row, seed)


def _found(value: float | str, row: Row) -> Estimate:
    return Estimate(value, n=row.trials, censored=row.trials - row.solved)


def _key(sample: Sample) -> str:
    return f"{sample.search.replace(', ', '-').replace(' ', '-')}-n{sample.n}-k{sample.k}"


def _lawful(sample: Sample, level: float, p: float) -> Claim:
    law = "geometric" if "drawn" in sample.search else "uniform"
    told = memoryless.told_deviation(len(sample.times), level)
    text = (
        f"times of exhaustive search are {law} ({sample.search}, ({sample.n}, {sample.k})): p of so large a deviation, "
        f"where one above {told:.2g} would be told"
    )
    statement = Statement(f"law-{_key(sample)}", text, _SECTION, _GEOMETRIC, f"{law}: p at least {level:.2g}")
    return Claim.not_rejected(
        statement,
        Estimate(p, n=len(sample.times)),
        level,
        conclusive=told <= _TELLING_DEVIATION,
        caveat=f"trials enough to tell a deviation of {_TELLING_DEVIATION}",
    )


def _forgetful(sample: Sample, level: float, row: Row, seed: int) -> Claim:
    """Whether a search has no memory: neither a late start, nor times too much alike, nor a mixture of rates."""
    text = f"a search over parameters is memoryless ({sample.search}, ({sample.n}, {sample.k}))"
    worst: float | str = f"{row.solved} solved: too few"
    if row.solved >= _FEW:
        draws = memoryless.samples_for(len(sample.times), level)
        spreads = memoryless.simulated_spreads(sample.times, sample.every, sample.limit, draws, seed)
        low, high = np.quantile(spreads, [level, 1 - level])
        text += f": smallest p of three, where a spread below {low:.2f} or above {high:.2f} would be told"
        worst = min(row.p_early, row.p_narrow, row.p_wide)
    statement = Statement(f"memoryless-{_key(sample)}", text, _SECTION, paper=f"memoryless: p at least {level:.2g}")
    return Claim.not_rejected(statement, _found(worst, row), level, conclusive=_telling(sample, level), caveat=_CAVEAT)


def _late(sample: Sample, level: float, row: Row, seed: int) -> list[Claim]:
    key, name = _key(sample), f"{sample.search}, ({sample.n}, {sample.k})"
    if row.solved < _FEW:
        statement = Statement(f"early-{key}", f"no early convergence ({name})", _SECTION, _NO_EARLY, "none early")
        return [Claim.reported(statement, _found(f"{row.solved} solved: too few", row))]
    times, every, trials = sample.times, sample.every, len(sample.times)
    rate = memoryless.rate_of(times, every, sample.limit)
    # Looks before the fastest trial's: none of them may have been a success.
    expected = trials * float(memoryless.geometric_law(rate)(times.min() / every - 1))
    text = (
        f"no early convergence ({name}): p of no success before step {times.min():,.0f}, where a geometric law of the "
        f"same mean has {expected:.0f} of {trials:,}"
    )
    telling, not_geometric = _telling(sample, level), f"not geometric: p below {level:.2g}"
    claims = [
        Claim.rejected(
            Statement(f"early-{key}", text, _SECTION, _NO_EARLY, f"none early: p below {level:.2g}"),
            _found(row.p_early, row),
            level,
            conclusive=bool(times.min() < 0.1 * np.median(times)),
            caveat="a trial that took less than a tenth of the median",
        ),
        Claim.rejected(
            Statement(
                f"narrow-{key}",
                f"the times are not geometric ({name}): p of so small a spread",
                _SECTION,
                _GEOMETRIC,
                not_geometric,
            ),
            _found(row.p_narrow, row),
            level,
            conclusive=telling,
            caveat=_CAVEAT,
        ),
    ]
    if row.solved == trials and trials > 2:
        draws = memoryless.samples_for(trials, level)
        later = memoryless.dispersion_pvalue(memoryless.after_the_first(times, every), every, math.inf, draws, seed)
        text = f"nor geometric from the fastest trial's step on ({name}): p of so small a spread"
        statement = Statement(f"narrow-later-{key}", text, paper=not_geometric)
        claims.append(Claim.rejected(statement, _found(later, row), level, conclusive=telling, caveat=_CAVEAT))
    return claims


def _growth(moving: Sequence[Sample]) -> list[Claim]:
    """How rare a network of random parameters is that computes the parity."""
    if len(moving) < 2:
        return []
    tries = [(sample.n, memoryless.rate_of(sample.times, 1, sample.limit)) for sample in moving]
    found = "; ".join(f"n={n}: 1 try in {1 / rate:,.0f}" if rate else f"n={n}: none" for n, rate in tries)
    text = "random initializations are close to a solution with probability 2^-Omega(n), far below n^-k"
    return [Claim.reported(Statement("rarity", text, _SECTION, _FAR_FROM_SOLVED, "2^-Omega(n)"), Estimate(found))]


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
            p = (
                memoryless.first_success_pvalue(times, every, limit)
                if test == "p early"
                else memoryless.dispersion_pvalue(times, every, limit, 99, seed + repeat)
            )
            alarms += p <= 0.05
        text = (
            f"false alarms of '{test}' at 0.05, on {repeats:,} samples of {trials:,} geometric times of the same mean; "
            "97.5 % interval, of two"
        )
        statement = Statement(f"false-alarms-{test.replace(' ', '-')}", text, paper="at most 0.05, surely below 0.1")
        found = Estimate(*share_of(alarms, repeats, 0.975), n=repeats)
        claims.append(Claim.at_most(statement, found, 0.1, strict=True, refuted_above=0.05))
    return claims


def _draw(sample: Sample, figure: Figure) -> None:
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
        histogram.hist(solved, edges, color=BLUE, alpha=0.7, label="measured")
        looks = np.floor(edges / sample.every)
        expected = len(sample.times) * np.diff(law(looks))
        histogram.stairs(expected, edges, color=VERMILION, linewidth=2, label=label)
        curve = survival_of(sample.times, int(np.max(memoryless.waited(sample.times, sample.limit))))
        steps = np.concatenate([[0], curve.steps])
        survival.step(steps, np.concatenate([[1.0], curve.share]), where="post", color=BLUE, label="measured")
        left = curve.share > 0
        band = (curve.steps[left], curve.low[left], curve.high[left])
        survival.fill_between(*band, step="post", color=BLUE, alpha=0.2, label="95 %")
        grid = np.linspace(0, most, 200)
        survival.semilogy(grid, 1 - law(grid / sample.every), color=VERMILION, label=label)
        survival.set_ylim(0.3 / len(sample.times), 1.5)
    histogram.set(xlabel="steps to convergence", ylabel="trials")
    histogram.set_title("When trials were solved")
    survival.set(xlabel="steps", ylabel="share not yet solved")
    survival.set_title("Without memory: a straight line")
    for axes in (histogram, survival):
        legend(axes)
