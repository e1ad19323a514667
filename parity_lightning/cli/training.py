"""The subcommands fit, validate, test and predict: a LightningCLI."""

from __future__ import annotations

import logging
import os
import re
import secrets
import shlex
import sys
import warnings
from argparse import ArgumentError
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal, NoReturn

import torch
import yaml
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.callbacks import Checkpoint, ProgressBar
from lightning.pytorch.cli import LightningArgumentParser, LightningCLI
from lightning.pytorch.loggers import Logger, WandbLogger
from lightning.pytorch.plugins import CheckpointIO
from lightning.pytorch.utilities import disable_possible_user_warnings
from lightning.pytorch.utilities.exceptions import SIGTERMException
from yaml.representer import RepresenterError

# Classes imported here can be named on the command line without their modules.
import parity_lightning.callbacks
import parity_lightning.modules
import parity_lightning.optim.optimizers
import parity_lightning.optim.schedules  # noqa: F401
from parity_lightning.callbacks import HiddenProgress, RunSummary, StepCheckpoint
from parity_lightning.callbacks.archive_stale_summary import ArchiveStaleSummary
from parity_lightning.callbacks.graceful_shutdown import GracefulShutdown
from parity_lightning.cli import allowed_code
from parity_lightning.cli.checkpoints import check_checkpoint, with_config_of_checkpoint
from parity_lightning.cli.error_messages import (
    argument_error_message,
    check_files,
    config_files,
    root_cause,
    setting_error_message,
)
from parity_lightning.cli.predictions import write_predictions
from parity_lightning.cli.save_config import SaveConfig
from parity_lightning.cli.usage import usage_error
from parity_lightning.cli.without_options import without_options
from parity_lightning.data import ParityDataModule
from parity_lightning.data.datamodule import check_interval
from parity_lightning.engine.library_cache import check_cache
from parity_lightning.errors import SettingError
from parity_lightning.modules import ParityModule
from parity_lightning.modules.blocks import CountSteps
from parity_lightning.run_dir.checkpoint_file import DamagedCheckpoint, UnsafeCheckpoint
from parity_lightning.run_dir.checkpoint_io import AtomicCheckpointIO
from parity_lightning.run_dir.fault_tolerant_logger import FaultTolerantLogger
from parity_lightning.run_dir.metrics_file import RunMetrics
from parity_lightning.run_dir.run_folder import RunFolder
from parity_lightning.run_dir.run_location import RunLocation, locate_run

_TRAINER_DEFAULTS: dict[str, Any] = {
    "default_root_dir": "runs",
    "max_steps": 100_000,
    # Without these two an endless stream is never validated.
    "val_check_interval": 100,
    # Several devices slow a small network down; who wants them asks for them.
    "devices": 1,
    "check_val_every_n_epoch": None,
    "num_sanity_val_steps": 0,
    "enable_model_summary": False,
}

# A list in a configuration replaces this one, ``--trainer.callbacks+=X`` adds to it.
_CALLBACKS = (
    "StepProgressBar",
    "HiddenProgress",
    "PhaseTransition",
    "StopWhenSolved",
    "StopWhenDiverged",
    "StepCheckpoint",
    "RunSummary",
    "ProgressPicture",
)

# Multiplications in a step from which on several threads are faster than one.
_WORTH_SHARING = 10_000_000

_RESUME_HELP = (
    "auto: go on with the newest run of these settings in its own folder, or begin one; --ckpt_path last is the same "
    "but wants there to be one."
)

# Settings of the data that a module gets if it asks for them.
_LINKED = ("n", "k")


