"""When a run leaves its plateau and when it has solved its parity (Section 3.1, "Phase transitions")."""

from __future__ import annotations

from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer

from parity_lightning.callbacks.requirements import begins_run, is_evaluation, metric_of
from parity_lightning.measures.phase_transition import (
    PLATEAU_ERROR,
    SIGNIFICANCE_LEVEL,
    PhaseTransitionState,
    most_errors_off_plateau,
)
from parity_lightning.modules.announce import announce

# The onset is provisional until the run is solved, so it is announced only once the error is well below the plateau's.
_ANNOUNCED_BELOW = 0.4


class PhaseTransition(Callback):
    """Dates the phase transition of a run and announces it when it happens.

    - **convergence time** ``t_c``: the first evaluated step without a single validation error;
    - **onset**: the first evaluated step from which on, until ``t_c``, the validation error is below 0.49 and, by a
      one-sided binomial test at level 0.001, below one half (`most_errors_off_plateau`);
    - **plateau share**: onset / ``t_c``.

    Of a module with ``accuracy_thresholds`` it also keeps the first evaluated step at which each of them is reached.

    It needs a module that logs ``val/accuracy`` and ``val/errors`` in validation, as every `ParityModule` does. The
    number of examples is that of ``val/examples``, or follows from these two.
    """

    def __init__(self) -> None:
        self._state = PhaseTransitionState()
        self._announced = False
        self._examples: int | None = None

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Forgets an earlier run."""
        if begins_run(trainer, stage):
            thresholds = tuple(getattr(pl_module, "accuracy_thresholds", ()))
            self._state = PhaseTransitionState(thresholds=thresholds)
            self._announced, self._examples = False, None

    @property
    def onset(self) -> int | None:
        """The onset in SGD steps, provisional until the run is solved; None while the run is on its plateau."""
        return self._state.onset

    @property
    def convergence_time(self) -> int | None:
        """The convergence time in SGD steps; None while the run is unsolved."""
        return self._state.convergence_time

    @property
    def plateau_share(self) -> float | None:
        """The share of its time to convergence that the run spent on its plateau, once it has solved the parity."""
        return self._state.plateau_share

    def observe(self, step: int, errors: float, examples: float) -> str | None:
        """Takes in an evaluation.

        Args:
            step: After how many SGD steps.
            errors: Exact number of validation errors.
            examples: Of how many examples.

        Returns:
            What to announce, if there is news.

        Example:
            >>> transition = PhaseTransition()
            >>> for step, errors in [(100, 512), (200, 490), (300, 512), (400, 450), (500, 300)]:
            ...     news = transition.observe(step, errors, examples=1024)
            >>> news
            'step 500: off the plateau, validation error 0.29 (since step 400)'
            >>> transition.observe(600, errors=0, examples=8192)
            'step 600: solved (onset at step 400, plateau share 0.67)'
        """
        if self.convergence_time is not None:
            return None
        self._state.observe(step, errors, examples)
        if errors == 0:
            return f"step {step:,}: solved (onset at step {self.onset:,}, plateau share {self.plateau_share:.2f})"
        self._examples = int(examples)
        error = errors / examples
        if self.onset is not None and error < _ANNOUNCED_BELOW and not self._announced:
            self._announced = True
            return f"step {step:,}: off the plateau, validation error {error:.2f} (since step {self.onset:,})"
        return None

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Observes the evaluation."""
        if is_evaluation(trainer):
            accuracy, errors = (metric_of(trainer, self, name) for name in ("val/accuracy", "val/errors"))
            logged = trainer.callback_metrics.get("val/examples")
            # If the number is not logged, it follows from the errors and their share.
            examples = float(logged) if logged is not None else round(errors / (1 - accuracy)) if accuracy < 1 else 1.0
            announce(trainer, self.observe(trainer.global_step, errors, examples))

    def summary(self) -> dict[str, Any]:
        """The steps, for ``summary.json``, null where the run did not get there; and the rule of the onset."""
        solved = self.convergence_time is not None
        rule = None
        if self._examples is not None:
            rule = {
                "test": "binomial, one-sided, against 1/2",
                "level": SIGNIFICANCE_LEVEL,
                "error_below": PLATEAU_ERROR,
                "examples": self._examples,
                "most_errors": most_errors_off_plateau(self._examples),
            }
        return {
            "solved": solved,
            "convergence_time": self.convergence_time,
            "onset": self.onset if solved else None,
            "plateau_share": self.plateau_share,
            "onset_rule": rule,
            "accuracy_thresholds": list(self._state.thresholds),
            "reached": self._state.reached,
        }

    def state_dict(self) -> dict[str, Any]:
        """The steps so far."""
        return {
            "onset": self.onset,
            "convergence_time": self.convergence_time,
            "reached": self._state.reached,
            "announced": self._announced,
            "examples": self._examples,
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Takes over the steps of the run that is resumed."""
        # Checkpoints of earlier versions do not have what is asked for with a default.
        thresholds = self._state.thresholds
        reached = state_dict.get("reached", [])
        self._state = PhaseTransitionState(
            state_dict["onset"],
            state_dict["convergence_time"],
            thresholds,
            reached if len(reached) == len(thresholds) else [],
        )
        self._announced = state_dict["announced"]
        self._examples = state_dict.get("examples")
