"""Lightning's private names that this project relies on: where they are, and that nothing else uses any."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.cli import LightningCLI

import parity_lightning
from parity_lightning import MLP, ParityDataModule
from parity_lightning.cli.training import ParityCLI
from parity_lightning.cli.trial_config import TrialConfigCLI

PACKAGE = Path(parity_lightning.__file__).parent
INTERNALS = PACKAGE / "modules" / "lightning_internals.py"


class Probe(Callback):
    """Looks for the private names while a run is under way, when all of them exist."""

    def __init__(self) -> None:
        self.missing: list[str] = []

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: object, batch_idx: int) -> None:
        epoch_loop = trainer.fit_loop.epoch_loop
        places = {
            "LightningModule": (pl_module, ("_trainer",)),
            "Trainer": (trainer, ("_detect_anomaly", "_last_val_time", "_logger_connector", "val_check_batch")),
            "Trainer.fit_loop": (trainer.fit_loop, ("_data_fetcher", "epoch_loop")),
            "the epoch loop": (epoch_loop, ("_batches_that_stepped", "_should_check_val_fx", "val_loop")),
            "the validation loop": (epoch_loop.val_loop, ("run", "_has_run")),
            "the logger connector": (
                trainer._logger_connector,
                ("_callback_metrics", "_progress_bar_metrics", "log_metrics"),
            ),
            "the progress of manual optimization": (
                epoch_loop.manual_optimization.optim_step_progress,
                ("increment_ready", "increment_completed", "increment_by"),
            ),
        }
        for owner, (instance, names) in places.items():
            self.missing += [f"{owner} has no {name}" for name in names if not hasattr(instance, name)]


def test_lightning_has_the_private_names_that_are_relied_on() -> None:
    probe = Probe()
    trainer = Trainer(
        max_steps=2,
        accelerator="cpu",
        devices=1,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        val_check_interval=1,
        check_val_every_n_epoch=None,
        callbacks=[probe],
    )
    trainer.fit(MLP(6, 2, width=4), datamodule=ParityDataModule(6, 2, batch_size=4))
    assert not probe.missing, (
        f"this version of Lightning has moved private names ({'; '.join(probe.missing)}): "
        "mend parity_lightning/modules/lightning_internals.py, the only file that uses them"
    )


@pytest.mark.parametrize(
    "name",
    [
        "_every_n_train_steps",
        "_should_skip_saving_checkpoint",
        "_monitor_candidates",
        "_save_last_checkpoint",
        "_save_topk_checkpoint",
        "_save_checkpoint",
        "_last_global_step_saved",
        "_should_save_on_exception",
        "_enable_version_counter",
    ],
)
def test_model_checkpoint_has_the_private_names_that_are_relied_on(name: str) -> None:
    assert hasattr(ModelCheckpoint(every_n_train_steps=1), name), (
        f"this version of Lightning has moved ModelCheckpoint.{name}: "
        "mend SteppedModelCheckpoint in parity_lightning/modules/lightning_internals.py"
    )


@pytest.mark.parametrize(
    "name", ["_add_arguments", "_get", "_parser", "_parse_ckpt_path", "_run_subcommand", "setup_parser"]
)
def test_lightning_cli_has_the_private_names_that_are_relied_on(name: str) -> None:
    assert hasattr(LightningCLI, name), (
        f"this version of Lightning has moved LightningCLI.{name}: "
        "mend OpenLightningCLI in parity_lightning/modules/lightning_internals.py"
    )


def test_the_command_line_overrides_no_private_name_of_lightning() -> None:
    for kind in (ParityCLI, TrialConfigCLI):
        own = [
            name for each in kind.__mro__ if each.__module__.startswith("parity_lightning.cli") for name in vars(each)
        ]
        assert not [name for name in own if name[0] == "_" and name[1] != "_" and hasattr(LightningCLI, name)]


def private_names_of_others(file: Path) -> list[str]:
    """Private attributes that a file reads or sets of objects other than those of its own classes."""
    tree = ast.parse(file.read_text())
    own = {
        node.attr
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in ("self", "cls")
    }
    own |= {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.ClassDef)}
    return [
        f"{file.relative_to(PACKAGE)}:{node.lineno}: {node.attr}"
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute)
        and node.attr.startswith("_")
        and not node.attr.startswith("__")
        and node.attr not in own
        # NamedTuples have these names for want of others, and they are documented.
        and node.attr not in ("_replace", "_asdict", "_fields")
    ]


def test_no_other_file_uses_lightnings_private_names() -> None:
    files = [path for name in ("callbacks", "modules", "run_dir", "data") for path in (PACKAGE / name).glob("*.py")]
    found = [use for path in files if path != INTERNALS for use in private_names_of_others(path)]
    assert not found
