"""Kernels fail where the network learns, from the same samples (Theorem 6; Theorem 5 of the extended version)."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Annotated, NamedTuple

import numpy as np
import torch
from matplotlib.figure import Figure
from scipy import stats
from torch import Tensor

from parity_lightning.data.parity_stack import stack_parities
from parity_lightning.data.sparse_parity import SparseParity
from parity_lightning.display.style import GRAY, color_of, legend_below
from parity_lightning.errors import SettingError
from parity_lightning.experiments.findings import Findings
from parity_lightning.experiments.options import BoundedOptions, Bounds, Count, Seed
from parity_lightning.experiments.relu_networks import draw_networks, stack_networks
from parity_lightning.nets.mlp import TwoLayerMLP
from parity_lightning.statistics.survival import share_of
from parity_lightning.studies.claims import Claim, Estimate, Statement
from parity_lightning.theory.kernel_ridge import correlation_bound, fit_ridge, norm_bound, predicted
from parity_lightning.theory.kernels import kernel_masses, kernel_matrix, parity_kernel, relu_ntk, tangent_matrix

_NETWORK, _NTK, _UNBIASED = "network, trained", "NTK", "NTK without biases"
_OWN, _RANDOM, _PARITIES = "NTK of this network", "random ReLU features", "all parities of k bits"
_CLOSED = (_NTK, _UNBIASED, _PARITIES)
_EVERY, _LR, _BATCH, _STEPS = 250, 0.1, 32, 20_000
_LEAST_RIDGE = 1e-9  # more than the rounding of 20,000 samples' eigenvalues, or equal samples cannot be solved for
_BIAS = 0.03  # the theory of the mean is exact for large n and m only
_Matrix = Callable[[Tensor, Tensor], Tensor]

_TRIVIAL = "the corresponding Neural Tangent Kernel (NTK) only achieves trivial performance"
_SMALL_SAMPLE = (
    "We find that minibatch SGD (with weight decay) can empirically solve sparse parities, even from a sample of size "
    "m << n^k."
)
_THEOREM = (
    "If D R^2 < epsilon^2 C(n,k), then there exists some (n, k)-parity distribution D_S s.t. inf_{||w|| <= R} "
    "E[l(Psi(x)^T w, y)] > 1 - epsilon."
)


@dataclass(frozen=True)
class Options(BoundedOptions):
    """Options of the experiment.

    Attributes:
        n: Numbers of inputs; the last one is what the claims are about.
        k: Size of the support.
        samples: Size m of the sample, the same for all learners.
        trials: How many supports, samples and networks for each n.
        width: Width of the network.
        features: Number of random ReLU features.
        steps: For how many steps the network is trained at most; it stops when it errs on no test example.
        decay: Weight decay of the network.
        ridge: What is added to the diagonal of a kernel matrix, in units of its mean.
        tested: Number of test examples for each trial.
        seed: Of the first trial.
    """

    n: Annotated[tuple[int, ...], Bounds(at_least=2, at_most=500)] = (15, 20, 50)
    k: Count = 3
    samples: Annotated[int, Bounds(at_least=_BATCH, at_most=20_000)] = 2000
    trials: Count = 5
    width: Count = 100
    features: Count = 1000
    steps: Count = _STEPS
    decay: Annotated[float, Bounds(at_least=0, below=1)] = 0.002
    ridge: Annotated[float, Bounds(at_least=_LEAST_RIDGE, below=1)] = 1e-3
    tested: Annotated[int, Bounds(at_least=100)] = 2000
    seed: Seed = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.k > min(self.n):
            raise SettingError("k", self.k, f"must be at most {min(self.n)}")


class Fit(NamedTuple):
    """What a learner does on the test examples of a trial.

    Attributes:
        n: Number of inputs.
        learner: The network, or a kernel by its name.
        trial: The trial.
        samples: From how many samples.
        right: On how many test examples it was right.
        tested: How many there were.
        hinge: The mean hinge loss.
        hinge_error: Its standard error.
        correlation: The mean of y f.
        correlation_error: Its standard error.
        norm: The norm R of a kernel's fit.
        predicted: The accuracy that the kernel's eigenvalues predict.
        correlation_bound: The bound of Theorem 6 on the correlation, R sqrt(e).
        steps: After how many steps the network stopped.
    """

    n: int
    learner: str
    trial: int
    samples: int
    right: int
    tested: int
    hinge: float
    hinge_error: float
    correlation: float
    correlation_error: float
    norm: float | None = None
    predicted: float | None = None
    correlation_bound: float | None = None
    steps: int | None = None


class Row(NamedTuple):
    """What a learner does from all samples, in all trials.

    Attributes:
        n: Number of inputs.
        learner: The network, or a kernel by its name.
        accuracy: The share of test examples that are right.
        low: The lower end of its interval.
        high: Its upper end.
        predicted: The accuracy that a kernel's eigenvalues predict.
        hinge: The mean hinge loss.
        correlation: The mean of y f.
        eps: m / C(n,k), above which no kernel's mean of y f lies, over all supports.
    """

    n: int
    learner: str
    accuracy: float
    low: float
    high: float
    predicted: float | None
    hinge: float
    correlation: float
    eps: float | None


def run(options: Options) -> Findings:
    """Fits kernels and trains the network they belong to on the same samples.

    Small n are too easy to show it. A kernel learns parities of k bits once it has as many samples as there are of
    them, and C(15,3) = 455 and C(20,3) = 1,140 are fewer than the 2,000 here, C(50,3) = 19,600 is more. The NTK needs
    still more, for a bias is a bit that is always 1: it knows parities of 3 only as those of 4 that have this bit.
    Without biases the NTK fails for another reason: it has no odd degree but 1, so no number of samples helps at k = 3.
    """
    fits = [fit for n in options.n for fit in _fits(n, options)]
    rows = [_row(n, learner, fits, options) for n in options.n for learner in (_NETWORK, _OWN, _RANDOM, *_CLOSED)]
    samples = options.samples
    choices = [
        f"the network: ReLU, width {options.width}, hinge loss, B={_BATCH}, eta={_LR}, Xavier uniform, as in Figure 4 "
        f"(right); lambda={options.decay} is ours; epochs over the same {samples:,} samples until no test example is "
        "wrong",
        f"kernels: ridge regression, {options.ridge:g} of K(x, x) on the diagonal; the networks' initial outputs are "
        "left out",
        "the intervals: exact, over all test examples of all trials, drawn without regard to the samples: at n=15 one "
        "in 16 of them is among 2,000 samples, so memory alone is right on 53 %; claims of one kind: 95 % together",
        "trivial accuracy: told from 0.5 only where m < C(n,k), and does not hold only above what eigenvalues predict",
        f"accuracies by eigenvalues: the prediction is trusted to {_BIAS}, and on test examples that are samples too a "
        "kernel may be right by memory",
        "eps = m / C(n,k): over all S the mean of E[y f], the correlation, is at most this, for every kernel of inner "
        "products; so the hinge loss is at least 1 less it",
    ]
    return Findings(rows, _claims(rows, fits, options), partial(_draw, fits, options), choices, {"fits": fits})


def _fits(n: int, options: Options) -> list[Fit]:
    """All kernels and the network, of all trials."""
    parities = [SparseParity(n, options.k, seed=options.seed + trial) for trial in range(options.trials)]
    networks = [_network(n, options.k, options.width, parity.seed) for parity in parities]
    trained = _train_networks(networks, parities, options)
    fits = []
    for trial, (parity, network, (outputs, steps)) in enumerate(zip(parities, networks, trained, strict=True)):
        fits += _kernel_fits(trial, parity, network, options)
        y = parity.draw(torch.arange(options.tested), "test")[1]
        fits.append(_tested(n, _NETWORK, trial, options.samples, outputs, y)._replace(steps=steps))
    return fits


def _kernel_fits(trial: int, parity: SparseParity, network: TwoLayerMLP, options: Options) -> list[Fit]:
    n, k, samples = parity.n, parity.k, options.samples
    x, y = parity.draw(torch.arange(samples))
    test = parity.draw(torch.arange(options.tested), "test")
    closed = _closed_kernels(n, options)
    matrices: dict[str, _Matrix] = {name: _matrix_of(kernel) for name, kernel in closed.items()}
    matrices |= {_OWN: _tangent(network), _RANDOM: _features(_network(n, k, options.features, parity.seed))}
    fits = []
    for name, matrix in matrices.items():
        # The closed form goes on to where its learning curve begins, for the picture.
        for size in (samples // 16, samples // 4, samples) if name == _NTK else (samples,):
            among = matrix(x[:size], x[:size])
            ridge = fit_ridge(among, y[:size], options.ridge * float(among.diagonal().mean()))
            outputs = matrix(test[0], x[:size]) @ ridge.coefficients
            fit = _tested(n, name, trial, size, outputs, test[1])._replace(norm=ridge.norm)
            if name in closed:
                known = predicted(closed[name], k, size, options.ridge * closed[name][0])
                bound = norm_bound(closed[name], k, ridge.norm)
                fit = fit._replace(predicted=known.accuracy, correlation_bound=bound)
            fits.append(fit)
    return fits


def _closed_kernels(n: int, options: Options) -> dict[str, np.ndarray]:
    return {
        _NTK: relu_ntk(n, options.width),
        _UNBIASED: relu_ntk(n, options.width, bias=False),
        _PARITIES: parity_kernel(n, options.k),
    }


def _network(n: int, k: int, width: int, seed: int) -> TwoLayerMLP:
    (network,) = draw_networks(n, k, width, count=1, seed=seed)
    return network


def _matrix_of(kernel: np.ndarray) -> _Matrix:
    return lambda x, other: kernel_matrix(kernel, x, other)


def _tangent(network: TwoLayerMLP) -> _Matrix:
    assert network.output is not None
    weights, biases, second = (
        part.detach().clone() for part in (network.hidden.weight, network.hidden.bias, network.output.weight[0])
    )
    return lambda x, other: tangent_matrix(weights, biases, second, x, other)


def _features(network: TwoLayerMLP) -> _Matrix:
    weights, biases = network.hidden.weight.detach().double(), network.hidden.bias.detach().double()
    return lambda x, other: (x.double() @ weights.T + biases).relu() @ (other.double() @ weights.T + biases).relu().T


def _tested(n: int, learner: str, trial: int, samples: int, outputs: Tensor, y: Tensor) -> Fit:
    margins = (outputs * y).double()
    losses = (1 - margins).clamp(min=0)

    def error(values: Tensor) -> float:
        return float(values.std() / math.sqrt(len(values)))

    return Fit(
        n,
        learner,
        trial,
        samples,
        int((margins > 0).sum()),
        len(y),
        float(losses.mean()),
        error(losses),
        float(margins.mean()),
        error(margins),
    )


def _train_networks(
    networks: Sequence[TwoLayerMLP], parities: Sequence[SparseParity], options: Options
) -> list[tuple[Tensor, int]]:
    """Minibatch SGD on the hinge loss, each network on the samples of its parity, until no test example is wrong.

    Returns:
        For each network its outputs at the test examples in the end, and the steps taken.
    """
    stack = stack_networks(networks, parities, _BATCH, _LR, options.decay)
    test_x, test_y = stack_parities(parities).draw(torch.arange(options.tested), parities[0].n, "test", noisy=False)
    found: dict[int, tuple[Tensor, int]] = {}
    # The trial at each place of the stack.
    trials, step = list(range(len(parities))), 0
    while True:
        outputs = stack.predict(test_x[trials])
        right = (outputs * test_y[trials] > 0).all(-1) | (step == options.steps)
        # From the last on, since a place is filled by the last trial.
        for place in reversed(right.nonzero()[:, 0].tolist()):
            found[trials[place]] = (outputs[place], step)
            stack.drop(place)
            trials[place] = trials[-1]
            trials.pop()
        if not trials:
            return [found[trial] for trial in range(len(parities))]
        end = min(step + _EVERY, options.steps)
        indices = [_epochs(parities[trial], options.samples, step, end) for trial in trials]
        stack.run(torch.stack(indices, 1))
        step = end


def _epochs(parity: SparseParity, samples: int, first: int, end: int) -> Tensor:
    """The samples of the batches of some steps, int64 of shape ``(steps, B)``.

    Each epoch goes through the samples in an order of its own, and the last samples of an epoch make no smaller batch.
    """
    batches = samples // _BATCH
    epochs = torch.arange(first // batches, (end - 1) // batches + 1)
    orders = parity.shuffle(samples, epochs)[:, : batches * _BATCH].reshape(-1, _BATCH)
    skipped = first - int(epochs[0]) * batches
    return orders[skipped : skipped + end - first]


def _of_learner(fits: Sequence[Fit], n: int, learner: str, samples: int) -> list[Fit]:
    return [fit for fit in fits if (fit.n, fit.learner, fit.samples) == (n, learner, samples)]


def _accuracy(fits: Sequence[Fit], level: float = 0.95) -> Estimate:
    """The share of test examples that a learner was right on, in all trials."""
    right, tested = sum(fit.right for fit in fits), sum(fit.tested for fit in fits)
    return Estimate(*share_of(right, tested, level), n=tested)


def _row(n: int, learner: str, fits: Sequence[Fit], options: Options) -> Row:
    own = _of_learner(fits, n, learner, options.samples)
    share = share_of(sum(fit.right for fit in own), sum(fit.tested for fit in own))
    return Row(
        n,
        learner,
        *share,
        predicted=own[0].predicted,
        hinge=float(np.mean([fit.hinge for fit in own])),
        correlation=float(np.mean([fit.correlation for fit in own])),
        eps=options.samples / math.comb(n, options.k) if learner != _NETWORK else None,
    )


def _claims(rows: Sequence[Row], fits: Sequence[Fit], options: Options) -> list[Claim]:
    n, k, samples = options.n[-1], options.k, options.samples
    at = f"({n},{k}), m={samples:,}"
    few = samples < math.comb(n, k)
    foreseen = {row.learner: row.predicted for row in rows if row.n == n}
    claims = [_least_loss(fits, n, k, samples)]
    for learner in (_NTK, _OWN, _RANDOM):
        found = _accuracy(_of_learner(fits, n, learner, samples), 1 - 0.05 / 3)
        claims.append(_trivial(learner, at, found, foreseen[learner] if learner == _NTK else None, few))
    claims += [_network_learns(_of_learner(fits, n, _NETWORK, samples), at, options.steps), _norm_bound(fits)]
    if k % 2 and k > 1:
        claims.append(_odd_degree(options.n, k))
    return [*claims, _by_eigenvalues(rows, fits, samples)]


def _least_loss(fits: Sequence[Fit], n: int, k: int, samples: int) -> Claim:
    """Theorem 6 for kernels of inner products: for others, such as a network's own NTK, the trace bound is not proved.

    The kernel of all parities of k bits comes up to the bound, so an interval above it cannot be asked for.
    """
    eps, losses = correlation_bound(n, k, samples), []
    for learner in _CLOSED:
        own = _of_learner(fits, n, learner, samples)
        error = math.sqrt(sum(fit.hinge_error**2 for fit in own)) / len(own)
        losses.append((float(np.mean([fit.hinge for fit in own])), error))
    # A loss that is not a number decides nothing.
    least, error = min(losses, key=lambda each: -math.inf if math.isnan(each[0]) else each[0])
    reach = float(stats.norm.isf(0.025 / len(_CLOSED))) * error
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


def _trivial(learner: str, at: str, found: Estimate, foreseen: float | None, few: bool) -> Claim:
    """Whether an accuracy is trivial, where the samples are fewer than the supports."""
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
    found = Estimate(*share_of(solved, len(trained)), n=len(trained), censored=len(trained) - solved)
    text = f"the network learns from this sample, {at} (share of trials at 100 %)"
    statement = Statement("network", text, "Section 5", _SMALL_SAMPLE, 1.0)
    # The interval of all but all ends below 1.
    return Claim.at_least(
        statement,
        found,
        1.0,
        support="estimate",
        refutable=steps >= _STEPS,
        caveat=f"trials of fewer than {_STEPS:,} steps refute nothing",
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


def _odd_degree(n: Sequence[int], k: int) -> Claim:
    masses, zero = [], True
    for inputs in n:
        kernel = relu_ntk(inputs, bias=False)
        masses.append(abs(float(kernel_masses(kernel)[k])))
        # Of the kernel's rounding: a parity's sum over all inputs, times C(n,k) parities, has a norm of sqrt(C(n,k)).
        zero &= masses[-1] <= float(np.finfo(float).eps * kernel[0]) * math.sqrt(math.comb(inputs, k))
    statement = Statement("odd-degree", f"without biases the NTK has nothing of odd degree {k}", paper=0.0)
    rule = "holds if each is 0 but for rounding, sqrt(C(n,k)) times that of K(x, x); does not hold otherwise"
    return Claim.decided(statement, Estimate(max(masses), n=len(masses)), rule, supported=zero, refuted=not zero)


def _by_eigenvalues(rows: Sequence[Row], fits: Sequence[Fit], samples: int) -> Claim:
    known = [(row, row.predicted) for row in rows if row.predicted is not None]
    apart, within, differences = [], [], []
    for row, foreseen in known:
        low, high = _accuracy(_of_learner(fits, row.n, row.learner, samples), 1 - 0.05 / len(known)).ends
        memory = -math.expm1(samples * math.log1p(-(2.0**-row.n))) * (1 - foreseen)
        least, most = foreseen - _BIAS, foreseen + memory + _BIAS
        apart.append(high < least or low > most)
        within.append(least <= low and high <= most)
        differences.append(abs(row.accuracy - foreseen))
    text = f"accuracies follow from the eigenvalues alone, to {_BIAS} and memory (largest difference of {len(known)})"
    return Claim.decided(
        Statement("eigenvalues", text, paper=0.0),
        Estimate(max(differences), n=len(known)),
        f"holds if all intervals lie within {_BIAS} of the predictions, and of what memory adds to them; does not hold "
        "if one lies outside",
        supported=all(within),
        refuted=any(apart),
    )


def _draw(fits: Sequence[Fit], options: Options, figure: Figure) -> None:
    axes = figure.subplots()
    k, samples = options.k, options.samples
    sizes = np.geomspace(samples / 30, samples * 3000, 60)
    for number, n in enumerate(options.n):
        kernel, color = relu_ntk(n, options.width), color_of(number)
        curve = [predicted(kernel, k, round(size), options.ridge * kernel[0]).accuracy for size in sizes]
        axes.semilogx(sizes, curve, color=color, label=f"n={n}: NTK, predicted")
        for learner, mark, label in ((_NTK, "o", "NTK, fitted"), (_NETWORK, "*", "network, trained")):
            own = [fit for fit in fits if (fit.n, fit.learner) == (n, learner)]
            found, places = [fit.right / fit.tested for fit in own], [fit.samples for fit in own]
            # Networks of several n are all right: a smaller star upon a larger one.
            size = 14 - 3 * number if mark == "*" else 5
            axes.plot(places, found, mark, color=color, markersize=size, label=f"n={n}: {label}")
        axes.axvline(math.comb(n, k), color=color, linestyle=":", label=f"n={n}: C(n,{k})")
    axes.axhline(0.5, color=GRAY, linewidth=0.8)
    axes.set(xlabel="samples m", ylabel="test accuracy")
    axes.set_title("What the same samples teach a kernel and a network")
    legend_below(figure, columns=len(options.n))
