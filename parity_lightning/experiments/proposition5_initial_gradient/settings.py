"""What is tried: inputs, sizes of the support, biases, and numbers of samples."""

from __future__ import annotations

import math
from typing import NamedTuple

from parity_lightning.errors import SettingError
from parity_lightning.experiments.proposition5_initial_gradient.options import Options
from parity_lightning.theory.initial_gradient import samples_for_half

_GRID = tuple(2 ** (half / 2) for half in range(-4, 4))
"""The numbers of samples tried, in units of those at which the law says one half."""

_FAR = 8.0
"""A larger number, in the same units, that is tried for the smallest n, too."""


class Setting(NamedTuple):
    """A number of inputs, a size of the support, and a neuron.

    Attributes:
        n: Number of inputs.
        k: Size of the support.
        neuron: The neuron's bias by its name.
        factors: The numbers of samples tried, ascending, in units of those at which the law says one half.
    """

    n: int
    k: int
    neuron: str
    factors: tuple[float, ...] = _GRID

    @property
    def bias(self) -> float:
        """The neuron's bias."""
        return {"b=0": 0.0, "b=2": 2.0, "b~sqrt(n)": 2.0 * round(math.sqrt(self.n) / 2)}[self.neuron]

    @property
    def unit(self) -> float:
        """The number of samples at which the law says one half."""
        # Without a bias the gradient of an odd k shows nothing; it gets as many samples as the best bias needs.
        shows_nothing = self.k % 2 and self.neuron == "b=0"
        return samples_for_half(self.n, self.k, self._replace(neuron="b~sqrt(n)").bias if shows_nothing else self.bias)

    @property
    def sizes(self) -> tuple[int, ...]:
        """The numbers of samples tried."""
        return tuple(round(self.unit * factor) for factor in self.factors)


def choose_settings(options: Options) -> tuple[list[Setting], list[Setting]]:
    """The settings that are tried, and those that are left out since they need more than ``at_most`` samples.

    Returns:
        Both lists, the settings of one k and neuron one after another.

    Raises:
        SettingError: If all are left out.
    """
    settings = [
        Setting(n, k, neuron, (*_GRID, _FAR) if n == min(options.n) else _GRID)
        for k in options.k
        for neuron in (("b=0",) if k % 2 == 0 else ("b=0", "b=2", "b~sqrt(n)"))
        for n in sorted(options.n)
    ]
    few = [each.unit * each.factors[-1] <= options.at_most for each in settings]
    if not any(few):
        raise SettingError("at_most", options.at_most, "leaves nothing: give a larger number, or smaller n or k")
    tried, left_out = (
        [each for each, kept in zip(settings, few, strict=True) if kept is wanted] for wanted in (True, False)
    )
    return tried, left_out
