"""How often the tests of times raise a false alarm: they are tried on times that have no memory."""

from __future__ import annotations

import numpy as np

from parity_lightning.experiments.estimates import share_estimate
from parity_lightning.experiments.recorded_times import Sample
from parity_lightning.statistics import memoryless
from parity_lightning.studies.claims import Claim, Statement


def false_alarm_claims(sample: Sample, seed: int) -> list[Claim]:
    """The claims that the two tests raise no more false alarms than they should.

    Args:
        sample: The tests are tried on geometric times of the same mean, as many as these.
        seed: Decides the times.
    """
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
        found = share_estimate(alarms, repeats, 0.975)
        claims.append(Claim.at_most(statement, found, 0.1, strict=True, refuted_above=0.05))
    return claims
