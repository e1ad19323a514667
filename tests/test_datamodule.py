"""The datamodule: regimes, seeds, held-out sets and what it refuses."""

from __future__ import annotations

import pytest
import torch

from parity_lightning import ParityDataModule, SettingError, SparseParity
from parity_lightning.data.held_out import HELD_OUT


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


@pytest.mark.parametrize(
    ("settings", "option"),
    [({"batch_size": 0}, "batch_size"), ({"num_samples": 0}, "num_samples"), ({"num_workers": -1}, "num_workers")],
)
def test_a_bad_setting_is_named(settings: dict[str, int], option: str) -> None:
    with pytest.raises(SettingError, match=f"^{option}="):
        ParityDataModule(50, 3, **settings)


def test_a_checkpoint_of_another_parity_is_refused() -> None:
    state = ParityDataModule(50, 3, seed=1).state_dict()
    ParityDataModule(50, 3, seed=1, batch_size=8).load_state_dict(state)
    with pytest.raises(SettingError, match=r"n=40: .*n=50"):
        ParityDataModule(40, 3, seed=1).load_state_dict(state)
    with pytest.raises(SettingError, match=r"support=.*support="):
        ParityDataModule(50, 3, seed=2).load_state_dict(state)
