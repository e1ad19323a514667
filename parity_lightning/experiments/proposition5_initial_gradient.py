"""How many samples it takes to read the support off the gradient at initialization (Section 4.1, Proposition 5)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from itertools import groupby
from typing import Annotated, NamedTuple

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter

from parity_lightning.data.sparse_parity import SparseParity
from parity_lightning.display.style import color_of, legend_below, ticks_at
from parity_lightning.errors import SettingError
from parity_lightning.experiments.findings import Findings
from parity_lightning.experiments.options import BoundedOptions, Bounds, Count, Seed
from parity_lightning.statistics.sample_complexity import (
    bootstrap_sample_complexity,
    exponent,
    interval,
    sample_complexity,
)
from parity_lightning.statistics.survival import share_of
from parity_lightning.studies.claims import Claim, Estimate, Statement
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
"""The numbers of samples tried, in units of those at which the law says one half."""
_FAR = 8.0
"""A larger number for the smallest n."""
_RESAMPLES = 2_000

_PROPOSITION = (
    "Let g be an estimate of the population gradient such that [its largest deviation is] <= gamma/4. Then, [...] the "
    "target subset S is detected by g, namely S = {i in [n] : |g_i| >= 3 gamma/4}."
)


class _Setting(NamedTuple):
    """A number of inputs, a size of the support, and the neuron's bias by its name."""

    n: int
    k: int
    neuron: str

    @property
    def bias(self) -> float:
        return {"b=0": 0.0, "b=2": 2.0, "b~sqrt(n)": 2.0 * round(math.sqrt(self.n) / 2)}[self.neuron]

    @property
    def unit(self) -> float:
        """The samples at which the law says one half."""
        # Without a bias the gradient of an odd k shows nothing: as many samples as the best bias needs.
        shows_nothing = self.k % 2 and self.neuron == "b=0"
        return samples_for_half(self.n, self.k, self._replace(neuron="b~sqrt(n)").bias if shows_nothing else self.bias)

    def sizes(self, far: bool) -> tuple[int, ...]:
        """The numbers of samples tried."""
        return tuple(round(self.unit * factor) for factor in ((*_GRID, _FAR) if far else _GRID))

    def most(self, far: bool) -> float:
        """The largest of them."""
        return self.unit * (_FAR if far else _GRID[-1])


@dataclass(frozen=True)
class Options(BoundedOptions):
    """Options of the experiment.

    Attributes:
        n: Numbers of inputs, odd: an even number of signs may have no majority.
        k: Sizes of the support. An odd one is tried without a bias, with bias 2 and with one near sqrt(n).
        trials: How many trials of each setting, each with a support, weights and samples of its own; the bootstrap of
            fewer than 10 is often too narrow.
        at_most: Settings whose trials would draw more samples each are left out, and named.
        seed: Where the seeds of trials start.
    """

    n: Annotated[tuple[int, ...], Bounds(at_least=6, at_most=10_001)] = (15, 21, 31, 51, 101)
    k: Annotated[tuple[int, ...], Bounds(at_least=2, at_most=50)] = (2, 3, 4)
    trials: Annotated[int, Bounds(at_least=10)] = 20
    at_most: Count = 3_000_000
    seed: Seed = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        for n in self.n:
            if n < 3 * max(self.k):
                raise SettingError("n", n, f"must be at least {3 * max(self.k)}")
            if n % 2 == 0:
                raise SettingError("n", n, "must be odd")
        if len(self.left_out) == len(self.settings):
            raise SettingError("at_most", self.at_most, "leaves nothing: give a larger number, or smaller n or k")

    @property
    def settings(self) -> list[_Setting]:
        """All settings, those of one k and neuron together."""
        return [
            _Setting(n, k, neuron)
            for k in self.k
            for neuron in (("b=0",) if k % 2 == 0 else ("b=0", "b=2", "b~sqrt(n)"))
            for n in sorted(self.n)
        ]

    @property
    def left_out(self) -> list[_Setting]:
        """The settings that need too many samples."""
        return [each for each in self.settings if each.most(self.is_far(each)) > self.at_most]

    def is_far(self, setting: _Setting) -> bool:
        """Whether a larger number of samples is tried, too: of the smallest n."""
        return setting.n == min(self.n)


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


