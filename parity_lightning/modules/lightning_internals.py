"""Everything of Lightning that is private to it or that is replaced, in one place.

Each function and class states why it is needed and what would make it superfluous. When a new version of Lightning has
moved one of these names, ``tests/test_lightning_internals.py`` fails with a sentence that names it.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from typing import Any

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import Checkpoint, ModelCheckpoint
from lightning.pytorch.cli import LightningArgumentParser, LightningCLI
from lightning.pytorch.core.optimizer import LightningOptimizer
from lightning.pytorch.loggers import Logger
from torch import Tensor
from torch.optim import Optimizer


def trainer_of(module: LightningModule) -> Trainer | None:
    """The trainer of a module, or None.

    Why: ``LightningModule.trainer`` raises an error where there is none, and it is read at every step.
    Remove once Lightning has: a public property that is None where there is no trainer.
    """
    return module._trainer


def count_as_stepped(optimizer: Optimizer) -> None:
    """Marks an optimizer as having taken a step, for its schedule.

    Why: PyTorch warns of a schedule that steps before its optimizer, whose steps are taken past it here.
    Remove once PyTorch has: a public way to say so.
    """
    optimizer._opt_called = True  # type: ignore[attr-defined]


def detects_anomalies(trainer: Trainer) -> bool:
    """Whether a trainer was made with ``detect_anomaly=True``.

    Why: compiled steps have no backward pass in which PyTorch could look.
    Remove once Lightning has: a public attribute.
    """
    return trainer._detect_anomaly


def without_needless_warnings(logger: Logger) -> Logger:
    """A logger for W&B that gives ``wandb.init`` nothing that W&B ignores, with a warning; any other as it is.

    Why: a WandbLogger gives ``anonymous`` in any case, which W&B no longer knows, and a project, where a sweep has one.
    Remove once Lightning has: a WandbLogger that leaves out what nobody gave, and the project in a sweep.
    """
    given = getattr(logger, "_wandb_init", None)
    if isinstance(given, dict):
        if given.get("anonymous") is None:
            given.pop("anonymous", None)
        if "WANDB_SWEEP_ID" in os.environ:
            given["project"] = None
    return logger


class StepCounter:
    """Counts SGD steps that are taken past ``LightningOptimizer.step``, so that ``Trainer.global_step`` includes them.

    Why: Lightning's own step of an optimizer costs more than an SGD step of a small network.
    Remove once Lightning has: a ``Trainer.global_step`` that can be set.

    Args:
        trainer: A trainer that is fitting under manual optimization.
    """

    def __init__(self, trainer: Trainer) -> None:
        self._progress = trainer.fit_loop.epoch_loop.manual_optimization.optim_step_progress

    def begin(self) -> None:
        """Notes that a step begins."""
        self._progress.increment_ready()

    def end(self) -> None:
        """Notes that the step is done."""
        self._progress.increment_completed()

    def add(self, steps: int) -> None:
        """Adds steps that were taken together."""
        self._progress.increment_by(steps)


def plain_optimizer(optimizer: LightningOptimizer) -> Optimizer:
    """PyTorch's optimizer in Lightning's wrapper."""
    return optimizer.optimizer


def set_logged_step(trainer: Trainer, step: int) -> None:
    """Sets the step under which metrics are logged.

    Why: Lightning logs under the number of batches, and a batch may be a block of several steps.
    Remove once Lightning has: loggers that get ``global_step``.
    """
    trainer.fit_loop.epoch_loop._batches_that_stepped = step


def shift_logged_step(trainer: Trainer, by: int) -> None:
    """Adds to the step under which metrics are logged; see `set_logged_step`."""
    trainer.fit_loop.epoch_loop._batches_that_stepped += by


def evaluate_after_batch(trainer: Trainer, due: bool) -> None:
    """Has Lightning evaluate after the batch at hand, or not.

    Why: Lightning evaluates every so many batches, and a batch may be a block of several steps.
    Remove once Lightning has: a ``val_check_interval`` in optimizer steps.
    """
    trainer.val_check_batch = 1 if due else float("inf")


def evaluation_follows(trainer: Trainer) -> bool:
    """Whether Lightning evaluates right after the hook ``on_train_batch_end`` at hand.

    Why: a checkpoint of a step that is evaluated is saved after its evaluation.
    Remove once Lightning has: a hook that is called after the evaluation if there is one, and after the batch if not.
    """
    loop = trainer.fit_loop
    fetcher = loop._data_fetcher
    return fetcher is not None and bool(loop.epoch_loop._should_check_val_fx(fetcher))


class ValidationDuringFit:
    """Puts a function in the place of the loop that evaluates while fitting.

    Why: that loop takes milliseconds, more than the evaluation of a small network and many steps of its training.
    Remove once Lightning has: an evaluation loop without that overhead.

    Args:
        trainer: A trainer that is fitting.
    """

    def __init__(self, trainer: Trainer) -> None:
        self._trainer = trainer
        self._loop = trainer.fit_loop.epoch_loop.val_loop
        self.original: Callable[[], Any] = self._loop.run
        """Lightning's own evaluation."""

    def replace(self, run: Callable[[], Any]) -> None:
        """Has Lightning call ``run`` for each evaluation."""
        self._loop.run = run  # type: ignore[method-assign]

    def restore(self) -> None:
        """Has Lightning evaluate by itself again."""
        self._loop.run = self.original  # type: ignore[method-assign]

    def begin(self) -> None:
        """Notes that an evaluation has been made, for ModelCheckpoint reads that when a metric is missing."""
        self._loop._has_run = True

    def publish(self, metrics: Mapping[str, Tensor], shown: Mapping[str, Tensor]) -> None:
        """Makes metrics known to callbacks, progress bar and loggers, as ``LightningModule.log`` does.

        Args:
            metrics: What was logged.
            shown: What of it the progress bar shows.
        """
        connector = self._trainer._logger_connector
        connector._callback_metrics.update(metrics)
        connector._progress_bar_metrics.update({name: float(value) for name, value in shown.items()})
        connector.log_metrics(dict(metrics))

    def end(self) -> None:
        """Notes when the evaluation ended, for intervals given as times."""
        self._trainer._last_val_time = time.monotonic()  # type: ignore[attr-defined]


