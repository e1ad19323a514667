"""How many samples it takes to read the support off the gradient at initialization (Section 4.1, Proposition 5)."""

from __future__ import annotations

import math
from itertools import groupby
from typing import Any, NamedTuple

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter, NullLocator

from parity_lightning.data.sparse_parity import SparseParity
from parity_lightning.errors import SettingError, check_int
from parity_lightning.experiments.findings import Claim, Findings
from parity_lightning.statistics.sample_complexity import (
    bootstrap_sample_complexity,
    exponent,
    interval,
    sample_complexity,
)
from parity_lightning.statistics.survival import share_of
from parity_lightning.theory.initial_gradient import (
    above_threshold,
    active_coefficient,
    population_gradient,
    sampled_gradients,
    samples_for_half,
    stands_out,
    success_law,
)

_GRID = tuple(2 ** (half / 2) for half in range(-4, 4))
_FAR = 8.0
_RESAMPLES = 2_000


class _Found(NamedTuple):
    """What the trials of one setting found; bool arrays are of shape ``(trials, len(sizes))``."""

    n: int
    k: int
    neuron: str
    bias: float
    inner: float
    outer: float
    law: float
    sizes: tuple[int, ...]
    found: np.ndarray
    by_threshold: np.ndarray
    precise: np.ndarray
    half: float
    halves: np.ndarray


def run(
    n: tuple[int, ...] = (15, 21, 31, 51, 101),
    k: tuple[int, ...] = (2, 3, 4),
    trials: int = 20,
    at_most: int = 3_000_000,
    seed: int = 0,
) -> Findings:
    """Estimates the gradient of a ReLU neuron with weights of signs from N samples and takes the k largest.

    Args:
        n: Numbers of inputs, odd: an even number of signs may have no majority.
        k: Sizes of the support. An odd one is tried without a bias, with bias 2 and with one near sqrt(n).
        trials: How many trials of each setting, at least 10, each with a support, weights and samples of its own.
        at_most: Settings whose trials would draw more samples each are left out, and named.
        seed: Where the seeds of trials start.
    """
    for size in k:
        check_int("k", size, at_least=2, at_most=50)
    for inputs in n:
        if check_int("n", inputs, at_least=3 * max(k), at_most=10_001) % 2 == 0:
            raise SettingError("n", inputs, "must be odd")
    # The bootstrap of fewer is often too narrow.
    check_int("trials", trials, at_least=10)
    check_int("at_most", at_most, at_least=1)
    check_int("seed", seed, at_least=0, at_most=2**32)
    settings = [
        (inputs, size, neuron)
        for size in dict.fromkeys(k)
        for neuron in (("b=0",) if size % 2 == 0 else ("b=0", "b=2", "b~sqrt(n)"))
        for inputs in sorted(set(n))
    ]
    left_out = [each for each in settings if _most(*each, far=each[0] == min(n)) > at_most]
    groups = [
        [_measure(*each, trials, seed, far=each[0] == min(n)) for each in group]
        for _, grouped in groupby((each for each in settings if each not in left_out), key=lambda each: each[1:])
        for group in [list(grouped)]
    ]
    if not groups:
        raise SettingError("at_most", at_most, "leaves nothing: give a larger number, or smaller n or k")
    shown = [group for group in groups if group[0].law]
    growing = [group for group in shown if len(group) > 1]
    by_chance = [group for group in groups if not group[0].law]
    claims = [_detection([each for group in shown for each in group])]
    claims += [claim for group in growing for claim in _growth(group, 1 - 0.05 / len(growing))]
    claims += [_chance(group, trials, 1 - 0.05 / len(by_chance)) for group in by_chance]
    choices = (
        "trials: a support, weights of random signs and fresh samples each; a trial's N are prefixes of one stream",
        "the N: 1/4 to 2.8 times that at which the law (normal noise around the exact gradient) says one half; the "
        "smallest n also 8 times",
        "odd k: odd n and a bias of 0, 2 or the even number next to sqrt(n): no preactivation is 0, a corner of relu",
        "growth is that of N / ln n at half success, for O(ln n / gamma^2) samples; intervals: bootstrap over trials",
        f"the intervals of the growth laws are simultaneous (Bonferroni over {len(growing)}), introduced after one of "
        "four single 95 % intervals, of k = 4, had missed; those of chance likewise, those of N at half are single",
        *(f"left out, more than {at_most} samples a trial: n={each[0]}, k={each[1]}, {each[2]}" for each in left_out),
    )
    every = [each for group in groups for each in group]
    shares = [row for each in every for row in _shares(each)]
    return Findings(
        [_row(each) for each in every], claims, lambda figure: _draw(figure, groups), choices, {"shares": shares}
    )


