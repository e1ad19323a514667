"""What is claimed of kernels and of the network."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from scipy import stats

from parity_lightning.experiments.estimates import share_estimate
from parity_lightning.experiments.theorem6_kernels.options import STEPS, Options
from parity_lightning.experiments.theorem6_kernels.rows import (
    CLOSED,
    NETWORK,
    NTK,
    OWN,
    RANDOM,
    Fit,
    Row,
    of_learner,
)
from parity_lightning.studies.claims import Claim, Estimate, Statement
from parity_lightning.theory.kernel_ridge import correlation_bound
from parity_lightning.theory.kernels import kernel_masses, relu_ntk

BIAS = 0.03
"""To how much a predicted accuracy is trusted: it is exact for large n and m only."""

_TRIVIAL = "the corresponding Neural Tangent Kernel (NTK) only achieves trivial performance"
_SMALL_SAMPLE = (
    "We find that minibatch SGD (with weight decay) can empirically solve sparse parities, even from a sample of size "
    "m << n^k."
)
_THEOREM = (
    "If D R^2 < epsilon^2 C(n,k), then there exists some (n, k)-parity distribution D_S s.t. inf_{||w|| <= R} "
    "E[l(Psi(x)^T w, y)] > 1 - epsilon."
)


def _accuracy(fits: Sequence[Fit], level: float = 0.95) -> Estimate:
    """The share of test examples that a learner was right on, in all trials."""
    return share_estimate(sum(fit.right for fit in fits), sum(fit.tested for fit in fits), level)


def make_claims(rows: Sequence[Row], fits: Sequence[Fit], options: Options) -> list[Claim]:
    """The claims on the last n, and those on all fits.

    Args:
        rows: The table.
        fits: What each learner does in each trial.
        options: Options of the experiment.
    """
    n, k, samples = options.n[-1], options.k, options.samples
    at = f"({n},{k}), m={samples:,}"
    few = samples < math.comb(n, k)
    foreseen = {row.learner: row.predicted for row in rows if row.n == n}
    claims = [least_loss_claim(fits, n, k, samples)]
    for learner in (NTK, OWN, RANDOM):
        found = _accuracy(of_learner(fits, n, learner, samples), 1 - 0.05 / 3)
        claims.append(trivial_claim(learner, at, found, foreseen[learner] if learner == NTK else None, few))
    claims += [_network_learns(of_learner(fits, n, NETWORK, samples), at, options.steps), _norm_bound(fits)]
    if k % 2 and k > 1:
        claims.append(odd_degree_claim(options.n, k))
    return [*claims, eigenvalues_claim(rows, fits, samples)]


def least_loss_claim(fits: Sequence[Fit], n: int, k: int, samples: int) -> Claim:
    """The claim of Theorem 6 on kernels of inner products; for others, as a network's own NTK, its bound is not proved.

    The kernel of all parities of k bits reaches the bound, so the interval cannot be asked to lie above it.
    """
    eps, losses = correlation_bound(n, k, samples), []
    for learner in CLOSED:
        own = of_learner(fits, n, learner, samples)
        error = math.sqrt(sum(fit.hinge_error**2 for fit in own)) / len(own)
        losses.append((float(np.mean([fit.hinge for fit in own])), error))
    # A loss that is not a number decides nothing.
    least, error = min(losses, key=lambda each: -math.inf if math.isnan(each[0]) else each[0])
    reach = float(stats.norm.isf(0.025 / len(CLOSED))) * error
    text = (
        f"no kernel of inner products has a loss below 1 - eps at ({n},{k}), m={samples:,}; here eps = m / C(n,k) (the "
        "least of 3)"
    )
    statement = Statement("least-loss", text, "Theorem 6", _THEOREM, f"at least {1 - eps:.4g}")
    found = Estimate(least, least - reach, least + reach, n=sum(fit.tested for fit in own))
    claim = Claim.at_least(
        statement, found, 1 - eps, support="estimate", caveat="of eps >= 1, a bound of 0 or less, it cannot be told"
    )
    return claim if eps < 1 else Claim(statement, claim.rule, found, "cannot tell")


def trivial_claim(learner: str, at: str, found: Estimate, foreseen: float | None, few: bool) -> Claim:
    """The claim that a learner's accuracy is trivial.

    Args:
        learner: The learner's name.
        at: The n, k and m in words.
        found: Its accuracy.
        foreseen: What a kernel's eigenvalues predict, if known; an accuracy no larger refutes nothing.
        few: Whether samples are fewer than supports; if not, nothing is refuted.
    """
    statement = Statement(
        f"trivial-{learner.replace(' ', '-')}",
        f"no better than trivial at {at}: {learner}",
        "Section 4.1",
        _TRIVIAL,
        0.5,
    )
    return Claim.at_most(
        statement,
        found,
        0.5,
        support="not refuted",
        refuted_above=max(0.5, foreseen or 0.5),
        refutable=few,
        caveat="as many samples as supports, m >= C(n,k), refute nothing",
    )


def _network_learns(trained: Sequence[Fit], at: str, steps: int) -> Claim:
    solved = sum(fit.right == fit.tested for fit in trained)
    found = share_estimate(solved, len(trained), censored=True)
    text = f"the network learns from this sample, {at} (share of trials at 100 %)"
    statement = Statement("network", text, "Section 5", _SMALL_SAMPLE, 1.0)
    # The interval of all but all ends below 1.
    return Claim.at_least(
        statement,
        found,
        1.0,
        support="estimate",
        refutable=steps >= STEPS,
        caveat=f"trials of fewer than {STEPS:,} steps refute nothing",
    )


def _norm_bound(fits: Sequence[Fit]) -> Claim:
    bounded = [(fit, fit.correlation_bound) for fit in fits if fit.correlation_bound is not None]
    reach = float(stats.norm.isf(0.05 / len(bounded)))
    excess = max(fit.correlation - reach * fit.correlation_error - bound for fit, bound in bounded)
    text = (
        f"its norm: E[y f] <= R sqrt(e), of eigenvalue e <= 1 / C(n,k) (largest excess of {len(bounded)} fits, "
        f"{reach:.2g} errors aside)"
    )
    statement = Statement("norm", text, "Theorem 6", _THEOREM, "at most 0")
    found = Estimate(excess if math.isfinite(excess) else math.nan, n=len(bounded))
    return Claim.at_most(statement, found, 1e-9, tolerance=1e-9)


def odd_degree_claim(n: Sequence[int], k: int) -> Claim:
    """The claim that the NTK without biases has no eigenvalue of an odd degree k, for each n."""
    masses, zero = [], True
    for inputs in n:
        kernel = relu_ntk(inputs, bias=False)
        masses.append(abs(float(kernel_masses(kernel)[k])))
        # Of the kernel's rounding: a parity's sum over all inputs, times C(n,k) parities, has a norm of sqrt(C(n,k)).
        zero &= masses[-1] <= float(np.finfo(float).eps * kernel[0]) * math.sqrt(math.comb(inputs, k))
    statement = Statement("odd-degree", f"without biases the NTK has nothing of odd degree {k}", paper=0.0)
    rule = "holds if each is 0 but for rounding, sqrt(C(n,k)) times that of K(x, x); does not hold otherwise"
    return Claim.decided(statement, Estimate(max(masses), n=len(masses)), rule, supported=zero, refuted=not zero)


def eigenvalues_claim(rows: Sequence[Row], fits: Sequence[Fit], samples: int) -> Claim:
    """The claim that accuracies are those that the kernels' eigenvalues predict, and what memory adds.

    Args:
        rows: The table.
        fits: What each learner does in each trial.
        samples: Size m of the sample.
    """
    known = [(row, row.predicted) for row in rows if row.predicted is not None]
    apart, within, differences = [], [], []
    for row, foreseen in known:
        low, high = _accuracy(of_learner(fits, row.n, row.learner, samples), 1 - 0.05 / len(known)).ends
        memory = -math.expm1(samples * math.log1p(-(2.0**-row.n))) * (1 - foreseen)
        least, most = foreseen - BIAS, foreseen + memory + BIAS
        apart.append(high < least or low > most)
        within.append(least <= low and high <= most)
        differences.append(abs(row.accuracy - foreseen))
    text = f"accuracies follow from the eigenvalues alone, to {BIAS} and memory (largest difference of {len(known)})"
    return Claim.decided(
        Statement("eigenvalues", text, paper=0.0),
        Estimate(max(differences), n=len(known)),
        f"holds if all intervals lie within {BIAS} of the predictions, and of what memory adds to them; does not hold "
        "if one lies outside",
        supported=all(within),
        refuted=any(apart),
    )
