"""Measures the times of searches and of SGD, and tests whether they have a memory."""

from __future__ import annotations

from functools import partial

import numpy as np

from parity_lightning.data.held_out import HELD_OUT
from parity_lightning.data.sparse_parity import SparseParity
from parity_lightning.experiments.convergence_times import train
from parity_lightning.experiments.estimates import finite
from parity_lightning.experiments.findings import Findings
from parity_lightning.experiments.recorded_times import Sample, read_trials
from parity_lightning.experiments.section3_random_search.claims import (
    DETECTED_DEVIATION,
    LEVEL,
    TELLING,
    TELLING_SHARE,
    make_claims,
    rarity_claims,
)
from parity_lightning.experiments.section3_random_search.false_alarms import false_alarm_claims
from parity_lightning.experiments.section3_random_search.options import EXAMPLES, UNITS, Options
from parity_lightning.experiments.section3_random_search.picture import draw_picture
from parity_lightning.experiments.section3_random_search.rows import LANGEVIN, Row, Time
from parity_lightning.statistics import memoryless
from parity_lightning.theory.random_search import langevin_search, search_subsets


def run(options: Options) -> Findings:
    """Tests whether SGD's convergence times can be those of a random search.

    Raises:
        SettingError: If ``trials`` is not a file of `parity-lightning trials`.
    """
    sgd, searched, moving = _sgd(options), _searches(options), _langevin(options)
    samples = [*searched, *moving, *sgd]
    # The level is shared among the claims of one kind, and among the three tests of a search by moving.
    levels = [
        *(LEVEL / len(searched) for _ in searched),
        *(LEVEL / (3 * len(moving)) for _ in moving),
        *(LEVEL / len(sgd) for _ in sgd),
    ]
    rows = [row_of(sample, level, options.seed) for sample, level in zip(samples, levels, strict=True)]
    claims = [
        claim
        for sample, level, row in zip(samples, levels, rows, strict=True)
        for claim in make_claims(sample, level, row, options.seed)
    ]
    claims += [*rarity_claims(moving), *false_alarm_claims(sgd[0], options.seed)]
    choices = [
        f"level of the tests: {LEVEL} over the number of claims of one kind, and of tests in a claim",
        "p early is exact for times without rounding, p narrow and p wide are by Monte Carlo; a search in random "
        "order does have a memory, of the sets it tried",
        f"times that no test refutes count as memoryless if at least {TELLING} trials and {TELLING_SHARE:.0%} of all "
        f"were solved; as those of a law if a deviation of {DETECTED_DEVIATION} would have been detected",
        "early convergence is refuted if a trial took less than a tenth of the median",
        f"a set is tried on {EXAMPLES} fresh examples; a Langevin network has {UNITS} ReLU units, standard normal "
        "parameters",
    ]
    if options.trials is None:
        choices.append(
            f"ReLU MLP of width {options.width}, uniform Xavier initialization, hinge loss, B={options.batch_size}, "
            f"lr={options.lr:g}"
        )
        choices.append(f"solved: no error on {HELD_OUT:,} held-out examples, looked at every {options.every} steps")
    times = [
        Time(sample.search, sample.n, sample.k, finite(time)) for sample in samples for time in sample.times.tolist()
    ]
    return Findings(rows, claims, partial(draw_picture, sgd[0]), choices, {"times": times}, size=(8, 4.5))


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
            search_subsets(parity, options.searches, again, EXAMPLES, seed),
            law=law,
        )
        for again, law in laws.items()
    ]


def _langevin(options: Options) -> list[Sample]:
    """Searches among networks whose parameters move at random."""
    networks, step, tries = options.langevin_networks, options.langevin_step, options.langevin_tries
    return [
        Sample(LANGEVIN, n, 2, langevin_search(n, 2, UNITS, networks, step, tries, options.seed), 1, tries)
        for n in options.langevin_n
    ]


def row_of(sample: Sample, level: float, seed: int) -> Row:
    """The row of a search: its times in numbers, and the p values of the tests.

    Args:
        sample: The times.
        level: The level of each test.
        seed: Decides what is simulated.
    """
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
        memoryless.coefficient_of_variation(memoryless.waited(times, limit)),
        memoryless.dkw_pvalue(times, sample.law) if sample.law else None,
        memoryless.first_success_pvalue(times, every, limit),
        memoryless.dispersion_pvalue(times, every, limit, draws, seed),
        memoryless.dispersion_pvalue(times, every, limit, draws, seed, wide=True),
    )
