"""What options must keep to where a neuron's gradient is made of majority's coefficients (Section 4.1)."""

from __future__ import annotations

from collections.abc import Iterable

from parity_lightning.errors import SettingError


def check_even_supports(k: Iterable[int]) -> None:
    """Refuses odd sizes of the support: without a bias, the gradient shows nothing of them.

    Raises:
        SettingError: If a size is odd.
    """
    for size in k:
        if size % 2:
            raise SettingError("k", size, "must be even: majority has no coefficients of even sizes")


def check_odd_inputs(n: Iterable[int], at_least: int) -> None:
    """Refuses numbers of inputs that are too small, and even ones: an even number of signs may have no majority.

    Raises:
        SettingError: If a number is too small or even.
    """
    for inputs in n:
        if inputs < at_least:
            raise SettingError("n", inputs, f"must be at least {at_least}")
        if inputs % 2 == 0:
            raise SettingError("n", inputs, "must be odd")
