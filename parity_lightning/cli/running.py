"""How ``fit``, ``validate``, ``test`` and ``predict`` call the trainer, and end."""

from __future__ import annotations

import os
import shlex
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, NoReturn

import torch
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.loggers import WandbLogger
from lightning.pytorch.utilities.exceptions import SIGTERMException

from parity_lightning.callbacks import ProgressPicture, RunSummary
from parity_lightning.callbacks.graceful_shutdown import GracefulShutdown
from parity_lightning.cli.checkpoints import difference_to
from parity_lightning.cli.given import GivenSettings
from parity_lightning.cli.paths import shown_path
from parity_lightning.cli.predictions import write_predictions
from parity_lightning.data import ParityDataModule
from parity_lightning.display.table import format_table
from parity_lightning.engine.library_cache import check_cache
from parity_lightning.errors import SettingError
from parity_lightning.modules.base import ParityModule
from parity_lightning.modules.first_compiled_step import is_small
from parity_lightning.modules.lightning_internals import OpenLightningCLI
from parity_lightning.run_dir.checkpoint_file import DamagedCheckpoint, UnsafeCheckpoint
from parity_lightning.run_dir.run_folder import RunFolder
from parity_lightning.terminal.output import answer, complain, record
from parity_lightning.terminal.output import path as print_path


class RunsTrainer(OpenLightningCLI):
    """The subcommands of a LightningCLI, which calls them by their names."""

    trainer: Trainer
    datamodule: ParityDataModule
    given: GivenSettings

    def before_fit(self) -> None:
        """Checks what depends on the devices, and keeps small networks on one thread: several wait for each other."""
        self.datamodule.check_trainer(self.trainer, "fit")
        if isinstance(self.model, ParityModule):
            device = self.trainer.strategy.root_device
            if self.model.driver.compilation.first_step(self.trainer, self.datamodule, device) is not None:
                check_cache()
        if is_small(self.model, self.datamodule.batch_size) and "OMP_NUM_THREADS" not in os.environ:
            torch.set_num_threads(1)

    def fit(self, model: LightningModule, **kwargs: Any) -> None:
        """Trains; exits with 130 or 143 when interrupted, with 1 when nothing can be written any more."""
        try:
            self._load_and(self.trainer.fit, model, **kwargs)
        except SIGTERMException:
            self._exit_interrupted(143)
        except SystemExit as ended:
            if not isinstance(ended.__context__, KeyboardInterrupt):
                raise
            # Lightning ends so after Ctrl-C.
            self._exit_interrupted(130)
        except OSError as error:
            what, why = error.filename or self.trainer.default_root_dir, error.strerror or error
            if not self.trainer.global_step:
                raise SettingError("default_root_dir", what, f"cannot be written ({why}); name another") from error
            message = f"step {self.trainer.global_step:,}: {what} cannot be written ({why})"
            complain(f"parity-lightning fit: {message}; what was written before is whole")
            self._print_how_to_resume()
            raise SystemExit(1) from None
        finally:
            for callback in self.trainer.callbacks:  # type: ignore[attr-defined]
                if isinstance(callback, GracefulShutdown):
                    callback.restore_handlers()
        self._print_paths()

    def validate(self, model: LightningModule, **kwargs: Any) -> None:
        """Evaluates on the validation set."""
        self._tell_metrics("validate", self.trainer.validate, model, **kwargs)

    def test(self, model: LightningModule, **kwargs: Any) -> None:
        """Evaluates on the test set."""
        self._tell_metrics("test", self.trainer.test, model, **kwargs)

    def predict(self, model: LightningModule, **kwargs: Any) -> None:
        """Writes ``predictions.csv`` into a new folder."""
        predictions = self._load_and(self.trainer.predict, model, **kwargs)
        parent = Path(self._root)
        folder = RunFolder.new(parent.absolute(), f"{type(model).__name__}-predictions")
        path = folder.path / "predictions.csv"
        write_predictions(path, predictions or [])
        folder.release()
        print_path("predictions", shown_path(path, parent))
        record("predict", {"predictions": path})

    def _tell_metrics(self, command: str, act: Callable[..., Any], model: LightningModule, **kwargs: Any) -> None:
        # A table in the style of all others takes the place of Lightning's.
        is_shown = kwargs.pop("verbose", True)
        found = self._load_and(act, model, verbose=False, **kwargs)
        metrics = {name: value for each in found for name, value in each.items()}
        if self.trainer.is_global_zero:
            if is_shown:
                answer(format_table([(name, str(value)) for name, value in sorted(metrics.items())]))
            record(command, metrics=metrics)

    @property
    def _root(self) -> str:
        root: str = self.part_of(self.config, "trainer").default_root_dir
        return root

    def _load_and(self, act: Callable[..., Any], model: LightningModule, **kwargs: Any) -> Any:
        path = self.part_of(self.config, "ckpt_path")
        try:
            # Whatever file Lightning chooses, no code runs from it.
            return act(model, **{**kwargs, "weights_only": True})
        except (DamagedCheckpoint, UnsafeCheckpoint) as error:
            raise SettingError("--ckpt_path", path, f"{error}; give another") from None
        except (RuntimeError, ValueError) as error:
            if path is None:
                raise
            # PyTorch's text; by then the step of the checkpoint has been restored.
            if "loaded state dict" in str(error):
                why: str | None = "is of another optimizer or other layers"
            else:
                why = None if self.trainer.global_step else difference_to(path, model)
            if why is None:
                raise
            raise SettingError("--ckpt_path", path, f"{why}; give the options it was trained with") from None

    def _exit_interrupted(self, status: int) -> NoReturn:
        self._print_how_to_resume()
        self._print_paths()
        # A launcher kills the first process, which has most to write, once another one has failed.
        raise SystemExit(status if self.trainer.is_global_zero else 0) from None

    def _print_how_to_resume(self) -> None:
        if not self.trainer.is_global_zero:
            return
        words = self.given.words_without("ckpt_path", "resume")
        complain(f"to go on: parity-lightning {shlex.join(words)} --ckpt_path last")

    def _print_paths(self) -> None:
        for logger in self.trainer.loggers:
            if isinstance(logger, WandbLogger):
                # Or the next run of this process would go on with this one.
                with suppress(Exception):
                    logger.experiment.finish()
        callbacks = self.trainer.callbacks  # type: ignore[attr-defined]
        files: dict[str, Path] = {}
        summary: dict[str, Any] | None = None
        for kind, name in ((ProgressPicture, "picture"), (RunSummary, "summary")):
            for callback in callbacks:
                if isinstance(callback, kind) and callback.path is not None and callback.path.exists():
                    files[name] = callback.path
                    if isinstance(callback, RunSummary):
                        summary = callback.summary_of_run
                        beside = {"config": "config.yaml", "metrics": "metrics.csv"}
                        files |= {what: callback.path.with_name(file) for what, file in beside.items()}
                    print_path(name, shown_path(callback.path, self._root))
        if self.trainer.is_global_zero:
            record("fit", files, summary=summary)