class Row(NamedTuple):
    """From how many samples the support is found.

    Attributes:
        n: Number of inputs.
        k: Size of the support.
        bias: The neuron's bias.
        on_support: Size of the population gradient's entries on the support.
        off_support: Size of the others.
        half: The samples N at which half of the trials find the support.
        low: The lower end of its interval.
        high: Its upper end.
        law: What a law says of it: normal noise around the exact gradient.
        last: The largest N that was tried.
        found: How many trials found the support from as many.
        trials: How many trials there were.
    """

    n: int
    k: int
    bias: float
    on_support: float
    off_support: float
    half: int | None
    low: int | None
    high: int | None
    law: int | None
    last: int
    found: int
    trials: int


class ShareRow(NamedTuple):
    """The share of trials that find the support from a number of samples, and by the threshold 3/4 gamma."""

    n: int
    k: int
    bias: float
    samples: int
    value: float
    low: float
    high: float
    law: float
    by_threshold: float


def run(options: Options) -> Findings:
    """Estimates the gradient of a ReLU neuron with weights of signs from N samples and takes the k largest."""
    left_out = options.left_out
    groups = [
        [_measure(each, options.trials, options.seed, options.is_far(each)) for each in group]
        for _, group in groupby((each for each in options.settings if each not in left_out), key=lambda each: each[1:])
    ]
    shown = [group for group in groups if group[0].law]
    growing = [group for group in shown if len(group) > 1]
    by_chance = [group for group in groups if not group[0].law]
    claims = [_detection([each for group in shown for each in group])]
    claims += [claim for group in growing for claim in _growth(group, 1 - 0.05 / len(growing))]
    claims += [_chance(group, options.trials, 1 - 0.05 / len(by_chance)) for group in by_chance]
    choices = (
        "trials: a support, weights of random signs and fresh samples each; a trial's N are prefixes of one stream",
        "the N: 1/4 to 2.8 times that at which the law (normal noise around the exact gradient) says one half; the "
        "smallest n also 8 times",
        "odd k: odd n and a bias of 0, 2 or the even number next to sqrt(n): no preactivation is 0, a corner of relu",
        "growth is that of N / ln n at half success, for O(ln n / gamma^2) samples; intervals: bootstrap over trials",
        f"the intervals of the growth laws are simultaneous (Bonferroni over {len(growing)}), introduced after one of "
        "four single 95 % intervals, of k = 4, had missed; those of chance likewise, those of N at half are single",
        *(
            f"left out, more than {options.at_most} samples a trial: n={each.n}, k={each.k}, {each.neuron}"
            for each in left_out
        ),
    )
    every = [each for group in groups for each in group]
    shares = [row for each in every for row in _shares(each)]
    return Findings([_row(each) for each in every], claims, partial(_draw, groups), choices, {"shares": shares})


def _measure(setting: _Setting, trials: int, seed: int, far: bool) -> _Found:
    n, k, neuron = setting
    bias, sizes = setting.bias, setting.sizes(far)
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


def _row(each: _Found) -> Row:
    low, high = interval(each.halves)
    return Row(
        each.n,
        each.k,
        each.bias,
        each.inner,
        each.outer,
        _finite(each.half),
        _finite(low),
        _finite(high),
        round(each.law) or None,
        each.sizes[-1],
        int(each.found[:, -1].sum()),
        len(each.found),
    )


def _finite(value: float) -> int | None:
    return round(value) if math.isfinite(value) else None


def _shares(each: _Found) -> list[ShareRow]:
    rows = []
    for place, samples in enumerate(each.sizes):
        share = share_of(int(each.found[:, place].sum()), len(each.found))
        law = success_law(each.n, each.k, samples, each.bias)
        threshold = float(each.by_threshold[:, place].mean())
        rows.append(ShareRow(each.n, each.k, each.bias, samples, *share, law, threshold))
    return rows


def _detection(shown: Sequence[_Found]) -> Claim:
    cases = sum(int(each.precise.sum()) for each in shown)
    missed = sum(int((each.precise & ~each.by_threshold).sum()) for each in shown)
    text = "within gamma/4 of the population's gradient, the support is {i: |g_i| >= 3/4 gamma}; estimates that missed"
    statement = Statement("detection", text, "Proposition 5", _PROPOSITION, f"0 of {cases}")
    return Claim.at_most(statement, Estimate(missed if cases else "no estimate so precise", n=cases), 0)


