"""The algorithm of Theorem 4: one large step of the first layer finds features, then only the second layer learns.

A ReLU MLP ``f(x) = sum_i u_i relu(w_i . x + b_i)`` starts from pairs of neurons that cancel, so f = 0 and the hinge
loss has the derivative -y everywhere. The first step has weight decay 1, which leaves of the first layer minus eta_0
times its gradient: for even k and odd n a Fourier coefficient of majority for each weight (`initial_gradient`).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from parity_lightning.data.sparse_parity import SparseParity
from parity_lightning.theory import initial_gradient
from parity_lightning.theory.majority import majority_coefficient

_CHUNK = 2**13


class Network(nn.Module):
    """A ReLU MLP of r neurons, of which only the second layer's weights require a gradient.

    Args:
        weights: The first layer's weights, of shape ``(r, n)``.
        biases: Its biases, of shape ``(r,)``.
        second: The second layer's weights, of shape ``(r,)``.
    """

    def __init__(self, weights: Tensor, biases: Tensor, second: Tensor) -> None:
        super().__init__()
        self.weights = nn.Parameter(weights, requires_grad=False)
        self.biases = nn.Parameter(biases, requires_grad=False)
        self.second = nn.Parameter(second)

    def features(self, x: Tensor) -> Tensor:
        """The neurons' values at inputs of shape ``(B, n)``: of shape ``(B, r)``."""
        return torch.relu(functional.linear(x, self.weights, self.biases))

    def forward(self, x: Tensor) -> Tensor:
        """The outputs at inputs of shape ``(B, n)``: of shape ``(B,)``."""
        return self.features(x) @ self.second


def symmetric_network(n: int, k: int, width: int, seed: int = 0) -> Network:
    """The initialization: neuron i and neuron i + r/2 are the same but for the sign of their second weight.

    The weights of the first layer are random signs, biases are uniform on the grid of spacing 1/k inside (-1, 1), and
    the second layer's weights are +1 and, for the copies, -1.

    Args:
        n: How many inputs.
        k: The size of the support.
        width: How many neurons, an even number.
        seed: From which seed.

    Example:
        >>> network = symmetric_network(5, 2, 4)
        >>> bool((network(torch.ones(1, 5)) == 0).all())
        True
    """
    random = torch.Generator().manual_seed(seed)
    weights = 1.0 - 2.0 * torch.randint(2, (width // 2, n), generator=random)
    biases = (torch.randint(2 * k - 1, (width // 2,), generator=random) - (k - 1)) / k
    ones = torch.ones(width // 2)
    return Network(weights.repeat(2, 1), biases.repeat(2), torch.cat([ones, -ones]))


@torch.no_grad()
def lucky_neurons(network: Network, support: Sequence[int]) -> Tensor:
    """Which neurons become features: those whose weights on the support have all one sign, the right one.

    That is the sign for which the step makes them +1/(2k); a neuron has it with probability 2^-k.

    Args:
        network: As `symmetric_network` made it.
        support: The support S, of an even k.

    Returns:
        bool of shape ``(r,)``.
    """
    k, n = len(support), network.weights.shape[1]
    right = network.second.sign() * math.copysign(1.0, majority_coefficient(n, k - 1))
    return (network.weights[:, list(support)] == right.unsqueeze(-1)).all(-1)


@torch.no_grad()
def population_gradient(network: Network, support: Sequence[int]) -> Tensor:
    """The first layer's gradient of the expected hinge loss at initialization, in closed form.

    It is u_i times that of neuron i alone; for odd n and even k biases between -1 and 1 change nothing.

    Returns:
        float64 of shape ``(r, n)``.
    """
    alone = initial_gradient.population_gradient(network.weights.numpy(), support)
    return network.second.double().unsqueeze(-1) * torch.from_numpy(alone)


@torch.no_grad()
def sampled_gradients(network: Network, parity: SparseParity, batches: Sequence[int]) -> list[Tensor]:
    """The same gradient over the first so many training examples.

    Args:
        network: As `symmetric_network` made it: its neurons cancel, and the hinge loss has the derivative -y.
        parity: Where examples come from.
        batches: Batch sizes, ascending.

    Returns:
        For each batch size float64 of shape ``(r, n)``.
    """
    half = len(network.weights) // 2
    weights, biases = network.weights[:half].numpy(), network.biases[:half].numpy()
    alone = torch.from_numpy(initial_gradient.sampled_gradients(parity, weights, batches, biases))
    return [network.second.double().unsqueeze(-1) * gradient.repeat(2, 1) for gradient in alone]


@torch.no_grad()
def spread_on_support(network: Network, parity: SparseParity, samples: int) -> float:
    """The standard deviation of what one example adds to the lucky neurons' mean weight on S, in units of 1/(2k).

    After a step with B examples that mean over neurons and S has this standard error, divided by the root of B. What
    neurons have in common counts: those with u=+1 and u=-1 have opposite weights on S, so much of it cancels.

    Args:
        network: As `symmetric_network` made it, some of its neurons being lucky.
        parity: Where examples come from.
        samples: On how many validation examples it is measured.
    """
    lucky, support = lucky_neurons(network, parity.support), list(parity.support)
    x, y = parity.draw(torch.arange(samples), "validation")
    active = torch.addmm(network.biases[lucky], x, network.weights[lucky].T) >= 0
    parts = (active * network.second[lucky]).mean(-1) * y * x[:, support].mean(-1)
    return 2 * float(parts.std()) / abs(majority_coefficient(parity.n, parity.k - 1))


def big_step(network: Network, gradient: Tensor, k: int) -> Network:
    """The first step: learning rate ``1 / (k |xi_(k-1)|)`` and weight decay 1, of the first layer's weights only.

    Example:
        With the population's gradient the weights on the support become 1/(2k), here 1/4:

        >>> network = symmetric_network(9, 2, 20)
        >>> stepped = big_step(network, population_gradient(network, [0, 1]), 2)
        >>> stepped.weights[lucky_neurons(network, [0, 1])][0, :2]
        tensor([0.2500, 0.2500])
    """
    rate = 1 / (k * abs(majority_coefficient(network.weights.shape[1], k - 1)))
    # Weight decay 1: (1 - 1) times the weights, less the step.
    return Network((-rate * gradient).float(), network.biases.clone(), network.second.detach().clone())


@torch.no_grad()
def margins(network: Network, parity: SparseParity, samples: int) -> Tensor:
    """``y f(x)`` at so many test examples: float32 of shape ``(samples,)``."""
    found = []
    for start in range(0, samples, _CHUNK):
        x, y = parity.draw(torch.arange(start, min(start + _CHUNK, samples)), "test")
        found.append(y * network(x))
    return torch.cat(found)
