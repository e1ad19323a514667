"""Callbacks: measures against hand counts, and what they say when something is lacking."""

from __future__ import annotations

import csv
import json
import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import CONFIGS, Run
from hypothesis import given
from hypothesis import strategies as st
from lightning.pytorch import Callback, LightningDataModule, LightningModule, Trainer
from scipy import stats
from torch import nn
from torch.utils.data import DataLoader

from parity_lightning import MLP, ParityDataModule, SettingError
from parity_lightning.callbacks import (
    HiddenProgress,
    PhaseTransition,
    ProgressPicture,
    RunSummary,
    StopWhenDiverged,
    StopWhenSolved,
)
from parity_lightning.callbacks.run_summary import table
from parity_lightning.measures.hidden_progress import movement_of
from parity_lightning.measures.phase_transition import most_errors_off_plateau


def rows_of(run: Run) -> list[dict[str, float]]:
    with (run.folder / "metrics.csv").open() as file:
        return [{name: float(value) for name, value in row.items()} for row in csv.DictReader(file)]


@given(data=st.data(), units=st.integers(1, 4), n=st.integers(1, 6))
def test_movement_is_the_largest_change_of_each_coordinate(data: st.DataObject, units: int, n: int) -> None:
    entries = st.integers(-1000, 1000).map(float)
    weight, initial = (
        data.draw(st.lists(st.lists(entries, min_size=n, max_size=n), min_size=units, max_size=units)) for _ in range(2)
    )
    support = tuple(sorted(data.draw(st.sets(st.integers(0, n - 1), min_size=1))))
    found = movement_of(torch.tensor(weight), torch.tensor(initial), support)
    moved = [max(abs(weight[j][i] - initial[j][i]) for j in range(units)) for i in range(n)]
    assert found.hidden_progress == max(moved)
    assert found.relevant == max(moved[i] for i in support)
    assert found.relevant_min == min(moved[i] for i in support)
    assert found.irrelevant == max((moved[i] for i in range(n) if i not in support), default=0)
    threshold = sorted(moved)[-len(support)]
    assert all(moved[i] >= threshold for i in found.recovered)
    assert found.found == len(set(found.recovered) & set(support))
    # Units may lie along several axes.
    assert movement_of(torch.tensor([weight]), torch.tensor([initial]), support) == found


@given(st.lists(st.sampled_from([0, 1, 400, 462, 463, 501, 502, 512, 700]), max_size=30))
def test_the_transition_is_dated_by_its_definition(errors: list[int]) -> None:
    transition = PhaseTransition()
    for number, wrong in enumerate(errors, start=1):
        transition.observe(10 * number, wrong, examples=1024)
    solved = errors.index(0) if 0 in errors else None
    if solved is None:
        summary = transition.summary()
        assert (summary["solved"], summary["convergence_time"], summary["onset"]) == (False, None, None)
        assert summary["plateau_share"] is None
        return
    onset = solved
    # By scipy: with 462 errors or fewer a guess is right by chance less than once in a thousand, with 463 more often.
    while onset > 0 and stats.binomtest(errors[onset - 1], 1024, alternative="less").pvalue <= 0.001:
        onset -= 1
    assert (transition.convergence_time, transition.onset) == (10 * (solved + 1), 10 * (onset + 1))
    assert transition.plateau_share == (onset + 1) / (solved + 1)


@pytest.mark.parametrize("examples", [1, 9, 10, 100, 1024, 2048, 8192, 100_000])
def test_errors_off_the_plateau_are_told_from_chance(examples: int) -> None:
    most = most_errors_off_plateau(examples)
    chance = stats.binom(examples, 0.5).cdf
    assert most < 0.49 * examples
    assert most == -1 or chance(most) <= 0.001
    assert chance(most + 1) > 0.001 or most + 1 >= 0.49 * examples


def test_a_run_leaves_what_the_contract_says(fit: Callable[..., Run]) -> None:
    run = fit(picture=True)
    assert {path.name for path in run.folder.iterdir()} == {
        "config.yaml",
        "metrics.csv",
        "summary.json",
        "progress.png",
        "checkpoints",
    }
    assert (run.folder / "checkpoints" / "last.ckpt").is_file()
    assert (run.folder / "progress.png").read_bytes().startswith(b"\x89PNG")
    assert Path(run.out.splitlines()[-1].removeprefix("summary: ")).resolve() == run.folder / "summary.json"
    rows = rows_of(run)
    assert [row["step"] for row in rows] == [50 * (number + 1) for number in range(len(rows))]
    solved = [row["step"] for row in rows if row["val/errors"] == 0]
    assert solved == [rows[-1]["step"]], "it stops at the first evaluation without errors"
    assert rows[-1]["val/examples"] == 2**13
    onset = rows[-1]["step"]
    for row in reversed(rows):
        if row["val/errors"] > 462 * row["val/examples"] / 1024:
            break
        onset = row["step"]
    summary = run.summary
    assert summary | {"elapsed_seconds": 0, "steps_per_second": 0} == summary | {
        "solved": True,
        "convergence_time": int(solved[0]),
        "onset": int(onset),
        "plateau_share": onset / solved[0],
        "steps": int(solved[0]),
        "val_accuracy": 1.0,
        "hidden_progress": rows[-1]["hidden_progress"],
        "n": 20,
        "k": 3,
        "architecture": "parity_lightning.modules.mlp.MLP",
        "regime": "online",
        "num_samples": None,
        "batch_size": 32,
        "label_noise": 0.0,
        "seed": 0,
        "stop_reason": "solved",
        "elapsed_seconds": 0,
        "steps_per_second": 0,
    }
    assert summary["support"] == summary["recovered_support"] == sorted(summary["support"])
    assert summary["elapsed_seconds"] > 0


