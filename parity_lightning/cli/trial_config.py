"""Makes settings of trials out of command lines."""

from __future__ import annotations

import hashlib
import inspect
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NoReturn

from lightning.pytorch import Callback, Trainer
from lightning.pytorch.accelerators import CUDAAccelerator
from lightning.pytorch.callbacks import Checkpoint, LearningRateMonitor, ModelSummary
from lightning.pytorch.plugins.precision import DoublePrecision

from parity_lightning.cli.option_types import Option
from parity_lightning.cli.setting_checks import check_accelerator, check_intervals, check_links
from parity_lightning.cli.training import ParityCLI
from parity_lightning.data import ParityDataModule
from parity_lightning.engine.trainable import Unstackable
from parity_lightning.engine.trial_config import TrialConfig
from parity_lightning.errors import SettingError, UsageError
from parity_lightning.modules import ParityModule
from parity_lightning.modules.blocks import allows_blocks
from parity_lightning.modules.compiled_steps import why_not_stacked

# What Lightning calls while it fits: a module that overrides one of these may do anything there.
_HOOKS = ("setup", "teardown", "configure_model", "validation_step", "configure_callbacks", "train", "eval")
_NOT_IN_FIT = ("on_test", "on_predict", "on_save_checkpoint", "on_load_checkpoint")


def _own_hook(kind: type[ParityModule]) -> str | None:
    """The name of a hook that a subclass overrides, if it overrides any."""
    hooks = (name for name in dir(ParityModule) if name in _HOOKS or name.startswith("on_"))
    own = (name for name in hooks if not name.startswith(_NOT_IN_FIT))
    return next((name for name in own if getattr(kind, name) is not getattr(ParityModule, name)), None)


def _only_looks(callback: Callback) -> bool:
    """Whether a callback is known not to change what is trained, and when it ends."""
    known = type(callback).__module__.startswith(("parity_lightning.", "lightning.pytorch.callbacks.progress."))
    return known or isinstance(callback, Checkpoint) or type(callback) in (ModelSummary, LearningRateMonitor)


# Lists of callbacks, loggers and folders say nothing about what a trial does.
_NOT_TOLD = ("callbacks", "logger", "default_root_dir")


