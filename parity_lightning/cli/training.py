"""The subcommands fit, validate, test and predict: a LightningCLI around the tree of subcommands."""

from __future__ import annotations

import json
import os
import secrets
from argparse import ArgumentError
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any, Literal, NoReturn

import yaml
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.cli import LightningArgumentParser
from lightning.pytorch.utilities import rank_zero_only
from yaml.representer import RepresenterError

# Classes imported here can be named on the command line without their modules.
import parity_lightning.callbacks
import parity_lightning.modules
import parity_lightning.optim.optimizers
import parity_lightning.optim.schedules  # noqa: F401
from parity_lightning.cli import allowed_code
from parity_lightning.cli.checkpoints import check_checkpoint, with_config_of_checkpoint
from parity_lightning.cli.command_tree import CommandParser, PrintAll, command_tree
from parity_lightning.cli.given import GivenSettings, with_null
from parity_lightning.cli.option_types import Option, options_of
from parity_lightning.cli.quiet import quieten
from parity_lightning.cli.refusals import UsageExplainer, root_cause, setting_error_message
from parity_lightning.cli.running import RunsTrainer
from parity_lightning.cli.save_config import SaveConfig
from parity_lightning.cli.setting_checks import LINKED, check_accelerator, check_intervals, check_links, check_seed
from parity_lightning.cli.shipped_configs import announce
from parity_lightning.cli.short_help import short_help
from parity_lightning.cli.subcommands import SUBCOMMANDS, trains
from parity_lightning.cli.trainer_settings import CALLBACKS, DEFAULTS, as_list, evaluation_settings, fit_settings
from parity_lightning.cli.usage import usage_error
from parity_lightning.data import ParityDataModule
from parity_lightning.errors import SettingError
from parity_lightning.run_dir.run_location import RunEnded, RunLocation, locate_run
from parity_lightning.terminal.output import complain, record, show

_RESUME_HELP = (
    "auto: resume the newest run of these settings in its own folder, or start one; --ckpt_path last is the same but "
    "fails if there is none."
)

# Groups of options whose names alone, as a class says them, are refused by their full path.
_GROUPS = ("data", "model", "model.optimizer", "model.lr_scheduler", "trainer")


class TrainingParser(CommandParser, LightningArgumentParser):
    """A parser of options that come from classes of Lightning's."""