class ParityCLI(LightningCLI):
    """LightningCLI with our defaults, a folder for every run, and one seed for everything unless two are given."""

    location: RunLocation | None = None
    name: str | None = None
    """The subcommand in complaints, if it is not the first argument."""

    def __init__(self, args: Sequence[str]) -> None:
        self.arguments = list(args)
        # Abbreviated options would slip past our own looks at the command line.
        on_error = {"exit_on_error": False, "allow_abbrev": False}
        try:
            check_files(self.arguments)
            arguments, self._allowed_code = with_config_of_checkpoint(self.arguments)
            self._allowed_code.enforce()
            super().__init__(
                LightningModule,
                ParityDataModule,
                subclass_mode_model=True,
                subclass_mode_data=True,
                save_config_callback=SaveConfig,
                seed_everything_default=0,
                trainer_defaults=_TRAINER_DEFAULTS,
                auto_configure_optimizers=False,
                parser_kwargs={**on_error, **{name: dict(on_error) for name in LightningCLI.subcommands()}},
                args=arguments,
            )
        except (ArgumentError, SettingError, MisconfigurationException, RepresenterError) as error:
            # Once a step was taken, what the run has written stays.
            if self.location is not None and not (hasattr(self, "trainer") and self.trainer.global_step):
                self.location.discard()
            usage_error(self.name or self.arguments[0], self._complaint(error))
        finally:
            self._leave()

    def _prepare_subcommand_parser(self, klass: type, subcommand: str, **kwargs: Any) -> LightningArgumentParser:
        """Adds the options of single subcommands."""
        parser = super()._prepare_subcommand_parser(klass, subcommand, **kwargs)
        parser.add_argument(allowed_code.OPTION, type=list[str] | str | None, default=None, help=allowed_code.HELP)
        if subcommand == "fit":
            parser.add_argument("--resume", type=Literal["auto"] | None, default=None, help=_RESUME_HELP)
        return parser

    def parse_arguments(self, parser: LightningArgumentParser, args: Any) -> None:
        """Parses, and checks what is named before anything is made of it."""
        super().parse_arguments(parser, args)
        config = self.config[self.config.subcommand]
        self._allowed_code.check_functions(config)
        seed = config.seed_everything
        if seed is True:
            config.seed_everything = secrets.randbelow(2**32)
        elif seed is False or not 0 <= seed < 2**32:
            message = "must be a whole number from 0 to 4294967295, or true for a random one"
            raise SettingError("--seed_everything", seed, message)
        config.trainer.default_root_dir = os.path.expanduser(config.trainer.default_root_dir or "runs")

    def _parse_ckpt_path(self) -> None:
        """Keeps the configuration as it was given: Lightning would silently put the checkpoint's in its place."""

    def add_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        """A module that asks for n or k gets the data's; all our callbacks take part."""
        callbacks = [{"class_path": f"parity_lightning.callbacks.{name}"} for name in _CALLBACKS]
        parser.set_defaults({"trainer.callbacks": callbacks})
        for name in _LINKED:
            parser.link_arguments(f"data.init_args.{name}", f"model.init_args.{name}")

    def before_instantiate_classes(self) -> None:
        """Checks what no class can check alone, then settles the seed and the folder."""
        config = self.config[self.subcommand]
        data = config.data.init_args
        self._check_links(data)
        if "seed" in data and data.seed is None:
            data.seed = config.seed_everything
        training = self.subcommand == "fit" and not config.trainer.fast_dev_run
        if training:
            self._check_intervals(config.trainer)
            self._settle_folder(config)
        if config.get("weights_only") is False:
            raise SettingError("--weights_only", False, "code in the checkpoint would run; leave it out")
        check_checkpoint(config.ckpt_path, config.model.class_path, data, required=self.subcommand != "fit")
        if self.subcommand != "fit":
            self.save_config_callback = None

    def _check_links(self, data: Any) -> None:
        """Refuses an n or k of the model that the data's would silently replace."""
        given: dict[str, Any] = {}
        for file in config_files(self.arguments):
            model = yaml.safe_load(Path(file).read_text()).get("model")
            given |= (model.get("init_args") or {}) if isinstance(model, dict) else {}
        for argument, following in zip(self.arguments, [*self.arguments[1:], ""], strict=True):
            if match := re.match(r"--model\.(?:init_args\.)?([nk])(?:=(.*))?$", argument):
                given[match[1]] = match[2] if match[2] is not None else following
        for name in _LINKED:
            if name in given and str(given[name]) != str(data.get(name)):
                raise SettingError(
                    f"--model.{name}", given[name], f"the model takes it from the data; set --data.{name}"
                )

    def _check_intervals(self, trainer: Any) -> None:
        interval, last = trainer.val_check_interval, trainer.max_steps
        if last < 0:
            raise SettingError("max_steps", last, "must be at least 0")
        check_interval(interval)
        # A run that is cut short is evaluated at its end: only who asks for both numbers is contradicting himself.
        cut_short = self._is_given("max_steps") and not self._is_given("val_check_interval")
        if last < interval and not cut_short:
            raise SettingError(
                "val_check_interval", interval, f"would mean never; give at most max_steps={last} SGD steps"
            )

    def _is_given(self, option: str) -> bool:
        return any(argument.split("=")[0] == f"--trainer.{option}" for argument in self.arguments)

    def _settle_folder(self, config: Any) -> None:
        self.location = locate_run(
            Path(config.trainer.default_root_dir).absolute(),
            self._label(config),
            config,
            lambda: self._as_saved(config),
        )
        folder = self.location.path
        if self.location.resumed:
            config.ckpt_path = None if self.location.checkpoint is None else str(self.location.checkpoint)
            # As it was at the start; what is different now has no bearing on what the run does.
            self.save_config_kwargs = {**self.save_config_kwargs, "save_to_log_dir": False}
        # Loggers without a folder of their own write to the run's; an earlier run's config.yaml has the earlier one.
        earlier = (str(Path(file).parent.absolute()) for file in config_files(self.arguments))
        elsewhere = {None, ".", "lightning_logs", *earlier}
        for logger in _as_list(config.trainer.logger):
            init_args = getattr(logger, "init_args", None)
            if init_args is not None and "save_dir" in init_args and init_args.save_dir in elsewhere:
                init_args.save_dir = str(folder)

    def _as_saved(self, config: Any) -> dict[str, Any]:
        """The configuration as it stands in a ``config.yaml``."""
        try:
            saved: dict[str, Any] = yaml.safe_load(self._parser(self.subcommand).dump(config, skip_none=False))
        except ValueError as error:
            raise root_cause(error) from None
        return saved

    def _label(self, config: Any) -> str:
        """What a run's folder is called after, behind the time."""
        data = config.data.init_args
        model = config.model.class_path.rsplit(".", 1)[-1]
        seeds = f"seed{config.seed_everything}"
        if data.get("seed") != config.seed_everything:
            seeds += f"-data{data.get('seed')}"
        return f"{model}-n{data.get('n')}-k{data.get('k')}-{seeds}"

    def instantiate_trainer(self, **kwargs: Any) -> Trainer:
        """Makes the trainer; what it refuses is a usage error."""
        try:
            return super().instantiate_trainer(**kwargs, **self._trainer_settings())
        except Exception as error:
            raise MisconfigurationException(f"the trainer cannot be made of these settings: {error}") from error

    def _trainer_settings(self) -> dict[str, Any]:
        """Puts the logger of ``metrics.csv`` before those the user asked for; evaluating writes nothing."""
        asked = self._get(self.config_init, "trainer")
        given = _as_list(asked.callbacks)
        if self.subcommand != "fit":
            measuring = [callback for callback in given if isinstance(callback, HiddenProgress)]
            # Each device would keep the predictions of its share.
            devices = {"devices": 1} if self.subcommand == "predict" else {}
            quiet = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False}
            return {"callbacks": measuring, "plugins": [AtomicCheckpointIO()], **quiet, **devices}
        # Lightning would complain that a callback is there which these switches are meant to leave out.
        unwanted: tuple[type[Callback], ...] = ()
        if asked.fast_dev_run or asked.enable_checkpointing is False:
            unwanted += (Checkpoint,)
        if asked.enable_progress_bar is False:
            unwanted += (ProgressBar,)
        callbacks = [callback for callback in given if not isinstance(callback, unwanted)]
        if not isinstance(self.model, ParityModule):
            callbacks.append(CountSteps())
        if asked.fast_dev_run:
            return {"callbacks": callbacks, "enable_checkpointing": False}
        others = [FaultTolerantLogger(logger) for logger in _as_list(asked.logger) if isinstance(logger, Logger)]
        assert self.location is not None
        if self.location.resumed:
            callbacks.append(ArchiveStaleSummary(self.location.path, self.location.threads))
            for callback in callbacks:
                if isinstance(callback, StepCheckpoint):
                    callback.overwrite()
        plugins = _as_list(asked.plugins)
        if not any(isinstance(plugin, CheckpointIO) for plugin in plugins):
            plugins = [*plugins, AtomicCheckpointIO()]
        return {
            "callbacks": [GracefulShutdown(), *callbacks],
            "logger": [RunMetrics(self.location.path, asked.val_check_interval, self.location.begins_at), *others],
            "plugins": plugins,
        }

    def instantiate_classes(self) -> None:
        """Lets out what a class raised, as jsonargparse does not."""
        try:
            super().instantiate_classes()
        except (ValueError, RuntimeError, MemoryError) as error:
            cause = root_cause(error)
            if isinstance(cause, MemoryError) or "can't allocate memory" in str(cause):
                raise MisconfigurationException(f"not enough memory for a network of this size ({cause})") from error
            if isinstance(cause, ModuleNotFoundError) and "tensorboard" in str(cause):
                raise SettingError("--trainer.logger", "TensorBoardLogger", "pip install tensorboard first") from error
            raise cause from None

    def _complaint(self, error: Exception) -> str:
        """One line about a usage error."""
        cause = root_cause(error)
        if isinstance(error, RepresenterError):
            return f"config.yaml cannot hold the setting {error.args[-1]!r}; give it as a plain value"
        if isinstance(cause, SettingError):
            config = getattr(self, "config", None)
            return setting_error_message(cause, None if config is None else config[config.subcommand])
        return argument_error_message(error) if isinstance(error, ArgumentError) else str(error)

    def _leave(self) -> None:
        """Gives back what a run that never started had reserved."""
        if self.location is not None:
            self.location.release()

    def before_fit(self) -> None:
        """Checks what depends on the devices, and keeps small networks on one thread: several wait for each other."""
        self.datamodule.check_trainer(self.trainer, "fit")
        after, last = getattr(self.model, "compile_after", None), self.trainer.max_steps
        if after is not None and not 0 <= last <= after:
            check_cache()
        multiplications = sum(parameter.numel() for parameter in self.model.parameters())
        multiplications *= self.datamodule.batch_size
        if multiplications < _WORTH_SHARING and "OMP_NUM_THREADS" not in os.environ:
            torch.set_num_threads(1)

    def fit(self, model: LightningModule, **kwargs: Any) -> None:
        """Trains; the exit status tells who was interrupted by what."""
        try:
            self._load_and(self.trainer.fit, model, **kwargs)
        except SIGTERMException:
            self._leave_interrupted(143)
        except SystemExit as ended:
            if not isinstance(ended.__context__, KeyboardInterrupt):
                raise
            # Lightning ends so after Ctrl-C.
            self._leave_interrupted(130)
        except OSError as error:
            what, why = error.filename or self.trainer.default_root_dir, error.strerror or error
            if not self.trainer.global_step:
                raise SettingError("default_root_dir", what, f"cannot be written ({why}); name another") from error
            message = f"step {self.trainer.global_step:,}: {what} cannot be written ({why})"
            print(f"parity-lightning fit: {message}; what was written before is whole", file=sys.stderr)
            self._say_how_to_go_on()
            raise SystemExit(1) from None
        finally:
            for callback in self.trainer.callbacks:  # type: ignore[attr-defined]
                if isinstance(callback, GracefulShutdown):
                    callback.restore_handlers()
        self._say_where()

    def _leave_interrupted(self, status: int) -> NoReturn:
        self._say_how_to_go_on()
        self._say_where()
        # Whoever watches over the devices would kill the first, which has most to write, once another one had failed.
        raise SystemExit(status if self.trainer.is_global_zero else 0) from None

    def _say_how_to_go_on(self) -> None:
        if not self.trainer.is_global_zero:
            return
        options = without_options(self.arguments, "--ckpt_path", "--resume")
        print(f"to go on: parity-lightning {shlex.join(options)} --ckpt_path last", file=sys.stderr, flush=True)

    def validate(self, model: LightningModule, **kwargs: Any) -> None:
        """Evaluates on the validation set."""
        self._load_and(self.trainer.validate, model, **kwargs)

    def test(self, model: LightningModule, **kwargs: Any) -> None:
        """Evaluates on the test set."""
        self._load_and(self.trainer.test, model, **kwargs)

    def _load_and(self, act: Callable[..., Any], model: LightningModule, **kwargs: Any) -> Any:
        try:
            # Whatever file Lightning chooses, no code runs from it.
            return act(model, **{**kwargs, "weights_only": True})
        except (DamagedCheckpoint, UnsafeCheckpoint) as error:
            raise SettingError("--ckpt_path", self._get(self.config, "ckpt_path"), f"{error}; give another") from None
        except (RuntimeError, ValueError) as error:
            path = self._get(self.config, "ckpt_path")
            if "loaded state dict" in str(error):
                why = f"of another optimizer or other layers; give the options it was trained with ({error})"
                raise SettingError("--ckpt_path", path, why) from None
            if "loading state_dict" not in str(error):
                raise
            why = f"of a network of another shape; give the options it was trained with ({error})"
            raise SettingError("--ckpt_path", path, why) from None

    def predict(self, model: LightningModule, **kwargs: Any) -> None:
        """Writes ``predictions.csv`` into a new folder."""
        predictions = self._load_and(self.trainer.predict, model, **kwargs)
        parent = Path(self._get(self.config, "trainer").default_root_dir).absolute()
        folder = RunFolder.new(parent, f"{type(model).__name__}-predictions")
        path = folder.path / "predictions.csv"
        write_predictions(path, predictions or [])
        folder.release()
        print(f"predictions: {os.path.relpath(path)}", flush=True)

    def _say_where(self) -> None:
        for logger in self.trainer.loggers:
            if isinstance(logger, WandbLogger):
                # Or the next run of this process would go on with this one.
                with suppress(Exception):
                    logger.experiment.finish()
        for callback in self.trainer.callbacks:  # type: ignore[attr-defined]
            if isinstance(callback, RunSummary) and callback.path is not None:
                print(f"summary: {os.path.relpath(callback.path)}", flush=True)