def test_hidden_progress_is_measured_from_the_first_weights(fit: Callable[..., Run]) -> None:
    run = fit("--trainer.max_steps=60", "--trainer.val_check_interval=20")
    checkpoint = torch.load(run.folder / "checkpoints" / "last.ckpt", weights_only=True)
    torch.manual_seed(0)
    initial = MLP(20, 3, initialization="uniform").first_layer.detach()
    moved = (checkpoint["state_dict"]["network.hidden.weight"] - initial).abs()
    assert rows_of(run)[-1]["hidden_progress"] == pytest.approx(float(moved.max()), rel=1e-6)
    support = run.summary["support"]
    assert rows_of(run)[-1]["hidden_progress/relevant"] == pytest.approx(float(moved[:, support].max()), rel=1e-6)


def test_blocks_and_lightnings_own_loop_train_alike(fit: Callable[..., Run]) -> None:
    """Clipping at a huge norm changes nothing but needs Lightning between steps, so it takes one step per batch."""
    together, apart = fit("--trainer.max_steps=130"), fit("--trainer.max_steps=130", "--trainer.gradient_clip_val=1e9")
    for one, other in zip(rows_of(together), rows_of(apart), strict=True):
        assert one == pytest.approx(other, rel=1e-5)
    assert [row["step"] for row in rows_of(together)] == [50, 100, 130]
    assert together.summary["steps"] == apart.summary["steps"] == 130


def test_a_schedule_steps_with_every_sgd_step(fit: Callable[..., Run]) -> None:
    schedule = ["--model.lr_scheduler=StepLR", "--model.lr_scheduler.step_size=10", "--model.lr_scheduler.gamma=0.5"]
    for extra in ([], ["--trainer.gradient_clip_val=1e9"]):
        run = fit("--trainer.max_steps=35", *schedule, *extra)
        checkpoint = torch.load(run.folder / "checkpoints" / "last.ckpt", weights_only=True)
        assert checkpoint["lr_schedulers"][0]["last_epoch"] == 35
        assert checkpoint["optimizer_states"][0]["param_groups"][0]["lr"] == pytest.approx(0.1 / 8)


def test_a_diverging_run_stops_and_says_so(fit: Callable[..., Run]) -> None:
    run = fit("--model.activation=power", "--model.loss=square", "--model.optimizer.lr=10")
    assert run.summary["stop_reason"] == "diverged"
    assert run.summary["solved"] is False
    assert run.summary["diverged_at"] <= run.summary["steps"] < 100_000
    assert f"step {run.summary['diverged_at']}: diverged" in run.out
    assert "diverged" in table(run.summary)
    json.dumps(run.summary, allow_nan=False)


def test_the_step_of_divergence_is_exact() -> None:
    class Losses(LightningModule):
        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.ones(1))

        def training_step(self, batch: Any, batch_idx: int) -> torch.Tensor:
            return self.weight.sum() * (math.nan if batch_idx == 4 else 1.0)

        def configure_optimizers(self) -> torch.optim.Optimizer:
            return torch.optim.SGD(self.parameters(), lr=0.1)

    stop = StopWhenDiverged()
    bare(max_steps=20, callbacks=[stop]).fit(Losses(), DataLoader(torch.zeros(100, 1)))  # type: ignore[arg-type]
    assert stop.summary() == {"stop_reason": "diverged", "diverged_at": 5}


def test_an_unsolved_run_is_censored(fit: Callable[..., Run]) -> None:
    run = fit("--trainer.max_steps=100")
    assert run.summary["stop_reason"] == "max_steps"
    assert (run.summary["solved"], run.summary["convergence_time"], run.summary["onset"]) == (False, None, None)
    assert run.summary["steps"] == 100
    assert "no (max_steps after 100 steps)" in run.out


def test_both_accuracies_of_a_finite_sample_are_logged_and_drawn(fit: Callable[..., Run]) -> None:
    run = fit("--data.num_samples=64", "--trainer.max_steps=600", config=CONFIGS / "grokking.yaml", picture=True)
    last = rows_of(run)[-1]
    assert run.summary["regime"] == "finite"
    assert run.summary["num_samples"] == 64
    assert last["train/accuracy"] == 1.0, "64 examples of 20 bits are memorized"
    assert last["val/accuracy"] < 0.7


def bare(**settings: Any) -> Trainer:
    """A trainer that writes nothing."""
    return Trainer(
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        **settings,
    )


