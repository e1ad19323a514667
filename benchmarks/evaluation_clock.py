"""A callback that notes when each evaluation ended: a module of its own, for the command line imports it by name."""

from __future__ import annotations

import time

from lightning.pytorch import Callback, LightningModule, Trainer


class Clock(Callback):
    """Notes when each evaluation ended."""

    latest: Clock | None = None

    def __init__(self) -> None:
        self._times: dict[int, float] = {}
        Clock.latest = self

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Notes the time."""
        if not trainer.sanity_checking:
            self.note(trainer.global_step)

    def note(self, step: int) -> None:
        """Notes the time of a step."""
        self._times[step] = time.perf_counter()

    def rate(self, steps: int) -> float:
        """Steps per second of the second half of so many."""
        assert steps in self._times, "solved too early to time"
        return (steps - steps // 2) / (self._times[steps] - self._times[steps // 2])
