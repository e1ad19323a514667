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


class Agreement(NamedTuple):
    """How well medians agree with published ones.

    Attributes:
        off: The geometric mean of how many times they are off, whichever way; at least so many times where a median was
            not reached.
        near: The share of them within `FACTOR`; between those whose whole interval is and those that may be.
    """

    off: Estimate
    near: Estimate

    @classmethod
    def of(cls, points: Sequence[Claim], limits: Sequence[float]) -> Agreement:
        """Puts the points of a panel together.

        Args:
            points: What `published_claim` made of each.
            limits: After how many steps the trials of each were given up.

        Example:
            >>> from parity_lightning.figures.medians import published_claim
            >>> points = [published_claim("n", "n", "", "", 100.0, np.full(9, time)) for time in (50.0, 200.0, 100.0)]
            >>> found = Agreement.of(points, [1_000] * 3)
            >>> round(found.off.value, 2), round(found.near.value, 2)
            (1.59, 0.33)
        """
        off = [_off(point, limit) for point, limit in zip(points, limits, strict=True)]
        value, low, high = np.exp(np.mean(off, axis=0)).tolist()
        near = [own <= math.log(FACTOR) for own, _, _ in off]
        verdicts = [point.verdict for point in points]
        count = len(points)
        least, most = verdicts.count("holds") / count, 1 - verdicts.count("does not hold") / count
        return cls(Estimate(value, low, high, count), Estimate(sum(near) / count, least, most, count))

    def claims(self, name: str, what: str, section: str, quote: str) -> list[Claim]:
        """The claims that a panel agrees with the published one.

        Args:
            name: What the ids begin with.
            what: Whose medians.
            section: Where the paper says it.
            quote: Its words.
        """
        off = Statement(
            f"{name}-off", f"{what}: geometric mean of how many times medians are off", section, quote, paper=1.0
        )
        near = Statement(f"{name}-near", f"{what}: share of medians within x{FACTOR:g}", section, quote, paper=1.0)
        return [
            claim_off(off, self.off),
            Claim.at_least(near, self.near, LEAST_NEAR, support="estimate", tolerance=1 - LEAST_NEAR),
        ]


def claim_off(statement: Statement, off: Estimate) -> Claim:
    """The claim that medians are off by no more than `MOST_OFF`."""
    return Claim.at_most(statement, off, MOST_OFF, support="estimate", tolerance=MOST_OFF - 1)


def _off(point: Claim, limit: float) -> tuple[float, float, float]:
    """How far a median is off, as a logarithm, and the ends of that; at least, where it was not reached."""
    low, high = point.found.ends
    paper = float(point.statement.paper)
    value, first, last = (math.log(min(max(end, 1.0), limit) / paper) for end in (float(point.found.value), low, high))
    return abs(value), 0.0 if first <= 0 <= last else min(abs(first), abs(last)), max(abs(first), abs(last))