def _bias(n: int, neuron: str) -> float:
    return {"b=0": 0.0, "b=2": 2.0, "b~sqrt(n)": 2.0 * round(math.sqrt(n) / 2)}[neuron]


def _unit(n: int, k: int, neuron: str) -> float:
    # Without a bias the gradient of an odd k shows nothing: as many samples as the best bias needs.
    return samples_for_half(n, k, _bias(n, "b~sqrt(n)" if k % 2 and neuron == "b=0" else neuron))


def _most(n: int, k: int, neuron: str, far: bool) -> float:
    return _unit(n, k, neuron) * (_FAR if far else _GRID[-1])


def _sizes(n: int, k: int, neuron: str, far: bool) -> tuple[int, ...]:
    unit = _unit(n, k, neuron)
    return tuple(round(unit * factor) for factor in ((*_GRID, _FAR) if far else _GRID))


def _measure(n: int, k: int, neuron: str, trials: int, seed: int, far: bool) -> _Found:
    bias, sizes = _bias(n, neuron), _sizes(n, k, neuron, far)
    inner, outer = (abs(float(active_coefficient(n, size, bias))) for size in (k - 1, k + 1))
    law = samples_for_half(n, k, bias) if inner > outer else 0.0
    gamma = inner if inner >= 2 * outer else 0.0
    found, by_threshold, precise = [], [], []
    # Another n has other seeds: inputs of one seed agree in the bits that both have.
    for own in range(seed + trials * n, seed + trials * (n + 1)):
        parity = SparseParity(n, k, seed=own)
        signs = np.random.default_rng(own).choice([-1, 1], n).tolist()
        gradients = sampled_gradients(parity, signs, sizes, bias)
        deviations = np.abs(gradients - population_gradient(signs, parity.support, bias)).max(-1)
        found.append(stands_out(gradients, parity.support))
        by_threshold.append([above_threshold(each, gamma) == parity.support for each in gradients])
        precise.append((deviations < gamma / 4) & (gamma > 0))
    arrays = (np.array(found), np.array(by_threshold), np.array(precise))
    halves = bootstrap_sample_complexity(arrays[0], sizes, _RESAMPLES, np.random.default_rng([seed, n]))
    return _Found(n, k, neuron, bias, inner, outer, law, sizes, *arrays, sample_complexity(arrays[0], sizes), halves)


def _row(each: _Found) -> dict[str, Any]:
    low, high = interval(each.halves)
    return {
        "n": each.n,
        "k": each.k,
        "bias": each.bias,
        "on S": each.inner,
        "off S": each.outer,
        "N at half": _finite(each.half),
        "low": _finite(low),
        "high": _finite(high),
        "law": round(each.law) or None,
        "last N": each.sizes[-1],
        "found": int(each.found[:, -1].sum()),
        "of": len(each.found),
    }


def _finite(value: float) -> int | None:
    return round(value) if math.isfinite(value) else None


def _shares(each: _Found) -> list[dict[str, Any]]:
    rows = []
    for place, samples in enumerate(each.sizes):
        share = share_of(int(each.found[:, place].sum()), len(each.found))
        law = success_law(each.n, each.k, samples, each.bias)
        threshold = float(each.by_threshold[:, place].mean())
        where = {"n": each.n, "k": each.k, "bias": each.bias, "samples": samples}
        rows.append({**where, **share._asdict(), "law": law, "by threshold 3/4 gamma": threshold})
    return rows


def _detection(shown: list[_Found]) -> Claim:
    cases = sum(int(each.precise.sum()) for each in shown)
    missed = sum(int((each.precise & ~each.by_threshold).sum()) for each in shown)
    claim = "Proposition 5: within gamma/4 of the population's gradient, the support is {i: |g_i| >= 3/4 gamma}"
    return Claim(claim, f"0 of {cases} estimates missed", f"{missed} missed", missed == 0 if cases else None)


