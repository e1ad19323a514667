"""Several SGD steps in one call of Lightning's loop.

Lightning's loop costs more than an SGD step of a small network, so a training batch may be a *block*: the batches of
several steps. Lightning's step counter still counts SGD steps, and evaluations, checkpoints and the end of training
happen at the steps they were asked for, because blocks end there (`BlockPlan`).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Protocol, runtime_checkable

from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.callbacks import Checkpoint, ProgressBar, Timer
from lightning.pytorch.core.optimizer import LightningOptimizer
from lightning.pytorch.plugins.precision import DoublePrecision, Precision
from lightning.pytorch.strategies import SingleDeviceStrategy
from torch import Tensor
from torch.optim import Optimizer

from parity_lightning.modules.lightning_internals import (
    StepCounter,
    evaluate_after_batch,
    plain_optimizer,
    set_logged_step,
    shift_logged_step,
    steps_between_checkpoints,
)

_STEP_HOOKS = ("on_before_zero_grad", "on_before_backward", "on_after_backward", "on_before_optimizer_step")
_BATCH_HOOKS = ("on_train_batch_start", "on_train_batch_end")

TRANSFER_HOOKS = ("on_before_batch_transfer", "transfer_batch_to_device", "on_after_batch_transfer")
"""The hooks that may change a batch."""

MODULE_HOOKS = (
    *_STEP_HOOKS,
    *_BATCH_HOOKS,
    "training_step",
    "configure_optimizers",
    "backward",
    "configure_gradient_clipping",
    "lr_scheduler_step",
    "optimizer_step",
    "optimizer_zero_grad",
    *TRANSFER_HOOKS,
)
"""The hooks of single steps: a module that overrides one of these gets one step per batch."""


@runtime_checkable
class UnderstandsBlocks(Protocol):
    """A callback whose hooks of batches work on blocks of several steps, too, and declares it by this attribute."""

    understands_blocks: bool


@runtime_checkable
class ActsEveryNSteps(Protocol):
    """A callback that acts at the multiples of this number of SGD steps, where blocks must end."""

    every_n_steps: int


@runtime_checkable
class TrainsOnBlocks(Protocol):
    """A module that must be prepared before it trains on blocks; every `ParityModule` is one."""

    def begin_training(self) -> None:
        """Called when training begins."""
        ...

    def end_training(self) -> None:
        """Called when training ends."""
        ...


def allows_blocks(trainer: Trainer) -> bool:
    """Whether no option of the trainer and no callback needs to run between two SGD steps, or counts batches."""
    return (
        trainer.gradient_clip_val is None
        and trainer.accumulate_grad_batches == 1
        and trainer.limit_train_batches == 1.0
        and not trainer.overfit_batches  # type: ignore[attr-defined]
        and not trainer.fast_dev_run  # type: ignore[attr-defined]
        and not any(_acts_between_steps(callback) for callback in trainer.callbacks)  # type: ignore[attr-defined]
    )


def _acts_between_steps(callback: Callback) -> bool:
    """Whether a callback has a hook of single steps or batches and does not declare that it understands blocks."""
    # Checkpoints are saved at the ends of blocks; progress bars and timers only read what has been done.
    if isinstance(callback, (Checkpoint, ProgressBar, Timer)):
        return False
    if isinstance(callback, UnderstandsBlocks) and callback.understands_blocks:
        return False
    return any(has_hook(callback, hook) for hook in (*_STEP_HOOKS, *_BATCH_HOOKS))


def has_hook(callback: Callback, name: str) -> bool:
    """Whether a callback has a hook of its own: of its class or, like a LambdaCallback, of the instance."""
    hook = getattr(callback, name)
    return getattr(hook, "__func__", hook) is not getattr(Callback, name)


def intervals_of(callbacks: Iterable[Callback]) -> tuple[int, ...]:
    """At the multiples of which numbers of steps callbacks act, as far as they declare it."""
    each = (
        callback.every_n_steps
        if isinstance(callback, ActsEveryNSteps)
        else steps_between_checkpoints(callback)
        if isinstance(callback, Checkpoint)
        else None
        for callback in callbacks
    )
    return tuple(every for every in each if isinstance(every, int) and every > 0)


class Stepper:
    """Takes SGD steps of a module under manual optimization: through Lightning or, where it can, past it.

    The strategies of several devices and the scaling of mixed precision need Lightning's own steps.

    Args:
        module: A module that is being fitted and has one optimizer.
    """

    def __init__(self, module: LightningModule) -> None:
        trainer = module.trainer
        optimizer = module.optimizers(use_pl_optimizer=True)
        assert isinstance(optimizer, LightningOptimizer), "blocks of steps need exactly one optimizer"
        schedulers = module.lr_schedulers() or []
        self.schedulers = schedulers if isinstance(schedulers, list) else [schedulers]
        self._module = module
        plain = type(trainer.strategy) is SingleDeviceStrategy
        plain = plain and type(trainer.precision_plugin) in (Precision, DoublePrecision)
        self._lightning_optimizer = None if plain else optimizer
        self.optimizer: Optimizer = plain_optimizer(optimizer)
        self.counter = StepCounter(trainer)

    def step(self, loss: Tensor) -> None:
        """Backpropagates a loss, updates the weights and the learning rate, and counts the step."""
        if self._lightning_optimizer is not None:
            self._lightning_optimizer.zero_grad()
            self._module.manual_backward(loss)
            self._lightning_optimizer.step()
        else:
            self.optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            self.counter.begin()
            self.optimizer.step()
            self.counter.end()
        self.step_schedules()

    def step_schedules(self) -> None:
        """Sets the learning rate, or whatever is scheduled, for the next step."""
        for scheduler in self.schedulers:
            scheduler.step()  # type: ignore[call-arg]


class CountSteps(Callback):
    """Has Lightning evaluate and log by SGD steps, whatever the module.

    Lightning counts batches, which may be blocks of steps, and counts the last one only after it was evaluated.
    """

    understands_blocks = True

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Prepares a module that trains on blocks, whichever hooks a subclass overrides."""
        # No evaluation before the first batch is done, even the first of a resumed run.
        if isinstance(trainer.val_check_interval, int):
            evaluate_after_batch(trainer, due=False)
        if isinstance(pl_module, TrainsOnBlocks):
            pl_module.begin_training()

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Ends the training of such a module."""
        if isinstance(pl_module, TrainsOnBlocks):
            pl_module.end_training()

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        """Ends it after an error or Ctrl-C, too: the module may be fitted again."""
        self.on_train_end(trainer, pl_module)

    def on_train_batch_end(self, trainer: Trainer, *_: Any) -> None:
        """Sets Lightning's counters, once a batch or a block is done.

        An evaluation follows at each multiple of ``val_check_interval`` and after the last step. Metrics logged during
        training get the number of SGD steps as their step.
        """
        step, every = trainer.global_step, trainer.val_check_interval
        if isinstance(every, int):
            evaluate_after_batch(trainer, due=step % every == 0 or step == trainer.max_steps)
        # Lightning adds one when the batch is over.
        set_logged_step(trainer, step - 1)

    def on_validation_start(self, trainer: Trainer, *_: Any) -> None:
        """Has the evaluation logged under the steps taken."""
        shift_logged_step(trainer, 1)

    def on_validation_end(self, trainer: Trainer, *_: Any) -> None:
        """Undoes what the start did."""
        shift_logged_step(trainer, -1)
