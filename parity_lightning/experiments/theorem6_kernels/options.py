"""Options of the experiment on kernels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from parity_lightning.experiments.options import BoundedOptions, Bounds, Count, Seed

BATCH = 32
"""Samples in a batch of the network."""

STEPS = 20_000
"""Steps after which a network that has not learned refutes the claim that it does."""

_LEAST_RIDGE = 1e-9  # more than the rounding of 20,000 samples' eigenvalues, or equal samples cannot be solved for


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
    samples: Annotated[int, Bounds(at_least=BATCH, at_most=20_000)] = 2000
    trials: Count = 5
    width: Count = 100
    features: Count = 1000
    steps: Count = STEPS
    decay: Annotated[float, Bounds(at_least=0, below=1)] = 0.002
    ridge: Annotated[float, Bounds(at_least=_LEAST_RIDGE, below=1)] = 1e-3
    tested: Annotated[int, Bounds(at_least=100)] = 2000
    seed: Seed = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        self.check_at_most(k=min(self.n))
