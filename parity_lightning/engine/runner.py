"""Runs trials in a stack: steps, evaluations, and the exchange of trials that are done for new ones."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby, islice
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from parity_lightning.data.batches import TrainingBatches
from parity_lightning.data.parity_stack import stack_parities
from parity_lightning.data.sparse_parity import SparseParity
from parity_lightning.engine.evaluation import BLOCK
from parity_lightning.engine.first_layers import FirstLayers
from parity_lightning.engine.not_compiled import NotCompiled
from parity_lightning.engine.objective import Objective
from parity_lightning.engine.optimizer_options import OptimizerOptions
from parity_lightning.engine.stack import Stack, online_indices
from parity_lightning.engine.trainable import Unstackable
from parity_lightning.engine.trial import TrialResult, TrialSpec, check_same_computation, computed_by
from parity_lightning.engine.trial_config import TrialConfig
from parity_lightning.engine.update_rules import find_rule, groups_of
from parity_lightning.engine.weight_draws import WeightDraws
from parity_lightning.measures.divergence import first_divergence
from parity_lightning.measures.phase_transition import PhaseTransitionState

# At most so many steps between two checks that losses are finite, and so many indices at a time (64 MiB).
_MOST_STEPS = 256
_MOST_INDICES = 2**23

# How many trials are drawn at a time.
_DRAWN_AT_ONCE = 64


@dataclass
class _Running:
    """A trial that is being trained.

    Attributes:
        spec: Which trial it is.
        parity: What it learns.
        setting: Its setting.
        device: Where it is trained.
        transition: The steps of its phase transition so far.
        accuracy: Of the last evaluation.
        stop_reason: Why it ends, once it does.
        ended_at: The step at which it ends, where that is not the last it has taken.
    """

    spec: TrialSpec
    parity: SparseParity
    setting: TrialConfig
    device: torch.device
    transition: PhaseTransitionState
    accuracy: float = 0.0
    stop_reason: str | None = None
    ended_at: int | None = None

    @cached_property
    def batches(self) -> TrainingBatches:
        """Its training batches."""
        return TrainingBatches(self.parity, self.setting.batch_size, self.setting.num_samples, device=self.device)


class _Drawn(NamedTuple):
    """Trials of one setting that have been drawn: m trials, and their tensors of shape ``(m, ...)``."""

    specs: Sequence[TrialSpec]
    parities: Sequence[SparseParity]
    words: Sequence[Tensor]
    trainable: Sequence[Tensor]
    frozen: Sequence[Tensor]

    def split(self, count: int) -> tuple[_Drawn, _Drawn]:
        """The first trials, and the others."""
        first, others = slice(count), slice(count, None)
        parts = []
        for some in (first, others):
            tensors = ([tensor[some] for tensor in part] for part in (self.words, self.trainable, self.frozen))
            parts.append(_Drawn(self.specs[some], self.parities[some], *tensors))
        return parts[0], parts[1]


class StackRunner:
    """Runs trials of settings that can share a stack.

    Settings share one if they differ only in numbers that every trial has for itself: options of the optimizer,
    initialization, support, label noise and seeds.

    Args:
        settings: The settings.
        stack_size: How many trials to train at a time.
        compiled: Whether to compile the steps, where that can be.
        device: Where to train.
        computed: How other rows of these settings were computed, if there are any; ``"eager, ..."`` means that steps
            are not compiled.

    Raises:
        Unstackable: If trials of these settings cannot be stacked.
    """

    def __init__(
        self,
        settings: Sequence[TrialConfig],
        stack_size: int,
        compiled: bool,
        device: torch.device | str = "cpu",
        computed: str | None = None,
    ) -> None:
        first = settings[0]
        if not first.module.uses_default_step:
            raise Unstackable(f"{type(first.module).__name__} overrides a hook of single steps")
        self._settings = settings
        self._device = torch.device(device)
        self._type = torch.float64 if first.double else torch.float32
        reader = first.module.reinitialize().to(self._device, self._type if first.double else None)
        objective = Objective(reader, first.parity.n)
        self._first_layers = FirstLayers(objective, reader)
        self._draws = [WeightDraws(setting.draw_module, objective) for setting in settings]
        made = [setting.module.make_optimizer() for setting in settings]
        scheduled = any(schedule is not None for _, schedule in made)
        rule = find_rule([optimizer for optimizer, _ in made], scheduled)
        self._options = [OptimizerOptions(optimizer, schedule, rule) for optimizer, schedule in made]
        self.stack = Stack(
            objective,
            rule,
            groups_of(reader.make_optimizer()[0], objective.parameters_of(reader)),
            first.parity,
            first.batch_size,
            noisy=any(setting.parity.flip_below for setting in settings),
            size_limit=stack_size,
            evaluated_at_once=min(first.module.val_screen_size, BLOCK),
            device=self._device,
        )
        self._running: list[_Running] = []
        # Of each running trial: the steps it has taken, those between its evaluations, and the most it may take.
        self._steps, self._every, self._most = np.zeros((3, 0), dtype=np.int64)
        self._to_compile = compiled and not (computed or "").startswith("eager")
        self._expected = computed
        self._computed = computed_by("eager", self._device)
        self.note: str | None = None
        """Why the steps are not compiled, if they are not."""
        if compiled and not self._to_compile:
            self.note = "going on without compiled steps, as the record was begun; remove it to begin it compiled"

    def run(self, specs: Iterable[TrialSpec]) -> Iterator[list[TrialResult]]:
        """Runs trials.

        Args:
            specs: Which trials; the next one is taken whenever there is room in the stack.

        Yields:
            After every evaluation the results of the trials that ended with it, perhaps none.
        """
        waiting, drawn = self._drawn(iter(specs)), None
        with torch.no_grad():
            while True:
                while (room := self.stack.size_limit - len(self._running)) and (
                    drawn or (drawn := next(waiting, None))
                ):
                    begun, rest = drawn.split(room)
                    self._begin(begun)
                    drawn = rest if rest.specs else None
                if not self._running:
                    return
                if self._to_compile:
                    self._compile()
                advice = "name another file for these" + (f" ({self.note})" if self.note else "")
                check_same_computation(self._expected, self._computed, advice)
                self._advance()
                yield self._take_out()

    def _drawn(self, specs: Iterator[TrialSpec]) -> Iterator[_Drawn]:
        """Draws parities and weights of trials, a few at a time."""
        at_once = min(_DRAWN_AT_ONCE, self.stack.size_limit)
        while some := list(islice(specs, at_once)):
            for setting, own in groupby(some, key=lambda spec: spec.setting):
                mine = list(own)
                seeds = [spec.seed for spec in mine]
                parities = self._settings[setting].parities(seeds)
                trainable, frozen = self._draws[setting].draw(seeds)
                yield _Drawn(mine, parities, stack_parities(parities), trainable, frozen)

    def add(self, *specs: TrialSpec) -> None:
        """Adds trials to the stack, which must have room for them."""
        for drawn in self._drawn(iter(specs)):
            self._begin(drawn)

    def _begin(self, drawn: _Drawn) -> None:
        """Puts trials into the stack."""
        setting = self._settings[drawn.specs[0].setting]
        thresholds = setting.module.accuracy_thresholds
        self._running += [
            _Running(spec, parity, setting, self._device, PhaseTransitionState(thresholds=thresholds))
            for spec, parity in zip(drawn.specs, drawn.parities, strict=True)
        ]
        added = np.array([[0], [setting.every], [setting.max_steps]]).repeat(len(drawn.specs), 1)
        self._steps, self._every, self._most = np.hstack([(self._steps, self._every, self._most), added])
        trainable, frozen = (
            [tensor.to(self._type if tensor.is_floating_point() else None) for tensor in part]
            for part in (drawn.trainable, drawn.frozen)
        )
        options = torch.tensor([self._options[drawn.specs[0].setting].first], dtype=torch.float64)
        first_layers = self._first_layers.of(trainable, frozen)
        self.stack.put_all(drawn.words, trainable, frozen, options.expand(len(drawn.specs), -1), carried=[first_layers])

    def _compile(self) -> None:
        self._to_compile = False
        try:
            self.stack.compile()
            self._computed = computed_by(self.stack.computed, self._device)
        except NotCompiled as why:
            self.note = f"running without compiled steps, at a tenth of their speed ({why})"

    def _advance(self) -> None:
        """Takes steps up to the next evaluation of any trial, and evaluates."""
        until_due = np.minimum(self._every - self._steps % self._every, self._most - self._steps)
        steps = int(until_due.min())
        indices = len(self._running) * self._settings[0].batch_size
        most = max(1, min(_MOST_STEPS, _MOST_INDICES // indices))
        while steps and any(trial.stop_reason is None for trial in self._running):
            now = min(steps, most)
            before = self._steps
            losses = self.train(now)
            # A sum is faster looked at; it is no finite number if one of them is none.
            if not math.isfinite(losses.sum().item()):
                self._mark_diverged(first_divergence(losses).tolist(), before, now)
            steps -= now
        self._evaluate((until_due == until_due.min()).nonzero()[0].tolist())

    def train(self, steps: int) -> Tensor:
        """Takes so many SGD steps of every trial; returns the losses, of shape ``(steps, T)``."""
        losses, _ = self.stack.run(self._indices(steps), self._options_of(steps))
        self._steps = self._steps + steps
        return losses

    def _mark_diverged(self, bad: Sequence[int], before: np.ndarray, steps: int) -> None:
        """Ends trials whose loss was not finite at the end of that step's block, as ``fit`` does.

        Args:
            bad: In which of the last steps it was not, of each trial; ``steps`` if in none.
            before: How many steps each had taken before those.
            steps: How many there were.
        """
        for trial, first, own in zip(self._running, before.tolist(), bad, strict=True):
            if own < steps and trial.stop_reason is None:
                trial.stop_reason = "diverged"
                end = trial.batches.block_end(first + own, trial.setting.every)
                trial.ended_at = min(end, trial.setting.max_steps)

    def _indices(self, steps: int) -> Tensor:
        """Which examples the next steps take, of shape ``(steps, T, B)``."""
        setting = self._settings[0]
        if setting.num_samples is None:
            return online_indices(torch.from_numpy(self._steps).to(self._device), steps, setting.batch_size)
        each = [
            trial.batches.indices(first, first + steps)
            for trial, first in zip(self._running, self._steps.tolist(), strict=True)
        ]
        return torch.stack(each, dim=1)

    def _options_of(self, steps: int) -> Tensor | None:
        """The options of the next steps, of shape ``(steps, T, options)``; None if they do not change."""
        if all(options.is_constant for options in self._options):
            return None
        each = [
            self._options[trial.spec.setting].of_steps(first, first + steps)
            for trial, first in zip(self._running, self._steps.tolist(), strict=True)
        ]
        return torch.stack(each, dim=1).to(self._device)

    def _evaluate(self, due: Sequence[int]) -> None:
        """Counts errors of the trials at some places, and ends those that are solved or have had all their steps."""
        counts = self.stack.evaluate(self._settings[0].module.val_screen_size, torch.tensor(due, device=self._device))
        taken, is_last = self._steps[due].tolist(), (self._steps >= self._most)[due].tolist()
        found = zip(counts.errors.tolist(), counts.examples.tolist(), counts.accuracy.tolist(), strict=True)
        for place, step, ends, (errors, examples, accuracy) in zip(due, taken, is_last, found, strict=True):
            trial = self._running[place]
            trial.accuracy = accuracy
            trial.transition.observe(step, errors, examples)
            if errors == 0:
                trial.stop_reason = trial.stop_reason or "solved"
            elif ends:
                trial.stop_reason = trial.stop_reason or "max_steps"

    def _take_out(self) -> list[TrialResult]:
        """Removes the trials that have ended from the stack, and returns their results."""
        ended = [place for place, trial in enumerate(self._running) if trial.stop_reason is not None]
        if not ended:
            return []
        results = [
            self._result(self._running[place], step, moved)
            for place, step, moved in zip(ended, self._steps[ended].tolist(), self._movements(ended), strict=True)
        ]
        left = self.stack.drop(ended)
        self._running = [self._running[place] for place in left]
        self._steps, self._every, self._most = self._steps[left], self._every[left], self._most[left]
        return results

    def _movements(self, places: Sequence[int]) -> list[float]:
        """How far the first layers of trials have moved, see `Movement.hidden_progress`; NaN if it cannot be told."""
        chosen = torch.tensor(places, device=self._device)
        (begun,) = self.stack.carried
        # A first layer of another shape has no progress to be measured.
        if begun.shape[-1] != self._running[0].parity.n:
            return [math.nan] * len(places)
        moved = self._first_layers.of(*self.stack.weights_of(chosen)) - begun[chosen]
        movements: list[float] = moved.abs().flatten(1).amax(1).tolist()
        return movements

    def _result(self, trial: _Running, steps: int, moved: float) -> TrialResult:
        assert trial.stop_reason is not None
        solved = trial.transition.convergence_time is not None
        return TrialResult(
            trial.spec.number,
            trial.parity.support,
            trial.parity.seed,
            trial.transition.convergence_time,
            trial.transition.onset if solved else None,
            steps if trial.ended_at is None else trial.ended_at,
            trial.accuracy,
            moved if math.isfinite(moved) else None,
            trial.stop_reason,
            self._computed,
            tuple(trial.transition.reached),
        )
