"""Random searches: among sets of coordinates, and among networks (Section 3.2).

Times count tries from 1 and are infinite for trials that were not solved.
"""

from __future__ import annotations

import math
from itertools import combinations

import numpy as np
import torch

from parity_lightning.data.sparse_parity import SparseParity
from parity_lightning.measures.coefficients import all_inputs


def search_subsets(parity: SparseParity, trials: int, again: bool, examples: int = 40, seed: int = 0) -> np.ndarray:
    """Searches the support by trying sets of k coordinates at random, each on fresh examples.

    The time is uniform on 1 to C(n, k) if no set is tried again, geometric of rate ``1 / C(n, k)`` if sets are drawn
    anew each time (Section 3.2).

    Args:
        parity: Where examples come from.
        trials: How many searches, which share the support and no example.
        again: Whether a set may be tried again.
        examples: How many to try a set on; a wrong set is right on all with probability 2^-examples.
        seed: Decides which sets are tried.

    Returns:
        float64 of shape ``(trials,)``: how many sets each search tried until one was right on all examples.

    Example:
        >>> search_subsets(SparseParity(n=4, k=2), trials=5, again=False)
        array([2., 4., 2., 3., 6.])
    """
    generator = np.random.default_rng(seed)
    subsets = torch.tensor(list(combinations(range(parity.n), parity.k)))
    orders = generator.permuted(np.tile(np.arange(len(subsets)), (0 if again else trials, 1)), axis=1)
    times = np.zeros(trials)
    searching, tried, read = np.arange(trials), 0, 0
    while len(searching):
        number = generator.integers(len(subsets), size=len(searching)) if again else orders[searching, tried]
        tried += 1
        index = torch.arange(read, read + len(searching) * examples).reshape(len(searching), examples)
        read += index.numel()
        x, y = parity.draw(index)
        chosen = subsets[torch.from_numpy(number)].unsqueeze(1).expand(-1, examples, -1)
        right = (x.gather(-1, chosen).prod(-1) == y).all(-1).numpy()
        times[searching[right]] = tried
        searching = searching[~right]
    return times


def langevin_search(n: int, k: int, units: int, trials: int, step: float, max_steps: int, seed: int = 0) -> np.ndarray:
    """Lets ReLU networks move at random until they compute a parity: Langevin dynamics without a useful gradient.

    All parameters theta are standard normal at first and move by ``theta <- (1 - step) theta + noise``: the first part
    is the gradient of ``|theta|^2 / 2``, and the noise keeps them standard normal. Such a process is reversible and
    starts as it goes on, so its time is a mixture of geometric ones: likeliest at the first try, ever less so later.

    Args:
        n: How many bits an input has.
        k: Size of the support, the first k coordinates; the law is the same for all.
        units: Hidden units of the network ``u . relu(W x + b)``.
        trials: How many networks.
        step: How far they move, above 0 to 1; 1 draws them anew each time.
        max_steps: How many tries each has.
        seed: Decides all of it.

    Returns:
        float64 of shape ``(trials,)``: the first try with the right sign at all 2^n inputs.

    Example:
        >>> langevin_search(2, 1, units=4, trials=200, step=0.5, max_steps=1000).mean() > 2
        np.True_
    """
    generator = torch.Generator().manual_seed(seed)
    x = torch.cat([all_inputs(n), torch.ones(2**n, 1)], 1)
    y = x[:, :k].prod(-1, keepdim=True)
    weights = torch.randn(trials, units, n + 2, generator=generator)
    times = np.full(trials, np.inf)
    searching = torch.arange(trials)
    for tried in range(1, max_steps + 1):
        outputs = torch.relu(x @ weights[..., :-1].mT) @ weights[..., -1:]
        right = (outputs * y > 0).flatten(1).all(-1)
        if right.any():
            times[searching[right].numpy()] = tried
            searching, weights = searching[~right], weights[~right]
            if not len(searching):
                break
        noise = torch.randn(weights.shape, generator=generator)
        weights = (1 - step) * weights + math.sqrt(1 - (1 - step) ** 2) * noise
    return times
