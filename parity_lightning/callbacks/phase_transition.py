"""When a run leaves its plateau and when it has solved its parity (Section 3.1, "Phase transitions")."""

from __future__ import annotations

from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer

from parity_lightning.callbacks.requirements import begins_run, is_evaluation, metric_of
from parity_lightning.modules.announce import announce

PLATEAU_ERROR = 0.49
"""A run is on its plateau while its validation error is at least this (the error of Theorem 7)."""

# Below the plateau's error by chance alone: not for a screen of a few hundred examples.
_SURELY_OFF = 0.4


class PhaseTransition(Callback):
    """Dates the phase transition of a run and announces it when it happens.

    - **convergence time** ``t_c``: the first evaluated step without a single validation error;
    - **onset**: the first evaluated step whose validation error is below 0.49 and stays below until ``t_c``;
    - **plateau share**: onset / ``t_c``.

    It needs a module that logs ``val/accuracy`` and ``val/errors`` in validation, as every `ParityModule` does.
    """

    def __init__(self) -> None:
        self.onset: int | None = None
        self.convergence_time: int | None = None
        self._announced = False

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Forgets an earlier run."""
        if begins_run(trainer, stage):
            self.onset, self.convergence_time, self._announced = None, None, False

    @property
    def plateau_share(self) -> float | None:
        """The share of its time to convergence that the run spent on its plateau, once it has solved the parity."""
        if self.convergence_time is None or self.onset is None:
            return None
        return self.onset / self.convergence_time

    def observe(self, step: int, accuracy: float, errors: float) -> str | None:
        """Takes note of an evaluation.

        Args:
            step: After how many SGD steps.
            accuracy: Validation accuracy, 0 to 1.
            errors: Exact number of validation errors.

        Returns:
            What to announce, if there is news.

        Example:
            >>> transition = PhaseTransition()
            >>> for step, accuracy in [(100, 0.5), (200, 0.52), (300, 0.5), (400, 0.54), (500, 0.7)]:
            ...     news = transition.observe(step, accuracy, errors=100)
            >>> news
            'step 500: off the plateau, validation error 0.30 (below 0.49 since step 400)'
            >>> transition.observe(600, 1.0, errors=0)
            'step 600: solved (onset at step 400, plateau share 0.67)'
        """
        if self.convergence_time is not None:
            return None
        error = 1 - accuracy
        if not error < PLATEAU_ERROR:
            self.onset = None
        elif self.onset is None:
            self.onset = step
        if errors == 0:
            self.convergence_time = step
            return f"step {step:,}: solved (onset at step {self.onset:,}, plateau share {self.plateau_share:.2f})"
        if error < _SURELY_OFF and not self._announced:
            self._announced = True
            return (
                f"step {step:,}: off the plateau, validation error {error:.2f} "
                f"(below {PLATEAU_ERROR} since step {self.onset:,})"
            )
        return None

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Observes the evaluation."""
        if is_evaluation(trainer):
            accuracy, errors = (metric_of(trainer, self, name) for name in ("val/accuracy", "val/errors"))
            announce(trainer, self.observe(trainer.global_step, accuracy, errors))

    def summary(self) -> dict[str, Any]:
        """The dates, for ``summary.json``; null where the run did not get there."""
        solved = self.convergence_time is not None
        return {
            "solved": solved,
            "convergence_time": self.convergence_time,
            "onset": self.onset if solved else None,
            "plateau_share": self.plateau_share,
        }

    def state_dict(self) -> dict[str, Any]:
        """The dates so far."""
        return {"onset": self.onset, "convergence_time": self.convergence_time, "announced": self._announced}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Takes the dates of the run that goes on."""
        self.onset = state_dict["onset"]
        self.convergence_time = state_dict["convergence_time"]
        self._announced = state_dict["announced"]
