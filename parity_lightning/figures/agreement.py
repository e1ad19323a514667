"""How well the medians of a panel agree with published ones: how many times they are off, and how many are near."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from parity_lightning.figures.medians import FACTOR
from parity_lightning.studies.claims import Claim, Estimate, Statement

MOST_OFF = 1.25
"""A panel agrees if its medians are off by at most this factor, as a geometric mean."""

LEAST_NEAR = 0.9
"""A panel agrees if at least this share of its medians lies within `FACTOR` of the published ones."""


LEAST_TRIALS = 12
"""Of a panel whose points have fewer trials it cannot be told."""


class Agreement(NamedTuple):
    """How well medians agree with published ones.

    Attributes:
        off: The geometric mean of how many times they are off, whichever way. Its ends are the means of the ends of
            their intervals, wider than a 95 % interval. A median that was not reached counts as off as far as its
            trials went, so that the mean is at least what is told: the upper end is infinite, the point is censored.
        near: The share of them within `FACTOR`; between those whose whole interval is and those that may be.
        trials: How many trials the point with the fewest has.
    """

    off: Estimate
    near: Estimate
    trials: int

    @classmethod
    def of(cls, points: Sequence[Claim], limits: Sequence[float]) -> Agreement:
        """Puts the points of a panel together.

        Args:
            points: What `published_claim` made of each.
            limits: After how many steps the trials of each were given up. No median counts as more times off than the
                limit is, in either direction: one that is far too early weighs as much as one that was not reached.

        Example:
            >>> from parity_lightning.figures.medians import published_claim
            >>> points = [published_claim("n", "n", "", "", 100.0, np.full(9, time)) for time in (50.0, 200.0, 100.0)]
            >>> found = Agreement.of(points, [1_000] * 3)
            >>> round(found.off.value, 2), round(found.near.value, 2), found.trials
            (1.59, 0.33, 9)
        """
        off = [_off(point, limit) for point, limit in zip(points, limits, strict=True)]
        value, low, high = np.exp(np.mean(off, axis=0)).tolist()
        near = [own <= math.log(FACTOR) for own, _, _ in off]
        verdicts = [point.verdict for point in points]
        count = len(points)
        censored = sum(not math.isfinite(float(point.found.value)) for point in points)
        least, most = verdicts.count("holds") / count, 1 - verdicts.count("does not hold") / count
        return cls(
            Estimate(value, low, math.inf if censored else high, count, censored),
            Estimate(sum(near) / count, least, most, count),
            min(point.found.n or 0 for point in points),
        )

    def claims(self, name: str, what: str) -> list[Claim]:
        """The claims that a panel agrees with the published one.

        Args:
            name: What the ids begin with.
            what: Whose medians.
        """
        near = Statement(f"{name}-near", f"{what}: share of medians within x{FACTOR:g}", paper=1.0)
        rule = (
            f"holds if the share is at least {LEAST_NEAR:g}; does not hold if the upper end is below; cannot be told "
            f"of fewer than {LEAST_TRIALS} trials a point"
        )
        enough = self.trials >= LEAST_TRIALS
        share, most = float(self.near.value), self.near.ends[1]
        return [
            self.claim_off(Statement(f"{name}-off", f"{what}: {OFF}", paper=1.0)),
            Claim.decided(
                near, self.near, rule, supported=enough and share >= LEAST_NEAR, refuted=enough and most < LEAST_NEAR
            ),
        ]

    def claim_off(self, statement: Statement) -> Claim:
        """The claim that medians are off by no more than `MOST_OFF`."""
        rule = (
            f"holds if the mean is at most {MOST_OFF:g} and every median was reached; does not hold if the lower end "
            f"is above; cannot be told of fewer than {LEAST_TRIALS} trials a point"
        )
        enough, all_reached = self.trials >= LEAST_TRIALS, not self.off.censored
        supported = enough and all_reached and float(self.off.value) <= MOST_OFF
        return Claim.decided(
            statement, self.off, rule, supported=supported, refuted=enough and self.off.ends[0] > MOST_OFF
        )


OFF = "geometric mean of how many times medians are off"
"""What `Agreement.off` is, for a claim."""


def _off(point: Claim, limit: float) -> tuple[float, float, float]:
    """How far a median is off, as a logarithm, and the ends of that."""
    paper = float(point.statement.paper)
    most = abs(math.log(limit / paper))
    ends = (float(point.found.value), *point.found.ends)
    value, first, last = (min(max(math.log(max(end, 1e-9) / paper), -most), most) for end in ends)
    return abs(value), 0.0 if first <= 0 <= last else min(abs(first), abs(last)), max(abs(first), abs(last))
