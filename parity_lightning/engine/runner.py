"""Runs trials in a stack: steps, evaluations, and the exchange of trials that are done for new ones."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby, islice

import torch
from torch import Tensor

from parity_lightning.callbacks.phase_transition import PhaseTransition
from parity_lightning.data.batches import TrainingBatches
from parity_lightning.data.held_out import HELD_OUT
from parity_lightning.data.sparse_parity import SparseParity
from parity_lightning.engine.compiled import NotCompiled
from parity_lightning.engine.objective import Objective
from parity_lightning.engine.optimizer_options import OptimizerOptions
from parity_lightning.engine.stack import Stack, online_indices
from parity_lightning.engine.trial import TrialResult, TrialSpec, check_same_computation, computed_by
from parity_lightning.engine.trial_config import Start, TrialConfig
from parity_lightning.engine.update_rules import Unstackable, find_rule, groups_of
from parity_lightning.measures.hidden_progress import movement_of
from parity_lightning.modules import ParityModule

# At most so many steps between two looks at whether losses are finite, and so many indices at a time (64 MiB).
_MOST_STEPS = 256
_MOST_INDICES = 2**23

# How many examples are looked at in one go to confirm that trials are solved.
_CONFIRMED_AT_ONCE = 1024


# For how many trials parities are drawn in one go.
_DRAWN_AT_ONCE = 32


class _Running:
    """A trial at work."""

    def __init__(self, spec: TrialSpec, parity: SparseParity, module: ParityModule, batches: TrainingBatches) -> None:
        self.spec = spec
        self.parity = parity
        self.batches = batches
        self.first_layer = module.first_layer.detach().clone()
        self.transition = PhaseTransition()
        self.steps = 0
        self.accuracy = 0.0
        self.stop_reason: str | None = None
        self.ended_at: int | None = None


class StackRunner:
    """Runs trials of settings that can share a stack.

    Settings share one if they differ only in numbers that every trial has for itself: options of the optimizer,
    initialization, support, label noise and seeds.

    Args:
        settings: The settings.
        capacity: How many trials to have at work at a time.
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
        capacity: int,
        compiled: bool,
        device: torch.device | str = "cpu",
        computed: str | None = None,
    ) -> None:
        first = settings[0]
        if not first.module.uses_default_step:
            raise Unstackable(f"{type(first.module).__name__} overrides a hook of single steps")
        self._settings = settings
        self._device = torch.device(device)
        template = first.module.reinitialize().to(self._device, torch.float64 if first.double else None)
        # Loaded with the weights of a trial that is done, to read its first layer.
        self._reader = template
        self._objective = Objective(template, first.data.parity.n)
        optimizer, _ = first.copy(module=template).make_optimizer()
        rule = find_rule([setting.make_optimizer()[0] for setting in settings])
        self._options = [OptimizerOptions(setting, rule) for setting in settings]
        groups = groups_of(optimizer, self._objective.parameters_of(template))
        noisy = any(setting.data.parity.flip_below for setting in settings)
        batch_size = first.data.batch_size
        look = min(first.module.val_screen_size, _CONFIRMED_AT_ONCE)
        self.stack = Stack(self._objective, rule, groups, first.data.parity, batch_size, noisy, capacity, look)
        self._running: list[_Running] = []
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
            specs: Which trials; taken one by one, whenever there is room.

        Yields:
            After every evaluation the outcomes of the trials that ended with it, perhaps none.
        """
        waiting = self._started(iter(specs))
        with torch.no_grad():
            while True:
                while len(self._running) < self.stack.capacity and (begun := next(waiting, None)) is not None:
                    self._begin(*begun)
                if not self._running:
                    return
                if self._to_compile:
                    self._compile()
                advice = "name another file for these" + (f" ({self.note})" if self.note else "")
                check_same_computation(self._expected, self._computed, advice)
                self._advance()
                yield self._take_out()

    def _started(self, specs: Iterator[TrialSpec]) -> Iterator[tuple[TrialSpec, Start]]:
        """Draws how trials begin, a few at a time."""
        while some := list(islice(specs, _DRAWN_AT_ONCE)):
            for setting, own in groupby(some, key=lambda spec: spec.setting):
                mine = list(own)
                seeds = [spec.seed for spec in mine]
                yield from zip(mine, self._settings[setting].starts(seeds), strict=True)

    def _begin(self, spec: TrialSpec, start: Start) -> None:
        parity, module = start
        data = self._settings[spec.setting].data
        batches = TrainingBatches(parity, data.batch_size, data.num_samples, device=self._device)
        self._running.append(_Running(spec, parity, module.to(self._device), batches))
        self.stack.put(parity, module, self._options[spec.setting].first)

    def _compile(self) -> None:
        self._to_compile = False
        try:
            self.stack.compile()
            self._computed = computed_by("compiled", self._device)
        except NotCompiled as why:
            self.note = f"running without compiled steps, at a tenth of their speed ({why})"

    def _until_due(self, trial: _Running) -> int:
        setting = self._settings[trial.spec.setting]
        return min(setting.every - trial.steps % setting.every, setting.max_steps - trial.steps)

    def _advance(self) -> None:
        """Takes steps up to the next evaluation of any trial, and evaluates."""
        steps = min(map(self._until_due, self._running))
        due = [self._until_due(trial) == steps for trial in self._running]
        finite = torch.ones(len(self._running), dtype=torch.bool, device=self._device)
        most = max(1, min(_MOST_STEPS, _MOST_INDICES // (len(self._running) * self._running[0].batches.batch_size)))
        while steps and finite.any():
            now = min(steps, most)
            good = torch.isfinite(self._take_steps(now))
            for place in (finite & ~good.all(0)).nonzero().squeeze(-1).tolist():
                self._diverged(self._running[place], now - int(good[:, place].long().argmin()))
            finite &= good.all(0)
            steps -= now
        self._evaluate(due)

    def _diverged(self, trial: _Running, steps_ago: int) -> None:
        """Notes where a trial ends whose loss was not finite at the first of the last steps: as `fit` does."""
        trial.stop_reason = "diverged"
        setting = self._settings[trial.spec.setting]
        bad = trial.steps - steps_ago
        trial.ended_at = min(trial.batches.block_end(bad, setting.every), setting.max_steps)

    def _take_steps(self, steps: int) -> Tensor:
        """Takes so many steps of every trial; returns the losses, of shape ``(steps, T)``."""
        indices = self._indices(steps)
        options = self._options_of(steps)
        losses = []
        for step, index in enumerate(indices.unbind()):
            if options is not None:
                self.stack.options.copy_(options[step])
            loss, _ = self.stack.step(index)
            losses.append(loss)
        for trial in self._running:
            trial.steps += steps
        return torch.stack(losses)

    def _indices(self, steps: int) -> Tensor:
        """Which examples the next steps take, of shape ``(steps, T, B)``."""
        batches = self._running[0].batches
        if batches.num_samples is None:
            first = torch.tensor([trial.steps for trial in self._running], device=self._device)
            return online_indices(first, steps, batches.batch_size)
        each = [trial.batches.indices(trial.steps, trial.steps + steps) for trial in self._running]
        return torch.stack(each, dim=1)

    def _options_of(self, steps: int) -> Tensor | None:
        """The options of the next steps, of shape ``(steps, T, options)``; None if they do not change."""
        if all(options.is_constant for options in self._options):
            return None
        each = [self._options[trial.spec.setting].of_steps(trial.steps, trial.steps + steps) for trial in self._running]
        return torch.stack(each, dim=1).to(self._device)

    def _evaluate(self, due: Sequence[bool]) -> None:
        """Counts the errors of the trials that are due: on the screen and, where there are none, on the whole set."""
        screen = min(self._settings[0].module.val_screen_size, HELD_OUT)
        errors = self.stack.errors(0, screen)
        examples = torch.full_like(errors, screen)
        places = torch.tensor(due, device=self._device).logical_and(errors == 0).nonzero().squeeze(-1)
        for start in range(screen, HELD_OUT, _CONFIRMED_AT_ONCE):
            if not len(places):
                break
            end = min(start + _CONFIRMED_AT_ONCE, HELD_OUT)
            errors[places] += self.stack.errors(start, end, places)
            examples[places] = end
            places = places[errors[places] == 0]
        accuracy = 1 - errors.float() / examples.float()
        for trial, is_due, wrong, right in zip(self._running, due, errors.tolist(), accuracy.tolist(), strict=True):
            if not is_due:
                continue
            trial.accuracy = right
            trial.transition.observe(trial.steps, right, wrong)
            if wrong == 0:
                trial.stop_reason = trial.stop_reason or "solved"
            elif trial.steps >= self._settings[trial.spec.setting].max_steps:
                trial.stop_reason = trial.stop_reason or "max_steps"

    def _take_out(self) -> list[TrialResult]:
        """Ends the trials that are done."""
        results = []
        for place in reversed(range(len(self._running))):
            trial = self._running[place]
            if trial.stop_reason is None:
                continue
            results.append(self._outcome(trial, place))
            self.stack.drop(place)
            self._running[place] = self._running[-1]
            del self._running[-1]
        return results

    def _outcome(self, trial: _Running, place: int) -> TrialResult:
        for mine, its in zip(self._objective.tensors_of(self._reader), self.stack.weights_of(place), strict=True):
            for tensor, value in zip(mine, its, strict=True):
                tensor.copy_(value)
        moved = None
        # A first layer of another shape has no progress to be measured.
        if trial.first_layer.shape[-1] == trial.parity.n:
            moved = movement_of(self._reader.first_layer, trial.first_layer, trial.parity.support)
        assert trial.stop_reason is not None
        solved = trial.transition.convergence_time is not None
        return TrialResult(
            trial.spec.number,
            trial.parity.support,
            trial.parity.seed,
            trial.transition.convergence_time,
            trial.transition.onset if solved else None,
            trial.steps if trial.ended_at is None else trial.ended_at,
            trial.accuracy,
            moved.hidden_progress if moved is not None and math.isfinite(moved.hidden_progress) else None,
            trial.stop_reason,
            self._computed,
        )
