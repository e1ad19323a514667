"""Kernels fitted to the samples of a trial."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
import torch
from torch import Tensor

from parity_lightning.data.sparse_parity import SparseParity
from parity_lightning.experiments.relu_networks import draw_networks
from parity_lightning.experiments.theorem6_kernels.options import Options
from parity_lightning.experiments.theorem6_kernels.rows import NTK, OWN, PARITIES, RANDOM, UNBIASED, Fit, fit_of
from parity_lightning.nets.mlp import TwoLayerMLP
from parity_lightning.theory.kernel_ridge import fit_ridge, norm_bound, predicted
from parity_lightning.theory.kernels import kernel_matrix, parity_kernel, relu_ntk, tangent_matrix

_Matrix = Callable[[Tensor, Tensor], Tensor]
"""Makes the kernel matrix of inputs of shapes ``(m, n)`` and ``(m', n)``."""


def kernel_fits(trial: int, parity: SparseParity, network: TwoLayerMLP, options: Options) -> list[Fit]:
    """Fits all kernels to the samples of a trial.

    Args:
        trial: The trial's number.
        parity: Its parity.
        network: Its network with the initial weights, whose tangent kernel is one of the kernels.
        options: Options of the experiment.
    """
    n, k, samples = parity.n, parity.k, options.samples
    x, y = parity.draw(torch.arange(samples))
    test = parity.draw(torch.arange(options.tested), "test")
    closed = _closed_kernels(n, options)
    matrices: dict[str, _Matrix] = {name: partial(kernel_matrix, kernel) for name, kernel in closed.items()}
    matrices |= {OWN: _tangent(network), RANDOM: _features(draw_network(n, k, options.features, parity.seed))}
    fits = []
    for name, matrix in matrices.items():
        # For the picture the closed form is fitted to fewer samples, too.
        for size in (samples // 16, samples // 4, samples) if name == NTK else (samples,):
            among = matrix(x[:size], x[:size])
            ridge = fit_ridge(among, y[:size], options.ridge * float(among.diagonal().mean()))
            outputs = matrix(test[0], x[:size]) @ ridge.coefficients
            fit = fit_of(n, name, trial, size, outputs, test[1])._replace(norm=ridge.norm)
            if name in closed:
                known = predicted(closed[name], k, size, options.ridge * closed[name][0])
                bound = norm_bound(closed[name], k, ridge.norm)
                fit = fit._replace(predicted=known.accuracy, correlation_bound=bound)
            fits.append(fit)
    return fits


def _closed_kernels(n: int, options: Options) -> dict[str, np.ndarray]:
    """The kernels of inner products, each of shape ``(n + 1,)``; see `parity_lightning.theory.kernels`."""
    return {
        NTK: relu_ntk(n, options.width),
        UNBIASED: relu_ntk(n, options.width, bias=False),
        PARITIES: parity_kernel(n, options.k),
    }


def draw_network(n: int, k: int, width: int, seed: int) -> TwoLayerMLP:
    """A network with random initial weights."""
    (network,) = draw_networks(n, k, width, count=1, seed=seed)
    return network


def _tangent(network: TwoLayerMLP) -> _Matrix:
    """The tangent kernel of a network as it is now."""
    assert network.output is not None
    weights, biases, second = (
        part.detach().clone() for part in (network.hidden.weight, network.hidden.bias, network.output.weight[0])
    )
    return lambda x, other: tangent_matrix(weights, biases, second, x, other)


def _features(network: TwoLayerMLP) -> _Matrix:
    """The kernel of a network's hidden units as features."""
    weights, biases = network.hidden.weight.detach().double(), network.hidden.bias.detach().double()
    return lambda x, other: (x.double() @ weights.T + biases).relu() @ (other.double() @ weights.T + biases).relu().T
