"""The distributions of a W&B sweep file, by its names and with its parameters."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from parity_lightning.errors import SettingError, nearest


@dataclass(frozen=True)
class Choice:
    """One of several values.

    Attributes:
        values: The values.
        probabilities: How probable each is; all the same by default.

    Example:
        >>> Choice(("relu", "power")).draw(np.random.default_rng(0))
        'power'
    """

    values: tuple[Any, ...]
    probabilities: tuple[float, ...] | None = None

    def draw(self, random: np.random.Generator) -> Any:
        """Draws a value."""
        return self.values[int(random.choice(len(self.values), p=self.probabilities))]


@dataclass(frozen=True)
class Number:
    """A number between two others, uniform on some scale, or normal around a mean.

    Attributes:
        kind: W&B's name of the distribution.
        low: The smallest number, or the mean.
        high: The largest number, or the standard deviation.
        step: Numbers are multiples of it; None for all.

    Example:
        >>> random = np.random.default_rng(0)
        >>> Number("int_uniform", 10, 30).draw(random), Number("q_uniform", 0, 1, 0.25).draw(random)
        (27, 0.25)
        >>> 0.001 <= Number("log_uniform_values", 0.001, 0.1).draw(random) <= 0.1
        True
    """

    kind: str
    low: float
    high: float
    step: float | None = None

    def draw(self, random: np.random.Generator) -> Any:
        """Draws a number."""
        if self.kind == "int_uniform":
            return int(random.integers(int(self.low), int(self.high), endpoint=True))
        value = _DRAWS[self.kind.removeprefix("q_")](random, self.low, self.high)
        if self.step is None:
            return float(value)
        multiple = round(value / self.step) * self.step
        return int(multiple) if float(self.step).is_integer() else float(f"{multiple:.12g}")

    @property
    def all(self) -> list[Any] | None:
        """Every number there is, if they can be enumerated."""
        return list(range(int(self.low), int(self.high) + 1)) if self.kind == "int_uniform" else None


_DRAWS: dict[str, Callable[[np.random.Generator, float, float], float]] = {
    "uniform": lambda random, low, high: random.uniform(low, high),
    "log_uniform": lambda random, low, high: math.exp(random.uniform(low, high)),
    "log_uniform_values": lambda random, low, high: math.exp(random.uniform(math.log(low), math.log(high))),
    "normal": lambda random, mean, deviation: random.normal(mean, deviation),
    "log_normal": lambda random, mean, deviation: random.lognormal(mean, deviation),
}

_KINDS = [*_DRAWS, *(f"q_{name}" for name in _DRAWS), "int_uniform", "constant", "categorical"]


def distribution_of(name: str, given: Mapping[str, Any]) -> Choice | Number:
    """The distribution of a parameter of a sweep file.

    Args:
        name: The parameter's name.
        given: What the file has of it: ``value``, ``values``, ``min`` and ``max``, ``distribution`` and so on.

    Raises:
        SettingError: If it is none, or one that is not supported.

    Example:
        >>> distribution_of("data.k", {"values": [2, 3]})
        Choice(values=(2, 3), probabilities=None)
        >>> distribution_of("lr", {"min": 0.1, "max": 1}).kind, distribution_of("n", {"min": 10, "max": 30}).kind
        ('uniform', 'int_uniform')
    """
    option = f"parameters.{name}"
    known = {"value", "values", "probabilities", "distribution", "min", "max", "q", "mu", "sigma"}
    for key in given:
        if key not in known:
            raise SettingError(option, key, f"no such key of a parameter; {nearest(key, known)}")
    if "value" in given:
        return Choice((given["value"],))
    if "values" in given:
        return _choice(option, given)
    kind = given.get("distribution")
    if kind is None:
        whole = all(type(given.get(end)) is int for end in ("min", "max"))
        kind = "int_uniform" if whole else "uniform"
    if kind not in _KINDS:
        raise SettingError(option, kind, f"this distribution is not supported; {nearest(kind, _KINDS)}")
    ends = ("mu", "sigma") if "normal" in kind else ("min", "max")
    numbers = []
    for end in ends:
        number = given.get(end, {"mu": 0, "sigma": 1}.get(end))
        if type(number) not in (int, float):
            raise SettingError(option, f"{end}: {number}", "must be a number; or give values: [...]")
        numbers.append(number)
    low, high = numbers
    if ends[0] == "min" and low > high:
        raise SettingError(option, f"min: {low}", f"must be at most max: {high}")
    if "_values" in kind and low <= 0:
        raise SettingError(option, f"min: {low}", "must be above 0 on a logarithmic scale")
    step = given.get("q", 1) if kind.startswith("q_") else None
    return Number(kind, low, high, step)


def _choice(option: str, given: Mapping[str, Any]) -> Choice:
    values = given["values"]
    if not isinstance(values, Sequence) or isinstance(values, str) or not values:
        raise SettingError(option, f"values: {values}", "must be a list, [10, 20, 30]")
    if len({repr(value) for value in values}) < len(values):
        raise SettingError(option, f"values: {values}", "has a value twice; give each once")
    chances = given.get("probabilities")
    if chances is None:
        return Choice(tuple(values))
    if len(chances) != len(values) or abs(sum(chances) - 1) > 1e-6:
        raise SettingError(option, f"probabilities: {chances}", "must be one for each value, and 1 in all")
    return Choice(tuple(values), tuple(chances))
