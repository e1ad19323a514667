"""The SGD steps of a module's own training, compiled: a stack of one trial that is the module itself."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from lightning.pytorch import LightningDataModule, Trainer
from lightning.pytorch.plugins.precision import DoublePrecision, Precision
from torch import Tensor

from parity_lightning.data.batches import Steps, TrainingBatches
from parity_lightning.data.datamodule import ParityDataModule
from parity_lightning.engine.objective import Objective
from parity_lightning.engine.stack import Stack
from parity_lightning.engine.trainable import Trainable, Unstackable, has_hooks
from parity_lightning.engine.update_rules import find_rule, groups_of, has_step_hooks, options_of
from parity_lightning.modules.blocks import Stepper
from parity_lightning.modules.lightning_internals import count_as_stepped, detects_anomalies


def why_not_stacked(trainer: Trainer, data: LightningDataModule | None) -> str | None:
    """Why a stack cannot draw these data or compute in this precision, in one line; None if it can."""
    if type(trainer.precision_plugin) not in (Precision, DoublePrecision):
        return f"the precision {trainer.precision} is neither 32 nor 64 bits"
    if detects_anomalies(trainer):
        return "the trainer looks for anomalies in backward passes (detect_anomaly)"
    if data is None:
        return "the examples come from loaders, not from a ParityDataModule"
    if type(data) is not ParityDataModule:
        return f"{type(data).__name__} may draw its examples in a way of its own"
    return None


class CompiledSteps:
    """Trains a module in place, one compiled call a step.

    Args:
        module: A module that is being fitted.
        batches: Its training batches.
        stepper: Its optimizer and schedules.
        steps: How many steps it has taken.
        uses_pytorch: Whether PyTorch may compile, for half a minute, what there is no code of our own for.

    Raises:
        Unstackable: If its steps are no function of tensors.
        NotCompiled: If they cannot be compiled.
    """

    def __init__(
        self, module: Trainable, batches: TrainingBatches, stepper: Stepper, steps: int, uses_pytorch: bool = True
    ) -> None:
        self._module = module
        self._batches = batches
        self._stepper = stepper
        self._uses_pytorch = uses_pytorch
        self._options: list[float] = []
        self._make_stack(steps)

    def _make_stack(self, steps: int) -> None:
        optimizer, parity = self._stepper.optimizer, self._batches.parity
        self._rule = find_rule([optimizer], scheduled=bool(self._stepper.schedulers))
        objective = Objective(self._module, parity.n)
        self._weights = objective.parameters_of(self._module)
        groups = groups_of(optimizer, self._weights)
        noisy = parity.flip_below > 0
        self._stack = Stack(objective, self._rule, groups, parity, self._batches.batch_size, noisy, size_limit=1)
        states = self._states(optimizer)
        self._stack.adopt(parity, self._module, states, self._updates_made(optimizer, steps))
        if self._uses_pytorch:
            self._stack.compile(evaluation=False)
        elif not self._stack.use_native_code():
            raise Unstackable("there is no code of our own for this network")
        self._hand_over(states, optimizer)
        self._made_of = self._parts()

    @property
    def is_native(self) -> bool:
        """Whether they are taken by code of our own."""
        return self._stack.is_native

    @property
    def computed(self) -> str:
        """By what steps are computed; see `Computation.version`."""
        return self._stack.computed

    def _states(self, optimizer: torch.optim.Optimizer) -> list[Tensor]:
        """The optimizer's state of each weight; zeros where it has none yet."""
        kept = [optimizer.state.get(weight, {}).get(name) for weight in self._weights for name in self._rule.state]
        like = [weight for weight in self._weights for _ in self._rule.state]
        return [torch.zeros_like(w) if state is None else state for w, state in zip(like, kept, strict=True)]

    def _hand_over(self, states: Sequence[Tensor], optimizer: torch.optim.Optimizer) -> None:
        """Stores the stack's states in the optimizer; only if compiling succeeded, else it makes its own."""
        names = [(weight, name) for weight in self._weights for name in self._rule.state]
        for (weight, name), state in zip(names, states, strict=True):
            optimizer.state[weight][name] = state
        count_as_stepped(optimizer)

    def _updates_made(self, optimizer: torch.optim.Optimizer, steps: int) -> int:
        """How many updates the optimizer has made: it may be younger than the module."""
        states = [optimizer.state.get(weight, {}) for weight in self._weights]
        if not self._rule.state:
            return steps
        # Of each weight: None where it has none yet.
        kept = self._rule.state[0]
        made = {None if state.get(kept) is None else int(state.get("step", steps)) for state in states}
        if len(made) > 1:
            raise Unstackable("its optimizer has updated some weights more often than others")
        return made.pop() or 0

    def _parts(self) -> tuple[Any, ...]:
        """What the stack was made of: what is computed, where tensors lie, options that are not read at every step."""
        module, optimizer = self._module, self._stepper.optimizer
        state, read = optimizer.state, {"params", "betas", *self._rule.options} - set(self._rule.ignored)
        form = module.closed_form()
        return (
            form,
            # What has hooks has no closed form.
            form is None and has_hooks(module),
            has_step_hooks(optimizer),
            *(id(vars(module).get(name)) for name in ("forward", "loss")),
            id(vars(optimizer).get("step")),
            *((weight.data_ptr(), weight.requires_grad) for weight in module.parameters()),
            *(buffer.data_ptr() for buffer in module.buffers()),
            *(id(state.get(weight, {}).get(name)) for weight in self._weights for name in self._rule.state),
            *(
                (name, repr(value))
                for group in optimizer.param_groups
                for name, value in group.items()
                if name not in read
            ),
        )

    def renew(self, steps: int) -> None:
        """Makes the stack again if a callback has changed what it was made of: frozen a weight, replaced a tensor.

        Args:
            steps: How many steps the module has taken.

        Raises:
            Unstackable: As when it was made.
            NotCompiled: Likewise.
        """
        if self._parts() != self._made_of:
            self._options = []
            self._make_stack(steps)

    def run(self, steps: Steps) -> tuple[Tensor, Tensor]:
        """Takes steps.

        Args:
            steps: Which.

        Returns:
            The loss of each step, of shape ``(steps,)``, and the number of errors of all, both before the updates.
        """
        losses: list[Tensor] = []
        errors: list[Tensor] = []
        with torch.no_grad():
            self._set_options()
            indices = self._batches.indices(steps.first, steps.end).unsqueeze(1)
            # Schedules go on with every step, and in C++ a whole block is one call.
            at_once = len(indices) if self._stack.is_native and not self._stepper.schedulers else 1
            before = int(self._stack.steps_made[0])
            try:
                for part in torch.split(indices, at_once):
                    loss, wrong = self._stack.run(part)
                    losses.append(loss[:, 0])
                    errors.append(wrong[:, 0])
                    if self._stepper.schedulers:
                        self._stepper.step_schedules()
                        self._set_options()
            finally:
                # If the block is interrupted, the steps that were taken count.
                self._stepper.counter.add(int(self._stack.steps_made[0]) - before)
                if "exp_avg" in self._rule.state:
                    for weight in self._weights:
                        self._state_of(weight)["step"] = self._stack.steps_made[0].to(torch.float32).clone()
            return torch.cat(losses), torch.cat(errors).sum()

    def _state_of(self, weight: Tensor) -> dict[str, Any]:
        state: dict[str, Any] = self._stepper.optimizer.state[weight]
        return state

    def _set_options(self) -> None:
        # Schedules change them at every step, and callbacks may between blocks.
        options = options_of(self._rule, self._stepper.optimizer)
        if options != self._options:
            self._stack.options[0] = torch.tensor(options, dtype=torch.float64)
            self._options = options
