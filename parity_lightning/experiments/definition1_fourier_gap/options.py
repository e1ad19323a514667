"""Options of the experiment on the Fourier gap of majority."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from parity_lightning.experiments.majority_options import check_even_supports, check_odd_inputs
from parity_lightning.experiments.options import BoundedOptions, Bounds


@dataclass(frozen=True)
class Options(BoundedOptions):
    """Options of the experiment.

    Attributes:
        n: Numbers of inputs, odd: an even number of signs may have no majority.
        k: Sizes of the support, even: of odd k majority shows nothing.
    """

    n: Annotated[tuple[int, ...], Bounds(at_least=3, at_most=10_001)] = (15, 25, 31, 51, 75, 101)
    k: Annotated[tuple[int, ...], Bounds(at_least=2, at_most=50)] = (2, 4, 6)

    def __post_init__(self) -> None:
        super().__post_init__()
        check_even_supports(self.k)
        check_odd_inputs(self.n, at_least=max(self.k) + 1)