def _as_list(given: Any) -> list[Any]:
    """Options of lists may also be given one item, or none."""
    return [] if given is None else given if isinstance(given, list) else [given]


def _quieten() -> None:
    """Keeps from the screen what Lightning says to everyone."""
    disable_possible_user_warnings()
    warnings.filterwarnings("ignore", message="LightningCLI's args parameter is intended")
    # A run that goes on may write elsewhere or where it did, and evaluating needs few of the callbacks that trained.
    warnings.filterwarnings("ignore", message="The dirpath has changed from")
    warnings.filterwarnings("ignore", message="Checkpoint directory .* exists and is not empty")
    warnings.filterwarnings("ignore", message="Be aware that when using `ckpt_path`")
    warnings.filterwarnings("ignore", module="jsonargparse")
    warnings.filterwarnings("ignore", message=".*isinstance.treespec, LeafSpec.*")
    for name in ("lightning.pytorch.utilities.rank_zero", "lightning.fabric.utilities.seed"):
        logging.getLogger(name).setLevel(logging.WARNING)


def run(arguments: Sequence[str]) -> None:
    """Runs a subcommand of Lightning's.

    Args:
        arguments: The subcommand and its options.

    Raises:
        SystemExit: With 2 for a usage error, 130 or 143 when interrupted.
    """
    prepare()
    ParityCLI(arguments)


def prepare() -> None:
    """Readies this process for the command line: less noise."""
    _quieten()
