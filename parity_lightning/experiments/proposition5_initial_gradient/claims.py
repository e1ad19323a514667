"""What is claimed of the gradient at initialization."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from parity_lightning.experiments.estimates import share_estimate
from parity_lightning.experiments.proposition5_initial_gradient.rows import Found
from parity_lightning.statistics.percentiles import percentile_interval
from parity_lightning.statistics.sample_complexity import exponent
from parity_lightning.studies.claims import Claim, Estimate, Statement

_PROPOSITION = (
    "Let g be an estimate of the population gradient such that [its largest deviation is] <= gamma/4. Then, [...] the "
    "target subset S is detected by g, namely S = {i in [n] : |g_i| >= 3 gamma/4}."
)


def make_claims(groups: Sequence[Sequence[Found]]) -> list[Claim]:
    """The claims on detection, on the growth of the samples needed with n, and on settings that show nothing.

    Args:
        groups: What the trials of each k and neuron found, by ascending n.
    """
    shown = [each for group in groups if group[0].law for each in group]
    growing = [group for group in groups if can_grow(group)]
    by_chance = [group for group in groups if not group[0].law]
    return [
        _detection(shown),
        *(claim for group in growing for claim in growth(group, 1 - 0.05 / len(growing))),
        *(_chance(group, 1 - 0.05 / len(by_chance)) for group in by_chance),
    ]


def can_grow(group: Sequence[Found]) -> bool:
    """Whether the samples of a k and neuron can grow: the gradient shows the support, and several n were tried."""
    return bool(group[0].law) and len(group) > 1


def _detection(shown: Sequence[Found]) -> Claim:
    cases = sum(int(each.precise.sum()) for each in shown)
    missed = sum(int((each.precise & ~each.by_threshold).sum()) for each in shown)
    text = "within gamma/4 of the population's gradient, the support is {i: |g_i| >= 3/4 gamma}; estimates that missed"
    statement = Statement("detection", text, "Proposition 5", _PROPOSITION, f"0 of {cases}")
    return Claim.at_most(statement, Estimate(missed if cases else "no estimate so precise", n=cases), 0)


def growth(group: Sequence[Found], level: float) -> list[Claim]:
    """The claims on the exponent a, where the samples needed grow as n^a ln n: at these n, and for large n.

    Args:
        group: What the trials of one k and neuron found, by ascending n.
        level: The level of the interval of a.
    """
    first, n = group[0], [each.n for each in group]
    measured = float(exponent(n, np.array([each.half for each in group])))
    low, high = percentile_interval(exponent(n, np.stack([each.halves for each in group], axis=-1)), level)
    law = float(exponent(n, np.array([each.law for each in group])))
    known = math.isfinite(measured) and math.isfinite(high)
    found = Estimate(measured, low, high) if known else Estimate("too few trials succeed")
    found = found._replace(n=sum(len(each.found) for each in group))
    key, name = f"k{first.k}-{first.neuron}", f"k={first.k}, {first.neuron}"
    exact = Statement(
        f"growth-{key}", f"{name}: samples grow as n^a ln n; a by the exact coefficients at these n", paper=law
    )
    return [Claim.contains(exact, found, law), _limit(first, key, name, found, law)]


def _limit(first: Found, key: str, name: str, found: Estimate, law: float) -> Claim:
    """The claim on the exponent for large n, which the exact coefficients at these n need not have reached."""
    # For odd k coefficients fall as n^(-k/2) if the bias stays small, and as n^(-(k-1)/2) if it is near sqrt(n).
    small = first.neuron == "b=2"
    limit = first.k if small else first.k - 1
    section, whose = ("", "a bias that stays small; ours") if small else ("extended version", "to logarithms")
    low, high = found.ends
    # The exponent of the exact coefficients comes to the limit from below, so a smaller exponent does not refute it; a
    # larger one does, unless it is that of the exact coefficients at these n.
    return Claim.decided(
        Statement(f"limit-{key}", f"{name}: a tends to {limit} for large n ({whose})", section, paper=limit),
        found,
        f"holds if the interval contains {limit}; does not hold if it lies above both {limit} and the exponent of the "
        "exact coefficients at these n, which come to the limit from below",
        supported=low <= limit <= high,
        refuted=low > max(limit, law),
    )


def _chance(group: Sequence[Found], level: float) -> Claim:
    found = sum(int(each.found[:, -1].sum()) for each in group)
    share = share_estimate(found, sum(len(each.found) for each in group), level)
    chance = sum(1 / math.comb(each.n, each.k) for each in group) / len(group)
    text = f"k={group[0].k}, no bias: the population's gradient is 0 and the support is found by chance only"
    statement = Statement(f"chance-k{group[0].k}", text, paper=chance)
    return Claim.contains(statement, share, chance)