def steps_between_checkpoints(callback: Checkpoint) -> int | None:
    """After how many SGD steps a ModelCheckpoint saves; None if it does not go by steps.

    Why: blocks of steps must end there.
    Remove once Lightning has: a public attribute of ModelCheckpoint.
    """
    every: int | None = getattr(callback, "_every_n_train_steps", None)
    return every


class SteppedModelCheckpoint(ModelCheckpoint):
    """ModelCheckpoint with names for what it does in private.

    Why: it saves before the evaluation of a step and leaves a ``last.ckpt`` from before the end of a run.
    Remove once Lightning has: a ModelCheckpoint that saves after evaluations and at the end.
    """

    def is_due(self, trainer: Trainer) -> bool:
        """Whether the step at hand is a multiple of the interval, and not saved yet."""
        every = self._every_n_train_steps
        return every > 0 and trainer.global_step % every == 0 and not self._should_skip_saving_checkpoint(trainer)

    def write_last(self, trainer: Trainer) -> None:
        """Saves ``last.ckpt``."""
        self._save_last_checkpoint(trainer, self._monitor_candidates(trainer))

    def write_newest(self, trainer: Trainer) -> None:
        """Saves a checkpoint that is named after its step, and removes the one before it."""
        self._save_topk_checkpoint(trainer, self._monitor_candidates(trainer))

    @property
    def last_saved_step(self) -> int:
        """The step of the newest checkpoint."""
        return self._last_global_step_saved

    def saves_on_exception(self, trainer: Trainer) -> bool:
        """Whether ModelCheckpoint would save after an exception now."""
        return bool(self._should_save_on_exception(trainer))

    def overwrite(self) -> None:
        """Overwrites the files of its folder instead of numbering new ones."""
        self._enable_version_counter = False

    def before_saving(self) -> None:
        """Called before a checkpoint is written; to be overridden."""

    def after_saving(self) -> None:
        """Called after a checkpoint is written; to be overridden."""

    def _save_checkpoint(self, trainer: Trainer, filepath: str) -> None:
        self.before_saving()
        super()._save_checkpoint(trainer, filepath)
        self.after_saving()


class OpenLightningCLI(LightningCLI):
    """LightningCLI with names for what it does in private, and without two things it does.

    Why: its parsers are built into a tree with subcommands that need no Lightning; a checkpoint's hyperparameters must
    not silently replace the configuration; and a subclass may parse and stop there.
    Remove once Lightning has: a LightningCLI whose parsers can be made from outside, and whose steps can be left out.
    """

    def build_tree(self) -> LightningArgumentParser:
        """Makes the parser of all subcommands, and adds each that is built to `subcommand_parsers`; overridden."""
        raise NotImplementedError

    def run_subcommand(self, subcommand: str) -> None:
        """Runs the subcommand; may be overridden."""
        super()._run_subcommand(subcommand)

    @property
    def subcommand_parsers(self) -> dict[str, LightningArgumentParser]:
        """The parsers of the subcommands by their names; empty before they are built."""
        parsers: dict[str, LightningArgumentParser] = getattr(self, "_subcommand_parsers", {})
        return parsers

    def add_trainer_method(self, parser: LightningArgumentParser, subcommand: str, method: str) -> None:
        """Adds the options of model, data and trainer, and those of one of the trainer's methods."""
        self._add_arguments(parser)
        skip = set(self.subcommands()[method])
        self._subcommand_method_arguments[subcommand] = parser.add_method_arguments(Trainer, method, skip=skip)

    def part_of(self, config: Any, name: str) -> Any:
        """A part of the configuration of the subcommand that is run."""
        return self._get(config, name)

    def dumped(self, config: Any) -> str:
        """A subcommand's configuration as YAML."""
        text: str = self._parser(self.subcommand).dump(config, skip_none=False)
        return text

    def setup_parser(
        self, add_subcommands: bool, main_kwargs: dict[str, Any], subparser_kwargs: dict[str, Any]
    ) -> None:
        """Builds the tree; called by LightningCLI."""
        self._subcommand_method_arguments: dict[str, list[str]] = {}
        self._subcommand_parsers: dict[str, LightningArgumentParser] = {}
        self.parser = self.build_tree()

    def _parse_ckpt_path(self) -> None:
        """Leaves the configuration as it was given."""

    def _run_subcommand(self, subcommand: str) -> None:
        self.run_subcommand(subcommand)
