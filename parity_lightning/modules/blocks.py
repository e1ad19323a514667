"""Several SGD steps in one call of Lightning's loop.

Lightning's loop costs more than an SGD step of a small network, so a training batch here is a *block*: the batches of
several steps. Lightning's step counter still counts SGD steps, and evaluations, checkpoints and the end of training
fall on the steps they were asked for, because the data ends its blocks there (`TrainingBatches`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.callbacks import Checkpoint, ProgressBar, Timer
from lightning.pytorch.plugins.precision import DoublePrecision, Precision
from lightning.pytorch.strategies import SingleDeviceStrategy
from torch import Tensor
from torch.optim import Optimizer

if TYPE_CHECKING:
    from lightning.pytorch.core.optimizer import LightningOptimizer

_STEP_HOOKS = ("on_before_zero_grad", "on_before_backward", "on_after_backward", "on_before_optimizer_step")
_BATCH_HOOKS = ("on_train_batch_start", "on_train_batch_end")

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
)
"""What a module does with single steps; whoever overrides one of these gets one step per batch."""


def allows_blocks(trainer: Trainer) -> bool:
    """Whether nothing was asked of the trainer that happens between steps or counts batches."""
    return (
        trainer.gradient_clip_val is None
        and trainer.accumulate_grad_batches == 1
        and trainer.limit_train_batches == 1.0
        and not trainer.overfit_batches  # type: ignore[attr-defined]
        and not trainer.fast_dev_run  # type: ignore[attr-defined]
        and not any(_acts_between_steps(callback) for callback in trainer.callbacks)  # type: ignore[attr-defined]
    )


def _acts_between_steps(callback: Callback) -> bool:
    """Whether a callback has a hook of single steps or batches and does not say that it understands blocks."""
    # Checkpoints fall on the ends of blocks; progress bars and timers only look at what has been done.
    if isinstance(callback, (Checkpoint, ProgressBar, Timer)) or getattr(callback, "understands_blocks", False):
        return False
    return any(has_hook(callback, hook) for hook in (*_STEP_HOOKS, *_BATCH_HOOKS))


def has_hook(callback: Callback, name: str) -> bool:
    """Whether a callback has a hook of its own, be it of its class or, as of a LambdaCallback, of itself."""
    hook = getattr(callback, name)
    return getattr(hook, "__func__", hook) is not getattr(Callback, name)


class Stepper:
    """Takes SGD steps of a module under manual optimization, through Lightning or, where nothing asks for it, past it.

    The strategy of several devices and the scaling of mixed precision ask for it.

    Args:
        module: A module that is being fitted and has one optimizer.
    """

    def __init__(self, module: LightningModule) -> None:
        trainer = module.trainer
        optimizer = module.optimizers(use_pl_optimizer=True)
        assert not isinstance(optimizer, list), "blocks of steps need exactly one optimizer"
        schedulers = module.lr_schedulers() or []
        self.schedulers = schedulers if isinstance(schedulers, list) else [schedulers]
        self._module = module
        self._through_lightning: LightningOptimizer | None = None
        plain = type(trainer.strategy) is SingleDeviceStrategy
        if not plain or type(trainer.precision_plugin) not in (Precision, DoublePrecision):
            self._through_lightning = optimizer
        self.optimizer: Optimizer = optimizer.optimizer
        self._progress = trainer.fit_loop.epoch_loop.manual_optimization.optim_step_progress

    def step(self, loss: Tensor) -> None:
        """Backpropagates a loss, updates the weights and the learning rate, and counts the step."""
        if self._through_lightning is not None:
            self._through_lightning.zero_grad()
            self._module.manual_backward(loss)
            self._through_lightning.step()
        else:
            self.optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            # What LightningOptimizer.step does to the counter that Trainer.global_step reads.
            self._progress.increment_ready()
            self.optimizer.step()
            self._progress.increment_completed()
        self.follow_schedule()

    def follow_schedule(self) -> None:
        """Sets the learning rate, or whatever is scheduled, for the next step."""
        for scheduler in self.schedulers:
            scheduler.step()  # type: ignore[call-arg]

    def count(self, steps: int) -> None:
        """Counts steps that somebody else has taken."""
        self._progress.increment_by(steps)


class CountSteps(Callback):
    """Has Lightning evaluate and log by SGD steps, whatever the module.

    Lightning counts batches, which may be blocks of steps, and counts the last one only after it was evaluated.
    """

    understands_blocks = True

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Has a module that steps by itself begin, whatever hooks a subclass overrides."""
        # No evaluation before the first batch is over, be it the first of a run that goes on.
        if isinstance(trainer.val_check_interval, int):
            trainer.val_check_batch = float("inf")
        getattr(pl_module, "begin_training", lambda: None)()

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Has it end."""
        getattr(pl_module, "end_training", lambda: None)()

    def on_train_batch_end(self, trainer: Trainer, *_: Any) -> None:
        """Sets Lightning's counters, once a batch or a block is done.

        Evaluation: Lightning evaluates every ``val_check_batch`` batches; it is told to do so now or not at all. The
        last step is always evaluated.
        Logging: what is logged during training without a step of its own gets this counter as its step.
        """
        step, every = trainer.global_step, trainer.val_check_interval
        if isinstance(every, int):
            due = step % every == 0 or step == trainer.max_steps
            trainer.val_check_batch = 1 if due else float("inf")
        # Lightning adds one when the batch is over.
        trainer.fit_loop.epoch_loop._batches_that_stepped = step - 1

    def on_validation_start(self, trainer: Trainer, *_: Any) -> None:
        """Has the evaluation logged under the steps taken."""
        trainer.fit_loop.epoch_loop._batches_that_stepped += 1

    def on_validation_end(self, trainer: Trainer, *_: Any) -> None:
        """Undoes what the start did."""
        trainer.fit_loop.epoch_loop._batches_that_stepped -= 1
