"""The scales at which a figure can be run."""

from __future__ import annotations

from typing import Literal

Scale = Literal["smoke", "laptop", "paper"]

SCALES: tuple[Scale, ...] = ("smoke", "laptop", "paper")
"""From the smallest: each has all that the one before has, so that a larger one runs only what is missing."""
