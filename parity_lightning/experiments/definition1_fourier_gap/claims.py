"""What is claimed of majority's coefficients."""

from __future__ import annotations

from collections.abc import Sequence

from parity_lightning.experiments.definition1_fourier_gap.rows import Row
from parity_lightning.studies.claims import Claim, Estimate, Statement


def make_claims(rows: Sequence[Row]) -> list[Claim]:
    """The claims on where the gap is, on its size and on the closed form."""

    def pairs(chosen: Sequence[Row]) -> str:
        return ", ".join(f"({row.n}, {row.k})" for row in chosen) or "none"

    bounded = [row.gap_over_bound for row in rows if row.gap_over_bound is not None]
    exact = [abs(row.transform - row.inner) for row in rows if row.transform is not None]
    claims = [
        Claim.equal(
            Statement(
                "where-the-gap-is",
                "a gamma-Fourier gap, of majority from n = 3k-2 on; the (n, k) without one",
                "Definition 1",
                "for even k, there is a gap between these Fourier coefficients that is detectable using n^O(k) samples",
                pairs([row for row in rows if row.n < 3 * row.k - 2]),
            ),
            Estimate(pairs([row for row in rows if row.gamma is None]), n=len(rows)),
        ),
        Claim.at_least(
            Statement(
                "size-of-the-gap",
                "the gap is at least 0.03 (n-1)^(-(k-1)/2) for n >= 4k",
                "extended version",
                paper="at least 1 times the bound",
            ),
            Estimate(min(bounded, default="-"), n=len(bounded)),
            least=1,
        ),
    ]
    if exact:
        statement = Statement(
            "closed-form", "closed form of majority, against the transform of all 2^n inputs", paper=0.0
        )
        claims.append(Claim.at_most(statement, Estimate(max(exact), n=len(exact)), 1e-12, tolerance=1e-12))
    return claims