class ParityCLI(RunsTrainer):
    """LightningCLI with our defaults, a folder for every run, and one seed for everything unless two are given.

    Args:
        args: The subcommand and its options.
        command: The subcommand that messages name, if it is another one.
    """

    location: RunLocation | None = None

    def __init__(self, args: Sequence[str], command: str | None = None) -> None:
        self.arguments = with_null(args)
        self.command = command or (self.arguments[0] if self.arguments[0] in SUBCOMMANDS else "")
        try:
            given = GivenSettings.of(self.arguments)
            if given.shipped:
                self.arguments = given.words_for_parser()
                self.tell_shipped(given.shipped)
            arguments, self.given, self._allowed_code = with_config_of_checkpoint(self.arguments, given)
            self._allowed_code.enforce()
            super().__init__(
                LightningModule,
                ParityDataModule,
                subclass_mode_model=True,
                subclass_mode_data=True,
                save_config_callback=SaveConfig,
                seed_everything_default=0,
                trainer_defaults=DEFAULTS,
                auto_configure_optimizers=False,
                parser_class=TrainingParser,
                args=arguments,
            )
        except (ArgumentError, SettingError, MisconfigurationException, RepresenterError) as error:
            # Once a step was taken, what the run has written stays.
            if self.location is not None and not (hasattr(self, "trainer") and self.trainer.global_step):
                self.location.discard()
            self.refuse(self._message(error))
        finally:
            # A folder that was made for a run that never started goes.
            if self.location is not None:
                self.location.release()

    def tell_shipped(self, names: Sequence[str]) -> None:
        """Says which configurations that come with the package are taken."""
        rank_zero_only(announce)(names)

    # The parsers.

    def build_tree(self) -> LightningArgumentParser:
        """Builds the tree; only the subcommand that is run gets its options, or each if none is, for completion."""
        return command_tree(self._make_parser)  # type: ignore[return-value]

    def _make_parser(self, name: str) -> TrainingParser | None:
        first = self.arguments[0]
        subcommand = SUBCOMMANDS[name]
        if not subcommand.trains or (trains(first) and name != first):
            return None
        page = None if subcommand.description else partial(short_help, name)
        parser = self.init_parser(help_page=page, description=subcommand.summary)
        assert isinstance(parser, TrainingParser)
        # The options of ``trials`` are its own and those of ``fit``.
        subcommand.fill(parser)
        self.add_trainer_method(parser, name, "fit" if name == "trials" else name)
        parser.add_argument(allowed_code.OPTION, type=list[str] | str | None, default=None, help=allowed_code.HELP)
        parser.add_argument("--help.all", action=PrintAll, help="Show all options and exit.")
        if name == "fit":
            parser.add_argument("--resume", type=Literal["auto"] | None, default=None, help=_RESUME_HELP)
        self.subcommand_parsers[name] = parser
        return parser

    def add_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        """A module that has an argument n or k gets the data's; all our callbacks take part."""
        callbacks = [{"class_path": f"parity_lightning.callbacks.{name}"} for name in CALLBACKS]
        parser.set_defaults({"trainer.callbacks": callbacks})
        for name in LINKED:
            parser.link_arguments(f"data.init_args.{name}", f"model.init_args.{name}")

    # Parsing and checking.

    def parse_arguments(self, parser: LightningArgumentParser, args: Any) -> None:
        """Parses, and checks what is named before anything is made of it."""
        super().parse_arguments(parser, args)
        config = self.config[self.config.subcommand]
        self._allowed_code.check_functions(config)
        check_seed(config.seed_everything)
        if config.seed_everything is True:
            config.seed_everything = secrets.randbelow(2**32)
        config.trainer.default_root_dir = os.path.expanduser(config.trainer.default_root_dir or "runs")

    def before_instantiate_classes(self) -> None:
        """Checks what no class can check alone, then settles the seed and the folder."""
        config = self.config[self.subcommand]
        data = config.data.init_args
        check_links(self.given, data)
        check_accelerator(config.trainer.accelerator)
        if "seed" in data and data.seed is None:
            data.seed = config.seed_everything
        if self.subcommand == "fit" and not config.trainer.fast_dev_run:
            check_intervals(self.given, config.trainer)
            self._settle_folder(config)
        if config.get("weights_only") is False:
            raise SettingError("--weights_only", False, "code in the checkpoint would run; leave it out")
        check_checkpoint(config.ckpt_path, config.model.class_path, data, required=self.subcommand != "fit")
        if self.subcommand != "fit":
            self.save_config_callback = None

    def _settle_folder(self, config: Any) -> None:
        parent = Path(config.trainer.default_root_dir).absolute()
        try:
            self.location = locate_run(parent, _label(config), config, lambda: self._as_saved(config))
        except RunEnded as ended:
            show(str(ended))
            file = ended.folder / "summary.json"
            record("fit", {"summary": file}, summary=json.loads(file.read_text()))
            raise SystemExit(0) from None
        if self.location.resumed:
            config.ckpt_path = None if self.location.checkpoint is None else str(self.location.checkpoint)
            # As it was at the start; what is different now has no bearing on what the run does.
            self.save_config_kwargs = {**self.save_config_kwargs, "save_to_log_dir": False}
        # Loggers without a folder of their own write to the run's; an earlier run's config.yaml has the earlier one.
        earlier = (str(Path(file).parent.absolute()) for file in self.given.files)
        elsewhere = {None, ".", "lightning_logs", *earlier}
        for logger in as_list(config.trainer.logger):
            init_args = getattr(logger, "init_args", None)
            if init_args is not None and "save_dir" in init_args and init_args.save_dir in elsewhere:
                init_args.save_dir = str(self.location.path)

    def _as_saved(self, config: Any) -> dict[str, Any]:
        """The configuration as it stands in a ``config.yaml``."""
        try:
            saved: dict[str, Any] = yaml.safe_load(self.dumped(config))
        except ValueError as error:
            raise root_cause(error) from None
        return saved

    # Making the objects.

    def instantiate_classes(self) -> None:
        """Raises what a class raised, which jsonargparse hides in errors of its own."""
        try:
            super().instantiate_classes()
        except (ValueError, RuntimeError, MemoryError) as error:
            cause = root_cause(error)
            if isinstance(cause, MemoryError) or "can't allocate memory" in str(cause):
                raise MisconfigurationException(f"not enough memory for a network of this size ({cause})") from error
            if isinstance(cause, ModuleNotFoundError) and "tensorboard" in str(cause):
                raise SettingError("--trainer.logger", "TensorBoardLogger", "pip install tensorboard first") from error
            raise cause from None

    def instantiate_trainer(self, **kwargs: Any) -> Trainer:
        """Makes the trainer; what it refuses is a usage error."""
        given = self.part_of(self.config_init, "trainer")
        try:
            trainer = super().instantiate_trainer(**kwargs, **self._trainer_settings())
        except Exception as error:
            raise MisconfigurationException(f"the trainer cannot be made of these settings: {error}") from error
        if (
            str(given.precision) in ("16", "16-mixed")
            and trainer.precision == "bf16-mixed"
            and self.command != "trials"
        ):
            text = "a CPU does not compute in float16; bf16-mixed is used"
            complain(f"--trainer.precision={given.precision}: {text}")
        return trainer

    def _trainer_settings(self) -> dict[str, Any]:
        given = self.part_of(self.config_init, "trainer")
        if self.subcommand != "fit":
            return evaluation_settings(given, str(self.subcommand))
        return fit_settings(given, self.model, self.location)

    # What is said of a usage error.

    def refuse(self, message: str) -> NoReturn:
        """Ends the command with one line."""
        usage_error(self.command, message)

    def _message(self, error: Exception) -> str:
        cause = root_cause(error)
        if isinstance(error, RepresenterError):
            return f"config.yaml cannot hold the setting {error.args[-1]!r}; give it as a plain value"
        if isinstance(cause, SettingError):
            return setting_error_message(cause, self._groups())
        if isinstance(error, ArgumentError):
            required = ("data", "model") if self.command else ()
            allows, own = self._allowed_code.allows, allowed_code.OPTION
            return UsageExplainer(self.given, self._options(), allows, own, required).explain(
                f"parity-lightning {self.command}"
            )
        return str(error)

    def _options(self) -> dict[str, Option]:
        parser = self.subcommand_parsers.get(self.arguments[0]) or getattr(self, "parser", None)
        return {} if parser is None else options_of(parser)

    def _groups(self) -> dict[str, list[str]]:
        """The names of the options of each group in the configuration."""
        config = getattr(self, "config", None)
        if config is None:
            return {}
        groups = {}
        for group in _GROUPS:
            path = (
                group if group == "trainer" else "".join(f"{part}.init_args." for part in group.split(".")).rstrip(".")
            )
            found = config[config.subcommand].get(path)
            groups[group] = [] if found is None else list(found.keys(branches=True, nested=False))
        return groups


def _label(config: Any) -> str:
    """What a run's folder is called after, behind the time."""
    data = config.data.init_args
    model = config.model.class_path.rsplit(".", 1)[-1]
    seeds = f"seed{config.seed_everything}"
    if data.get("seed") != config.seed_everything:
        seeds += f"-data{data.get('seed')}"
    return f"{model}-n{data.get('n')}-k{data.get('k')}-{seeds}"


def run(arguments: Sequence[str]) -> None:
    """Runs a subcommand of Lightning's.

    Args:
        arguments: The subcommand and its options.

    Raises:
        SystemExit: With 2 for a usage error, 130 or 143 when interrupted.
    """
    quieten()
    ParityCLI(arguments)