class TrialConfigCLI(ParityCLI):
    """Parses the options of ``fit`` and makes the objects they describe, without training.

    Args:
        options: What one would give to ``fit``.
        own: The options that ``trials`` has for itself, to suggest one of them where another is unknown.

    Raises:
        UsageError: If they cannot work.
    """

    trainer: Trainer

    def __init__(self, options: Sequence[str], own: Mapping[str, Option] | None = None) -> None:
        self.follows_seed = True
        self._own = own or {}
        super().__init__(["fit", *options], command="trials")

    def tell_shipped(self, names: Sequence[str]) -> None:
        """Says nothing: the study does, once for all its cells."""

    def refuse(self, message: str) -> NoReturn:
        """Raises what the caller, a command or Python, is to be told."""
        raise UsageError(message)

    def _options(self) -> dict[str, Option]:
        return {**super()._options(), **self._own}

    def before_instantiate_classes(self) -> None:
        """Checks what ``fit`` checks."""
        config = self.config[self.subcommand]
        data = config.data.init_args
        check_links(self.given, data)
        check_accelerator(config.trainer.accelerator)
        check_intervals(self.given, config.trainer)
        if config.ckpt_path is not None:
            raise SettingError("--ckpt_path", config.ckpt_path, "trials begin at step 0; leave it out")
        self.follows_seed = "seed" in data and data.seed is None
        if self.follows_seed:
            data.seed = config.seed_everything
        self.save_config_callback = None

    def _trainer_settings(self) -> dict[str, Any]:
        """Nothing is written."""
        return {
            "callbacks": self.part_of(self.config_init, "trainer").callbacks,
            "logger": False,
            "enable_checkpointing": None,
        }

    def run_subcommand(self, subcommand: str) -> None:
        """Checks the parity, and trains nothing."""
        self.model.check_parity(self.datamodule.parity)

    @property
    def device(self) -> str:
        """The kind of device to train on."""
        return "cuda" if isinstance(self.trainer.accelerator, CUDAAccelerator) else "cpu"

    @property
    def seed(self) -> int:
        """The seed of the first trial."""
        seed: int = self.part_of(self.config, "seed_everything")
        return seed

    @property
    def root(self) -> str:
        """The folder below which everything is written."""
        root: str = self.part_of(self.config, "trainer").default_root_dir
        return root

    def names(self) -> dict[str, Any]:
        """What stands beside every trial and is no option: the network's class and the regime."""
        kind = type(self.model)
        return {
            "architecture": f"{kind.__module__}.{kind.__qualname__}",
            "regime": self.datamodule.settings()["regime"],
        }

    def whole_config(self) -> dict[str, Any]:
        """All that decides what the trials do, to tell them from others."""
        config: dict[str, Any] = self.part_of(self.config, "model").as_dict()
        trainer = self.part_of(self.config, "trainer").as_dict()
        trainer = {name: value for name, value in trainer.items() if name not in _NOT_TOLD}
        return {"model": config, "data": self.part_of(self.config, "data").as_dict(), "trainer": trainer}

    def own_code(self) -> str:
        """Tells a network of the user's own from another of the same name: a hash of the file it stands in."""
        file = inspect.getsourcefile(type(self.model))
        if file is None or type(self.model).__module__.startswith("parity_lightning."):
            return ""
        return hashlib.sha256(Path(file).read_bytes()).hexdigest()

    def with_values(self, values: Mapping[str, Any]) -> tuple[ParityModule, ParityDataModule]:
        """Model and data of other values, made without parsing, which takes twenty times as long.

        Args:
            values: Values by their paths in the configuration, as the parser would leave them.

        Raises:
            Exception: Whatever their classes raise; parsing says what is wrong.
        """
        config = self.config.clone()
        for path, value in values.items():
            config[f"{self.subcommand}.{path}"] = value
        made = self.parser.instantiate_classes(config)[self.subcommand]
        made.model.check_parity(made.data.parity)
        return made.model, made.data

    def setting_with(self, values: Mapping[str, Any]) -> TrialConfig:
        """The setting of other values of what trials of one stack may have for themselves."""
        own = self.setting()
        model, data = self.with_values(values)
        seed = values.get("data.init_args.seed", own.data_seed)
        return replace(own, module=model, parity=data.parity, data_seed=seed)

    def setting(self) -> TrialConfig:
        """The setting of stacked trials.

        Raises:
            Unstackable: If a callback or hook acts between single steps, or a stack cannot compute with such data or in
                such a precision.
        """
        if not isinstance(self.model, ParityModule):
            raise Unstackable(f"{type(self.model).__name__} is no ParityModule")
        if not allows_blocks(self.trainer):
            raise Unstackable("a callback or an option of the trainer acts between single steps")
        for callback in self.trainer.callbacks:  # type: ignore[attr-defined]
            if not _only_looks(callback):
                raise Unstackable(f"the callback {type(callback).__name__} may act on the training")
        if hook := _own_hook(type(self.model)):
            raise Unstackable(f"{type(self.model).__name__} overrides {hook}")
        if why := why_not_stacked(self.trainer, self.datamodule):
            raise Unstackable(why)
        every = self.trainer.val_check_interval
        assert isinstance(every, int)
        double = isinstance(self.trainer.precision_plugin, DoublePrecision)
        data_seed = None if self.follows_seed else self.datamodule.parity.seed
        data = self.datamodule
        steps = self.trainer.max_steps
        return TrialConfig(self.model, data.parity, data.batch_size, data.num_samples, steps, every, data_seed, double)
