"""What the trainer gets beside the options of the configuration: loggers, plugins and callbacks of a run's folder."""

from __future__ import annotations

from typing import Any

from lightning.pytorch import Callback, LightningModule
from lightning.pytorch.callbacks import Checkpoint, ProgressBar
from lightning.pytorch.loggers import Logger, TensorBoardLogger
from lightning.pytorch.plugins import CheckpointIO

from parity_lightning.callbacks import HiddenProgress, StepCheckpoint, TensorBoardLayout
from parity_lightning.callbacks.archive_stale_summary import ArchiveStaleSummary
from parity_lightning.callbacks.graceful_shutdown import GracefulShutdown
from parity_lightning.modules import ParityModule
from parity_lightning.modules.blocks import CountSteps
from parity_lightning.modules.lightning_internals import without_needless_warnings
from parity_lightning.run_dir.checkpoint_io import AtomicCheckpointIO
from parity_lightning.run_dir.fault_tolerant_logger import FaultTolerantLogger
from parity_lightning.run_dir.metrics_file import RunMetrics
from parity_lightning.run_dir.run_location import RunLocation

DEFAULTS: dict[str, Any] = {
    "default_root_dir": "runs",
    "max_steps": 100_000,
    # Without these two an endless stream is never validated.
    "val_check_interval": 100,
    # Several devices slow a small network down.
    "devices": 1,
    "check_val_every_n_epoch": None,
    "num_sanity_val_steps": 0,
    "enable_model_summary": False,
}

# A list in a configuration replaces this one, ``--trainer.callbacks+=X`` adds to it.
CALLBACKS = (
    "StepProgressBar",
    "HiddenProgress",
    "PhaseTransition",
    "StopWhenSolved",
    "StopWhenDiverged",
    "StepCheckpoint",
    "RunSummary",
    "ProgressPicture",
)


def evaluation_settings(given: Any, subcommand: str) -> dict[str, Any]:
    """Of ``validate``, ``test`` and ``predict``, which write no logs.

    Args:
        given: The trainer's options, objects made already.
        subcommand: Which of them.
    """
    measuring = [callback for callback in as_list(given.callbacks) if isinstance(callback, HiddenProgress)]
    # Each device would keep the predictions of its share.
    devices = {"devices": 1} if subcommand == "predict" else {}
    quiet = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False}
    return {"callbacks": measuring, "plugins": [AtomicCheckpointIO()], **quiet, **devices}


def fit_settings(given: Any, model: LightningModule, location: RunLocation | None) -> dict[str, Any]:
    """Of ``fit``: the logger of ``metrics.csv`` comes before those of the configuration.

    Args:
        given: The trainer's options, objects made already.
        model: What is to be trained.
        location: Where the run writes; None for ``fast_dev_run``, which writes nothing.
    """
    # Lightning refuses a callback that these switches are meant to leave out.
    unwanted: tuple[type[Callback], ...] = ()
    if given.fast_dev_run or given.enable_checkpointing is False:
        unwanted += (Checkpoint,)
    if given.enable_progress_bar is False:
        unwanted += (ProgressBar,)
    callbacks = [callback for callback in as_list(given.callbacks) if not isinstance(callback, unwanted)]
    if not isinstance(model, ParityModule):
        callbacks.append(CountSteps())
    if location is None:
        return {"callbacks": callbacks, "enable_checkpointing": False}
    loggers = [logger for logger in as_list(given.logger) if isinstance(logger, Logger)]
    others = [FaultTolerantLogger(without_needless_warnings(logger)) for logger in loggers]
    if any(isinstance(logger, TensorBoardLogger) for logger in loggers):
        callbacks.append(TensorBoardLayout())
    if location.resumed:
        callbacks.append(ArchiveStaleSummary(location.path, location.threads))
        for callback in callbacks:
            if isinstance(callback, StepCheckpoint):
                callback.overwrite()
    plugins = as_list(given.plugins)
    if not any(isinstance(plugin, CheckpointIO) for plugin in plugins):
        plugins = [*plugins, AtomicCheckpointIO()]
    return {
        "callbacks": [GracefulShutdown(), *callbacks],
        "logger": [RunMetrics(location.path, given.val_check_interval, location.begins_at), *others],
        "plugins": plugins,
    }


def as_list(given: Any) -> list[Any]:
    """Options of lists may also be given one item, or none."""
    return [] if given is None else given if isinstance(given, list) else [given]
