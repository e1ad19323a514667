"""The datamodule: regimes, seeds, held-out sets and what it refuses."""

from __future__ import annotations

import pytest
import torch
from lightning.pytorch import Trainer

from parity_lightning import MLP, DisjointPolyNet, ParityDataModule, ParityModule, SettingError, SparseParity
from parity_lightning.callbacks import HiddenProgress
from parity_lightning.data.batches import TrainingBatches
from parity_lightning.data.datamodule import check_interval
from parity_lightning.data.held_out import HELD_OUT
from parity_lightning.data.protocols import BlockPlan


def test_held_out_sets_are_the_clean_beginnings_of_their_streams() -> None:
    data = ParityDataModule(n=30, k=3, seed=2, label_noise=0.3)
    clean = SparseParity(30, 3, seed=2)
    for loader, stream in ((data.val_dataloader(), "validation"), (data.test_dataloader(), "test")):
        (x, y), *others = loader
        assert not others
        expected = clean.draw(torch.arange(HELD_OUT), stream)  # type: ignore[arg-type]
        assert torch.equal(x, expected[0])
        assert torch.equal(y, expected[1])
    assert HELD_OUT == 2**13


def test_predictions_are_made_on_the_test_set() -> None:
    data = ParityDataModule(n=30, k=3, seed=2)
    (whole, _), *_ = data.test_dataloader()
    assert torch.equal(torch.cat([x for x, _ in data.predict_dataloader()]), whole)


def test_a_finite_sample_is_the_beginning_of_the_training_stream() -> None:
    data = ParityDataModule(n=30, k=3, seed=2, num_samples=64, batch_size=16)
    assert data.regime == "finite"
    x, y = data.batches().block(0, 4)
    expected, labels = SparseParity(30, 3, seed=2).draw(torch.arange(64))
    order = torch.cat([x.reshape(64, 30), y.reshape(64, 1)], dim=1).unique(dim=0)
    assert torch.equal(order, torch.cat([expected, labels.unsqueeze(1)], dim=1).unique(dim=0))