def _growth(group: Sequence[_Found], level: float) -> list[Claim]:
    first, n = group[0], [each.n for each in group]
    measured = float(exponent(n, np.array([each.half for each in group])))
    low, high = interval(exponent(n, np.stack([each.halves for each in group], axis=-1)), level)
    law = float(exponent(n, np.array([each.law for each in group])))
    known = math.isfinite(measured) and math.isfinite(high)
    found = Estimate(measured, low, high) if known else Estimate("too few trials succeed")
    found = found._replace(n=sum(len(each.found) for each in group))
    key, name = f"k{first.k}-{first.neuron}", f"k={first.k}, {first.neuron}"
    exact = Statement(
        f"growth-{key}", f"{name}: samples grow as n^a ln n; a by the exact coefficients at these n", paper=law
    )
    return [Claim.contains(exact, found, law), _limit(first, key, name, found, law)]


def _limit(first: _Found, key: str, name: str, found: Estimate, law: float) -> Claim:
    # The coefficients of a threshold that stays near 0 are n^(-k/2) for odd k, those of one near sqrt(n) n^(-(k-1)/2).
    small = first.neuron == "b=2"
    limit = first.k if small else first.k - 1
    section, whose = ("", "a bias that stays small; ours") if small else ("extended version", "to logarithms")
    low, high = found.ends
    # A law for large n. The exact coefficients come to it from below, so smaller exponents do not refute it, and
    # larger ones do unless they are those of the exact coefficients at these n.
    return Claim.decided(
        Statement(f"limit-{key}", f"{name}: a tends to {limit} for large n ({whose})", section, paper=limit),
        found,
        f"holds if the interval contains {limit}; does not hold if it lies above both {limit} and the exponent of the "
        "exact coefficients at these n, which come to the limit from below",
        supported=low <= limit <= high,
        refuted=low > max(limit, law),
    )


def _chance(group: Sequence[_Found], trials: int, level: float) -> Claim:
    share = share_of(sum(int(each.found[:, -1].sum()) for each in group), trials * len(group), level)
    chance = sum(1 / math.comb(each.n, each.k) for each in group) / len(group)
    text = f"k={group[0].k}, no bias: the population's gradient is 0 and the support is found by chance only"
    statement = Statement(f"chance-k{group[0].k}", text, paper=chance)
    return Claim.contains(statement, Estimate(*share, n=trials * len(group)), chance)


def _draw(groups: Sequence[Sequence[_Found]], figure: Figure) -> None:
    left, right = figure.subplots(1, 2)
    common = min(group[-1].n for group in groups)
    for number, group in enumerate(groups):
        # One n for all, if this setting has it.
        each = next((each for each in group if each.n == common), group[-1])
        color, label = color_of(number), f"n={each.n}, k={each.k}, {each.neuron}"
        shares = np.array([share_of(int(count), len(each.found)) for count in each.found.sum(0)]).T
        ends = np.abs(shares[1:] - shares[0])
        left.errorbar(each.sizes, shares[0], ends, fmt="o", markersize=4, linewidth=0.8, color=color, label=label)
        fine = np.geomspace(each.sizes[0], each.sizes[-1], 50)
        left.semilogx(fine, [success_law(each.n, each.k, samples, each.bias) for samples in fine], color=color)
        if each.law:
            n = np.array([each.n for each in group])
            half = np.array([each.half for each in group])
            ends = np.abs(np.array([interval(each.halves) for each in group]).T - half)
            right.errorbar(n, half, ends, fmt="o", markersize=4, linewidth=0.8, color=color)
            right.loglog(n, [each.law for each in group], color=color)
            growth = n ** (each.k - 1.0) * np.log(n)
            right.loglog(n, group[0].law * growth / growth[0], ":", color=color)
    # N spans more than a decade: what is between its powers would only overlap.
    left.xaxis.set_minor_formatter(NullFormatter())
    left.set(xlabel="samples N", ylabel="share of trials")
    left.set_title("The k largest |g_i| are the support")
    right.set(xlabel="inputs n", ylabel="N at half")
    right.set_title("Solid: law; dotted: $n^{k-1}\\,\\ln n$")
    ticks_at(right.xaxis, [each.n for group in groups for each in group])
    legend_below(figure)
