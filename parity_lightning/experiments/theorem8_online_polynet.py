"""SGD with batches of one example on disjoint-PolyNets: how many steps, and from which initializations (Theorem 8)."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter

from parity_lightning.errors import SettingError, check_int
from parity_lightning.experiments.findings import Claim, Findings
from parity_lightning.statistics.survival import Quantile, quantile_of, share_of
from parity_lightning.theory.online_polynet import OnlineRun, Rates, drift_steps, theorem_steps, train_online


class _Setting(NamedTuple):
    rates: Rates
    k: int
    length: int
    theorem: int
    horizon: int


def run(
    two: tuple[int, ...] | None = (3, 4, 5, 6, 8, 10),
    three: tuple[int, ...] | None = (3, 4, 5),
    oracle: tuple[int, ...] | None = (3, 4),
    trials: int = 80,
    epsilon: float = 0.1,
    delta: float = 0.1,
    horizon: float = 0.04,
    max_steps: int = 1_000_000,
    seed: int = 0,
) -> Findings:
    """Trains from random signs, an example a step, and tells when the exact error falls to epsilon.

    Args:
        two: Block lengths n' = n/k of runs with k=2 and learning rates by the weights' norms; null for none.
        three: Those with k=3.
        oracle: Those with k=2 and learning rates by the relevant weights, which need many more steps.
        trials: How many trials, each with initial weights and examples of its own.
        epsilon: The error to reach.
        delta: How probably the samples may mislead; learning rates depend on it.
        horizon: For learning rates by norms, to the power k-1 the share of the theorem's T that they are made for.
        max_steps: No trial goes on for longer.
        seed: Decides initial weights and examples.
    """
    two, three, oracle = two or (), three or (), oracle or ()
    lengths: list[tuple[Rates, int, tuple[int, ...]]] = [("norm", 2, two), ("norm", 3, three), ("oracle", 2, oracle)]
    for option, values in {"two": two, "three": three, "oracle": oracle}.items():
        for value in values:
            check_int(option, value, at_least=2, at_most=14)
    if not (two or three or oracle):
        raise SettingError("two", two, "give one block length at least, or some to three or oracle")
    # The interval of the median of fewer would have no ends.
    check_int("trials", trials, at_least=6)
    check_int("max_steps", max_steps, at_least=1)
    check_int("seed", seed, at_least=0)
    for option, share, most in (("epsilon", epsilon, 0.5), ("delta", delta, 1.0), ("horizon", horizon, 1.0)):
        if not 0 < share <= most or (share == most and option != "horizon"):
            raise SettingError(
                option, share, f"must be above 0 and {'at most' if option == 'horizon' else 'below'} {most:g}"
            )
    runs = []
    for rates, k, values in lengths:
        for length in values:
            steps = theorem_steps(length, k, epsilon, delta)
            taken = steps if rates == "oracle" else math.ceil(steps * horizon ** (k - 1))
            setting = _Setting(rates, k, length, steps, taken)
            rng = np.random.default_rng([seed, k, length, rates == "oracle"])
            weights = rng.choice([-1.0, 1.0], (length, k, trials))
            found = train_online(
                weights, rates, horizon=taken, epsilon=epsilon, delta=delta, rng=rng, at_most=max_steps
            )
            runs.append((setting, found))
    rows = [_row(setting, found, epsilon, delta) for setting, found in runs]
    groups = {(setting.rates, setting.k): [pair for pair in runs if pair[0][:2] == setting[:2]] for setting, _ in runs}
    claims = _right_claim(runs, epsilon)
    for rates in dict.fromkeys(setting.rates for setting, _ in runs):
        claims += _sign_claims(rates, [pair for pair in runs if pair[0].rates == rates], epsilon, delta)
    for (rates, k), own in groups.items():
        claims += _slope_claims(rates, k, own, epsilon, delta, np.random.default_rng([seed, 1]))
    claims += [*_law_claim(rows), _irrelevant_claim(runs)]

    def draw(figure: Figure) -> None:
        axes = figure.subplots()
        for number, ((rates, k), own) in enumerate(groups.items()):
            color, settings = f"C{number}", [setting for setting, _ in own]
            at = [3 * setting.length - 2 for setting in settings]
            medians = [quantile_of(found.steps[found.right]) for _, found in own]
            below = [one.value - one.low for one in medians]
            above = [one.high - one.value if math.isfinite(one.high) else 0.0 for one in medians]
            message = f"k={k}, rates by {_NAMES[rates]}"
            solved = [index for index, one in enumerate(medians) if math.isfinite(one.value)]
            axes.errorbar(
                [at[index] for index in solved],
                [medians[index].value for index in solved],
                [[below[index] for index in solved], [above[index] for index in solved]],
                fmt="o",
                color=color,
                capsize=3,
                label=f"{message}: median",
            )
            law = [drift_steps(each.length, k, epsilon, delta, each.horizon, rates) for each in settings]
            axes.plot(at, law, "-", color=color, linewidth=1, label=f"{message}: mean increments only")
        for k in sorted({setting.k for setting, _ in runs}):
            bounds = sorted({(3 * setting.length - 2, setting.theorem) for setting, _ in runs if setting.k == k})
            axes.plot(*zip(*bounds, strict=True), "--", color="gray", linewidth=k - 1, label=f"k={k}: theorem's T")
        axes.set(xscale="log", yscale="log", xlabel="3n' - 2 (block length n')", ylabel=f"steps to error {epsilon:g}")
        ticks = sorted({setting.length for setting, _ in runs})
        axes.set_xticks([3 * length - 2 for length in ticks], [f"{3 * length - 2} ({length})" for length in ticks])
        axes.xaxis.set_minor_formatter(NullFormatter())
        axes.set_title("Online SGD on disjoint-PolyNets, batches of one example (right signs)")
        figure.legend(loc="outside lower center", ncols=3, fontsize=7)

    choices = [
        "learning rate of factor i: c / (sqrt(T) prod of d_l over l != i), c = (8 log(2nT/delta))^(-1/2); d_l is",
        'for "oracle" (3n\'-2) max(|v_l|, 1/2), v_l the relevant weight (the proof reconstructed), T as proven;',
        f'for "norm" ||w_l||_1, which needs no oracle, T {horizon:g}^(k-1) times the theorem\'s',
        f"epsilon {epsilon:g}, delta {delta:g}; exact error over all inputs, looked at 400 times in a run",
        "steps in the table: of trials from right signs, those whose relevant weights have a positive product",
    ]
    return Findings(rows, claims, draw, choices, {"trials": [row for pair in runs for row in _single(*pair)]})


_NAMES = {"norm": "norms", "oracle": "relevant weights"}


def _row(setting: _Setting, found: OnlineRun, epsilon: float, delta: float) -> dict[str, Any]:
    median = quantile_of(found.steps[found.right]) if found.right.any() else Quantile(math.inf, 0.0, math.inf)
    solved = found.errors <= epsilon
    known = math.isfinite(median.value)
    return {
        "rates": setting.rates,
        "k": setting.k,
        "n'": setting.length,
        "theorem's T": setting.theorem,
        "taken": found.taken,
        "right": f"{(solved & found.right).sum()} of {found.right.sum()}",
        "wrong": f"{(solved & ~found.right).sum()} of {(~found.right).sum()}",
        "steps": median.value if known else None,
        "low": median.low if known else None,
        "high": median.high if math.isfinite(median.high) else None,
        "by drift": drift_steps(setting.length, setting.k, epsilon, delta, setting.horizon, setting.rates),
    }


def _single(setting: _Setting, found: OnlineRun) -> Iterable[dict[str, Any]]:
    columns = zip(
        found.right.tolist(), found.steps.tolist(), found.errors.tolist(), found.irrelevant_moved.tolist(), strict=True
    )
    for trial, (right, steps, error, irrelevant_moved) in enumerate(columns):
        yield {
            **setting._asdict(),
            "trial": trial,
            "right": right,
            "steps": steps if math.isfinite(steps) else None,
            "taken": found.taken,
            "error": error,
            "irrelevant moved": irrelevant_moved,
        }


def _share_claim(message: str, paper: float, least: float, solved: np.ndarray, cut: bool) -> Claim:
    """A share that should be no less than something; trials that were cut short refute nothing."""
    share = share_of(int(solved.sum()), len(solved))
    holds = None
    if share.low >= least:
        holds = True
    elif share.high < least and not cut:
        holds = False
    return Claim(message, paper, share.value, holds, share.low, share.high)


def _cut(unsolved: np.ndarray, setting: _Setting, found: OnlineRun) -> bool:
    return bool(unsolved.any()) and found.taken < setting.theorem


def _right_claim(runs: list[tuple[_Setting, OnlineRun]], epsilon: float) -> list[Claim]:
    solved = np.concatenate([found.errors[found.right] <= epsilon for _, found in runs])
    if not len(solved):
        return []
    cut = any(_cut(found.right & (found.errors > epsilon), setting, found) for setting, found in runs)
    message = "Theorem 8: error epsilon within its T steps; from right signs, which all ones are but for symmetry"
    return [_share_claim(message, 0.99, 0.99, solved, cut)]


def _sign_claims(rates: Rates, own: list[tuple[_Setting, OnlineRun]], epsilon: float, delta: float) -> list[Claim]:
    solved = np.concatenate([found.errors <= epsilon for _, found in own])
    wrong = ~np.concatenate([found.right for _, found in own])
    by = _NAMES[rates]
    cut = any(_cut(found.errors > epsilon, setting, found) for setting, found in own)
    message = f"extended Theorem 8: success over random signs, rates by {by} (at least (1 - delta) / 2)"
    claims = [_share_claim(message, 0.5, (1 - delta) / 2, solved, cut)]
    if wrong.any():
        share = share_of(int(solved[wrong].sum()), int(wrong.sum()))
        message = f"... from wrong signs, of which it tells nothing, rates by {by}, {wrong.sum()} trials"
        claims.append(Claim(message, "not told", share.value, None, share.low, share.high))
    return claims


def _slope(lengths: list[int], steps: list[float]) -> float:
    return float(np.polyfit(np.log([3 * length - 2 for length in lengths]), np.log(steps), 1)[0])


def _is_known(found: OnlineRun) -> bool:
    """Whether there is a median, and a logarithm of it."""
    return bool(found.right.any()) and 0 < float(np.median(found.steps[found.right])) < math.inf


def _slope_claims(
    rates: Rates,
    k: int,
    own: list[tuple[_Setting, OnlineRun]],
    epsilon: float,
    delta: float,
    rng: np.random.Generator,
) -> list[Claim]:
    """The measured slope with an interval of resampled trials, and the slope of the drift law for long blocks."""
    claims = []
    message = [
        pair for pair in own if math.isfinite(float(np.median(pair[1].steps[pair[1].right]))) if pair[1].right.any()
    ]
    lengths = [setting.length for setting, _ in message]
    if len(set(lengths)) > 1:
        times = [found.steps[found.right] for _, found in message]
        slope = _slope(lengths, [float(np.median(each)) for each in times])
        resampled = []
        for _ in range(500):
            medians = [float(np.median(rng.choice(each, len(each)))) for each in times]
            resampled.append(_slope(lengths, medians) if 0 < min(medians) <= max(medians) < math.inf else math.inf)
        low, high = (float(end) for end in np.quantile(resampled, [0.025, 0.975], method="nearest"))
        bound = _slope(lengths, [setting.theorem for setting, _ in message])
        text = (
            f"Theorem 8, k={k}, rates by {_NAMES[rates]}: log-log slope of steps against 3n'-2 (T's own: {bound:.2f})"
        )
        # A bound up to constants: what is steeper for a few short blocks may be less so for longer ones.
        claims.append(Claim(text, f"at most {2 * k - 1} and logs", slope, True if high <= bound else None, low, high))
    far = [1000, 10_000]
    bounds = [theorem_steps(length, k, epsilon, delta) for length in far]
    laws = [drift_steps(n, k, epsilon, delta, bound, rates) for n, bound in zip(far, bounds, strict=True)]
    bound, law = _slope(far, [float(steps) for steps in bounds]), _slope(far, laws)
    text = f"... k={k}, {_NAMES[rates]}: by mean increments only, n' from 1,000 to 10,000 (T's own: {bound:.2f})"
    claims.append(Claim(text, f"at most {2 * k - 1} and logs", law, law <= bound + 0.02))
    return claims


def _law_claim(rows: list[dict[str, Any]]) -> list[Claim]:
    ratios = [row["steps"] / row["by drift"] for row in rows if row["steps"] and row["by drift"]]
    if not ratios:
        return []
    worst = max(ratios, key=lambda ratio: abs(math.log(ratio)))
    message = "proof: relevant weights move as by their mean increments; median steps over those, furthest from 1"
    return [Claim(message, 1.0, worst, 0.8 < worst < 1.25)]


def _irrelevant_claim(runs: list[tuple[_Setting, OnlineRun]]) -> Claim:
    worst = max(
        (float(found.irrelevant_moved[found.right].max()) for _, found in runs if found.right.any()), default=0.0
    )
    return Claim("proof: irrelevant weights move by 1/2 at most; from right signs", "at most 0.5", worst, worst <= 0.5)