def test_the_seed_follows_seed_everything(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PL_GLOBAL_SEED", raising=False)
    assert ParityDataModule(50, 3).parity.seed == 0
    monkeypatch.setenv("PL_GLOBAL_SEED", "17")
    assert ParityDataModule(50, 3).parity.seed == 17
    assert ParityDataModule(50, 3, seed=4).parity.seed == 4


def test_a_support_has_one_index_per_block_if_it_is_to() -> None:
    for seed in range(5):
        support = SparseParity(20, 2, seed=seed, one_per_block=True).support
        assert ParityDataModule(20, 2, seed=seed, one_per_block=True).parity.support == support
        assert [index // 10 for index in support] == [0, 1]


def test_predictions_come_a_thousand_at_a_time() -> None:
    assert [len(y) for _, y in ParityDataModule(n=30, k=3).predict_dataloader()] == [1024] * 8


def test_settings_tell_what_the_data_are() -> None:
    data = ParityDataModule(30, 2, [4, 7], batch_size=1, num_samples=1, label_noise=0.25, seed=9)
    assert data.settings() == {
        **{"support": [4, 7], "n": 30, "k": 2, "regime": "finite", "num_samples": 1},
        **{"batch_size": 1, "label_noise": 0.25, "data_seed": 9},
    }
    assert ParityDataModule(30, 2).settings() | {"support": []} == {
        **{"support": [], "n": 30, "k": 2, "regime": "online", "num_samples": None},
        **{"batch_size": 32, "label_noise": 0.0, "data_seed": 0},
    }


@pytest.mark.parametrize(
    ("module", "steps", "plan"),
    [
        # Its steps are taken in C++, from the first one on.
        (MLP(12, 2, width=5), 30, BlockPlan((10, 20_000), 30, 0)),
        (MLP(12, 2, width=5), -1, BlockPlan((10, 20_000), None, 0)),
        # So short a run is not compiled.
        (DisjointPolyNet(12, 2), 30, BlockPlan((10,), 30, None)),
        (DisjointPolyNet(12, 2), -1, BlockPlan((10,), None, 20_000)),
        (MLP(12, 2, width=5, compile_after=None), -1, BlockPlan((10,), None, None)),
        (MLP(12, 2, width=5, compile_after=7), -1, BlockPlan((10,), None, 7)),
    ],
)
def test_training_batches_are_cut_where_the_trainer_acts(module: ParityModule, steps: int, plan: BlockPlan) -> None:
    trainer = Trainer(
        **{"accelerator": "cpu", "max_steps": steps, "max_time": {"seconds": 1}, "val_check_interval": 10},
        **{
            "check_val_every_n_epoch": None,
            "num_sanity_val_steps": 0,
            "logger": False,
            "callbacks": [HiddenProgress()],
        },
        **{"enable_checkpointing": False, "enable_progress_bar": False, "enable_model_summary": False},
    )
    trainer.fit(module, datamodule=ParityDataModule(12, 2, [0, 6], batch_size=8))
    assert trainer.train_dataloader is not None
    batches = trainer.train_dataloader.dataset
    assert isinstance(batches, TrainingBatches)
    assert batches.plan == plan


def test_training_batches_need_a_trainer_or_are_iterated_over() -> None:
    with pytest.raises(RuntimeError, match="iterate over batches"):
        ParityDataModule(12, 2).train_dataloader()


@pytest.mark.parametrize(
    ("settings", "option"),
    [
        ({"batch_size": 0}, "batch_size"),
        ({"batch_size": 2**24 + 1}, "batch_size"),
        ({"num_samples": 0}, "num_samples"),
        ({"num_samples": 10**8 + 1}, "num_samples"),
        ({"num_workers": -1}, "num_workers"),
    ],
)
def test_a_bad_setting_is_named(settings: dict[str, int], option: str) -> None:
    with pytest.raises(SettingError, match=f"^{option}="):
        ParityDataModule(50, 3, **settings)


def test_the_largest_settings_are_taken() -> None:
    data = ParityDataModule(50, 3, batch_size=2**24, num_samples=10**8, num_workers=0)
    assert (data.batch_size, data.num_samples) == (2**24, 10**8)


def test_a_checkpoint_of_another_parity_is_refused() -> None:
    state = ParityDataModule(50, 3, seed=1).state_dict()
    ParityDataModule(50, 3, seed=1, batch_size=8).load_state_dict(state)
    with pytest.raises(SettingError, match=r"n=40: .*n=50"):
        ParityDataModule(40, 3, seed=1).load_state_dict(state)
    with pytest.raises(SettingError, match=r"support=.*support="):
        ParityDataModule(50, 3, seed=2).load_state_dict(state)


@pytest.mark.parametrize("interval", [True, False, 0, -1, 0.5, 1.0, None])
def test_an_interval_is_a_whole_number_of_steps(interval: object) -> None:
    with pytest.raises(SettingError, match=f"^val_check_interval={interval}: validation would never run"):
        check_interval(interval)
    check_interval(1)


def test_a_batch_is_split_into_equal_parts() -> None:
    two = Trainer(accelerator="cpu", devices=2, strategy="ddp", logger=False, accumulate_grad_batches=2)
    for stage in ("fit", "test"):
        with pytest.raises(SettingError, match=r"^batch_size=7: must be a multiple of the 2 devices"):
            ParityDataModule(12, 2, batch_size=7).check_trainer(two, stage)
    # What concerns training alone is no matter in a test.
    even = ParityDataModule(12, 2, batch_size=8)
    even.check_trainer(two, "test")
    with pytest.raises(SettingError, match=r"^accumulate_grad_batches=2"):
        even.check_trainer(two, "fit")


def test_a_held_out_set_is_one_batch() -> None:
    assert len(ParityDataModule(12, 2).val_dataloader()) == 1
    assert len(ParityDataModule(12, 2).predict_dataloader()) == 8