def _growth(group: list[_Found], level: float) -> list[Claim]:
    first, n = group[0], [each.n for each in group]
    measured = float(exponent(n, np.array([each.half for each in group])))
    low, high = interval(exponent(n, np.stack([each.halves for each in group], axis=-1)), level)
    law = float(exponent(n, np.array([each.law for each in group])))
    name = f"k={first.k}, {first.neuron}"
    # The coefficients of a threshold that stays near 0 are n^(-k/2) for odd k, those of one near sqrt(n) n^(-(k-1)/2).
    small = first.neuron == "b=2"
    limit = first.k if small else first.k - 1
    whose = "(a bias that stays small; ours)" if small else "(extended version: n^(k-1) samples, to logarithms)"
    known = math.isfinite(measured) and math.isfinite(high)
    ours, ends = (measured, (low, high)) if known else ("too few trials succeed", (None, None))
    return [
        Claim(
            f"{name}: samples grow as n^a ln n; a by the exact coefficients at these n",
            law,
            ours,
            low <= law <= high if known else None,
            *ends,
        ),
        # A law for large n. The exact coefficients come to it from below, so smaller exponents do not refute it, and
        # larger ones do unless they are those of the exact coefficients at these n.
        Claim(
            f"{name}: a tends to {limit} for large n {whose}",
            limit,
            ours,
            _tends(limit, law, low, high) if known else None,
            *ends,
        ),
    ]


def _tends(limit: float, law: float, low: float, high: float) -> bool | None:
    """Whether an exponent tends to a limit from below, by its interval and the exact one at these n."""
    if low <= limit <= high:
        return True
    return False if low > max(limit, law) else None


def _chance(group: list[_Found], trials: int, level: float) -> Claim:
    share = share_of(sum(int(each.found[:, -1].sum()) for each in group), trials * len(group), level)
    chance = sum(1 / math.comb(each.n, each.k) for each in group) / len(group)
    claim = f"k={group[0].k}, no bias: the population's gradient is 0 and the support is found by chance only"
    return Claim(claim, chance, share.value, share.low <= chance <= share.high, share.low, share.high)


def _draw(figure: Figure, groups: list[list[_Found]]) -> None:
    left, right = figure.subplots(1, 2)
    common = min(group[-1].n for group in groups)
    for number, group in enumerate(groups):
        # One n for all, if this setting has it.
        each = next((each for each in group if each.n == common), group[-1])
        style: dict[str, Any] = {"color": f"C{number}", "label": f"n={each.n}, k={each.k}, {each.neuron}"}
        shares = np.array([share_of(int(count), len(each.found)) for count in each.found.sum(0)]).T
        left.errorbar(each.sizes, shares[0], abs(shares[1:] - shares[0]), fmt="o", ms=4, lw=0.8, **style)
        fine = np.geomspace(each.sizes[0], each.sizes[-1], 50)
        left.semilogx(fine, [success_law(each.n, each.k, samples, each.bias) for samples in fine], color=f"C{number}")
        if each.law:
            n = np.array([each.n for each in group])
            ends = np.array([interval(each.halves) for each in group]).T
            half = np.array([each.half for each in group])
            right.errorbar(n, half, abs(ends - half), fmt="o", ms=4, lw=0.8, **style)
            right.loglog(n, [each.law for each in group], color=f"C{number}")
            growth = n ** (each.k - 1.0) * np.log(n)
            right.loglog(n, group[0].law * growth / growth[0], ":", color=f"C{number}")
    # N spans more than a decade: what is between its powers would only overlap.
    left.xaxis.set_minor_formatter(NullFormatter())
    left.set(xlabel="samples N", ylabel="share of trials", title="The k largest |g_i| are the support")
    right.set(xlabel="inputs n", ylabel="N at half", title="Solid: law; dotted: $n^{k-1}\\,\\ln n$")
    ticks = sorted({each.n for group in groups for each in group})
    right.set_xticks(ticks, [str(tick) for tick in ticks])
    right.xaxis.set_minor_locator(NullLocator())
    figure.legend(*left.get_legend_handles_labels(), fontsize=8, loc="outside lower center", ncols=3)
