"""Settings suggested by Optuna from what came of earlier ones, in memory, in the coordinator alone."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from parity_lightning.errors import SettingError
from parity_lightning.studies.cells import Cell
from parity_lightning.studies.distributions import Choice, Number

_TRIES = 100


class Suggestions:
    """Suggests cells whose objective is small.

    Args:
        axes: What the values of each option are drawn from.
        seed: Decides the suggestions, together with what is told.

    Raises:
        SettingError: If Optuna is not installed, or it has no such distribution.
    """

    def __init__(self, axes: Mapping[str, Choice | Number], seed: int = 0) -> None:
        try:
            import optuna
        except ModuleNotFoundError:
            hint = "needs Optuna: pip install 'parity-lightning[optuna]' (here: pip install optuna)"
            raise SettingError("method", "bayes", hint) from None
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self._optuna = optuna
        self._axes = dict(axes)
        self._space = {option: self._distribution(option, axis) for option, axis in axes.items()}
        self._study = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=seed))
        self._asked: dict[str, Any] = {}

    def _distribution(self, option: str, axis: Choice | Number) -> Any:
        kinds = self._optuna.distributions
        if isinstance(axis, Choice):
            # Its place, for values may be of any kind.
            return kinds.CategoricalDistribution(list(range(len(axis.values))))
        if axis.kind == "int_uniform":
            return kinds.IntDistribution(int(axis.low), int(axis.high))
        kind = axis.kind.removeprefix("q_")
        if kind == "uniform":
            return kinds.FloatDistribution(axis.low, axis.high, step=axis.step)
        if kind == "log_uniform_values" and axis.step is None:
            return kinds.FloatDistribution(axis.low, axis.high, log=True)
        hint = "has no bayes search; give values, int_uniform, uniform, q_uniform or log_uniform_values"
        raise SettingError(f"parameters.{option}", axis.kind, hint)

    def tell(self, cell: Cell, objective: float) -> None:
        """Takes note of what came of a cell, suggested here or known from before."""
        asked = self._asked.pop(name_of(cell), None)
        if asked is not None:
            self._study.tell(asked, objective)
            return
        params = {
            option: axis.values.index(cell[option]) if isinstance(axis, Choice) else cell[option]
            for option, axis in self._axes.items()
        }
        self._study.add_trial(
            self._optuna.trial.create_trial(params=params, distributions=self._space, value=objective)
        )

    def ask(self, known: Mapping[str, float]) -> Cell | None:
        """Suggests a cell that is not known yet; None if none is found.

        Args:
            known: What came of the known cells, by `name_of`.
        """
        for _ in range(_TRIES):
            trial = self._study.ask(self._space)
            cell = {
                option: axis.values[trial.params[option]] if isinstance(axis, Choice) else trial.params[option]
                for option, axis in self._axes.items()
            }
            name = name_of(cell)
            if name in self._asked:
                # Suggested a moment ago, and not run yet.
                self._study.tell(trial, state=self._optuna.trial.TrialState.FAIL)
            elif name in known:
                self._study.tell(trial, known[name])
            else:
                self._asked[name] = trial
                return cell
        return None


def name_of(cell: Cell) -> str:
    """A name of a cell by its values."""
    return json.dumps(cell, sort_keys=True)