class Stranger(LightningModule):
    """A module that knows nothing of parities."""

    def __init__(self, errors: float | None = None) -> None:
        super().__init__()
        self.layer = nn.Linear(4, 1)
        self.errors = errors

    def training_step(self, batch: torch.Tensor) -> torch.Tensor:
        return self.layer(batch).mean()

    def validation_step(self, batch: torch.Tensor) -> None:
        if self.errors is not None:
            self.log("val/errors", self.errors)
            self.log("val/accuracy", 1 - self.errors / 8)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=0.1)


class StrangerData(LightningDataModule):
    def train_dataloader(self) -> DataLoader[Any]:
        return DataLoader(torch.randn(8, 4), batch_size=2)  # type: ignore[arg-type]

    def val_dataloader(self) -> DataLoader[Any]:
        return DataLoader(torch.randn(8, 4), batch_size=8)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("callback", "told"),
    [
        (HiddenProgress(), "HiddenProgress: needs a datamodule with an attribute parity"),
        (PhaseTransition(), "PhaseTransition: needs a module that logs val/accuracy"),
        (StopWhenSolved(), "StopWhenSolved: needs a module that logs val/errors"),
    ],
)
@pytest.mark.filterwarnings("ignore:.*does not have many workers")
def test_a_callback_says_what_it_lacks(callback: Callback, told: str) -> None:
    with pytest.raises(SettingError, match=told):
        bare(max_epochs=1, callbacks=[callback]).fit(Stranger(), datamodule=StrangerData())


def test_hidden_progress_names_the_shape_it_lacks() -> None:
    trainer = bare(max_steps=1, callbacks=[HiddenProgress()], val_check_interval=1, check_val_every_n_epoch=None)
    with pytest.raises(SettingError, match=r"first_layer of shape \(..., n=6\) and Stranger has none"):
        trainer.fit(Stranger(), datamodule=ParityDataModule(6, 2))


@pytest.mark.filterwarnings("ignore:.*does not have many workers")
def test_callbacks_work_on_any_module_that_has_what_they_need(tmp_path: Path) -> None:
    transition, summary, picture = PhaseTransition(), RunSummary(), ProgressPicture()
    trainer = bare(
        max_epochs=3, callbacks=[transition, StopWhenSolved(), summary, picture], default_root_dir=str(tmp_path)
    )
    trainer.fit(Stranger(errors=0.0), datamodule=StrangerData())
    assert transition.convergence_time == trainer.global_step == 4
    written = json.loads((tmp_path / "summary.json").read_text())
    assert (written["solved"], written["stop_reason"], written["n"]) == (True, "solved", None)
    assert (tmp_path / "progress.png").is_file()


@pytest.mark.filterwarnings("ignore:.*does not have many workers")
def test_nothing_is_overwritten(tmp_path: Path) -> None:
    for _ in range(2):
        trainer = bare(max_epochs=1, callbacks=[RunSummary()], default_root_dir=str(tmp_path))
        trainer.fit(Stranger(errors=1.0), datamodule=StrangerData())
    assert {path.name for path in tmp_path.iterdir()} == {"summary.json", "summary-2.json"}


def test_the_bar_counts_sgd_steps_and_shows_what_matters(fit: Callable[..., Run]) -> None:
    run = fit("--trainer.max_steps=130")
    *_, last = run.err.split("\r")
    assert "130/130" in last
    row = rows_of(run)[-1]
    assert f"val/accuracy {row['val/accuracy']:.4g}" in last
    assert "hidden_progress " in last
    assert "130/130" not in run.out


def test_workers_change_nothing(fit: Callable[..., Run]) -> None:
    alone, helped = fit("--trainer.max_steps=100"), fit("--trainer.max_steps=100", "--data.num_workers=2")
    assert rows_of(alone) == rows_of(helped)


def test_the_table_fits_a_terminal(fit: Callable[..., Run]) -> None:
    run = fit("--data.n=600", "--data.k=60", "--trainer.max_steps=10", "--data.label_noise=0.25")
    assert max(len(line) for line in table(run.summary).splitlines()) <= 80


def test_tensorboard_shows_hidden_progress_beside_the_loss(fit: Callable[..., Run]) -> None:
    from google.protobuf.json_format import MessageToDict
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    from tensorboard.plugins.custom_scalar.layout_pb2 import Layout

    run = fit(f"--config={CONFIGS / 'loggers' / 'tensorboard.yaml'}", "--trainer.max_steps=100")
    (events,) = run.folder.rglob("events.out.tfevents.*")
    found = EventAccumulator(str(events))
    found.Reload()
    (tensor,) = found.Tensors("custom_scalars__config__")
    layout = Layout()
    layout.ParseFromString(tensor.tensor_proto.string_val[0])
    (category,) = MessageToDict(layout)["category"]
    charts = {chart["title"]: chart["multiline"]["tag"] for chart in category["chart"]}
    assert list(charts)[:2] == ["loss", "hidden progress"]
    logged = found.Tags()["scalars"]
    # Each name is that of one metric, and that is logged.
    for name in [each for names in charts.values() for each in names]:
        assert len([each for each in logged if re.match(name, each)]) == 1, name
