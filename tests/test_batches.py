"""Training batches: the same batch t whichever way one gets there."""

from __future__ import annotations

from itertools import islice

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from parity_lightning import SparseParity
from parity_lightning.data.batches import Steps, TrainingBatches, TrainingLoader
from parity_lightning.data.protocols import BlockPlan
from parity_lightning.modules.blocks import intervals_of

PARITY = SparseParity(12, 3, seed=5, label_noise=0.2)

regimes = pytest.mark.parametrize("num_samples", [None, 1, 7, 40])


def walked(batches: TrainingBatches, steps: int) -> tuple[Tensor, Tensor]:
    """The first batches, by iterating."""
    blocks = []
    done = 0
    for x, y in batches:
        blocks.append((x, y))
        done += len(y)
        if done >= steps:
            break
    return torch.cat([x for x, _ in blocks])[:steps], torch.cat([y for _, y in blocks])[:steps]


def expected_indices(step: int, batch_size: int, num_samples: int | None) -> list[int]:
    """Position by position: online the positions themselves, else through the epochs' orders."""
    indices = []
    for position in range(step * batch_size, (step + 1) * batch_size):
        if num_samples is None:
            indices.append(position)
        else:
            epoch, place = divmod(position, num_samples)
            indices.append(int(PARITY.shuffle(num_samples, torch.tensor([epoch]))[0, place]))
    return indices


@regimes
@given(first=st.integers(0, 300), steps=st.integers(1, 5), batch_size=st.integers(1, 20))
def test_indices_are_the_documented_ones(num_samples: int | None, first: int, steps: int, batch_size: int) -> None:
    indices = TrainingBatches(PARITY, batch_size, num_samples).indices(first, first + steps)
    assert indices.tolist() == [expected_indices(first + t, batch_size, num_samples) for t in range(steps)]


@regimes
def test_an_epoch_goes_through_the_sample_once(num_samples: int | None) -> None:
    indices = TrainingBatches(PARITY, 8, num_samples).indices(0, 35).flatten()
    size = num_samples or 280
    for epoch in indices[: 280 // size * size].reshape(-1, size):
        assert epoch.sort().values.tolist() == list(range(size))


@regimes
def test_resuming_continues_the_same_batches(num_samples: int | None) -> None:
    whole = walked(TrainingBatches(PARITY, 6, num_samples), 50)
    late = TrainingBatches(PARITY, 6, num_samples)
    late.first_step = 17
    rest = walked(late, 33)
    for full, tail in zip(whole, rest, strict=True):
        assert torch.equal(full[17:], tail)


@regimes
def test_ranks_share_out_the_global_batch(num_samples: int | None) -> None:
    whole = walked(TrainingBatches(PARITY, 6, num_samples), 20)
    shares = [walked(TrainingBatches(PARITY, 6, num_samples, rank=rank, world_size=3), 20) for rank in range(3)]
    for part in range(2):
        assert torch.equal(whole[part], torch.cat([share[part] for share in shares], dim=1))


# A machine of two cores takes three workers, too.
@pytest.mark.filterwarnings("ignore:This DataLoader will create 3 worker processes:UserWarning")
@regimes
@pytest.mark.parametrize("in_blocks", [True, False])
def test_workers_deliver_the_same_batches_in_the_same_order(num_samples: int | None, in_blocks: bool) -> None:
    def loaded(workers: int) -> Tensor:
        batches = TrainingBatches(PARITY, 6, num_samples)
        batches.plan = BlockPlan((7,)) if in_blocks else None
        loader = TrainingLoader(batches, reached=lambda: 3, num_workers=workers)
        inputs = [x if in_blocks else x.unsqueeze(0) for x, _ in islice(iter(loader), 9 if in_blocks else 40)]
        return torch.cat(inputs)[:40]

    alone = loaded(0)
    assert torch.equal(alone, TrainingBatches(PARITY, 6, num_samples).block(3, 43)[0])
    assert torch.equal(loaded(3), alone)


@given(
    first=st.integers(0, 500),
    cuts=st.lists(st.integers(1, 60), max_size=3),
    last=st.none() | st.integers(1, 600),
    batch_size=st.sampled_from([1, 32, 65_536]),
)
def test_blocks_end_where_somebody_must_look(first: int, cuts: list[int], last: int | None, batch_size: int) -> None:
    batches = TrainingBatches(PARITY, batch_size)
    batches.plan = plan = BlockPlan(tuple(cuts), last)
    ends, step = [], first
    while step < first + 200:
        end = batches._block_end(step, plan)
        assert end > step
        assert (end - step) * batch_size * PARITY.n <= max(batches._MOST_BITS, batch_size * PARITY.n)
        ends.append(end)
        step = end
    looked_at = {s for s in range(first + 1, step + 1) if any(s % cut == 0 for cut in cuts) or s == last}
    assert looked_at <= set(ends)


def test_a_loader_begins_where_training_is() -> None:
    batches, reached = TrainingBatches(PARITY, 6), iter([3, 20])
    loader = TrainingLoader(batches, reached=lambda: next(reached))
    for first in (3, 20):
        block = next(iter(loader))
        assert not isinstance(block, Steps)
        assert torch.equal(block[0][0], TrainingBatches(PARITY, 6).block(first, first + 1)[0][0])


def test_from_some_step_on_blocks_are_steps_without_examples() -> None:
    batches = TrainingBatches(PARITY, 6)
    batches.first_step, batches.plan = 3, BlockPlan((7,), last_step=22, lazy_from_step=10)
    blocks = list(islice(batches, 5))
    assert [len(block[1]) for block in blocks[:2] if not isinstance(block, Steps)] == [4, 3]
    assert [(block.first, block.end) for block in blocks[2:] if isinstance(block, Steps)] == [
        (10, 14),
        (14, 21),
        (21, 22),
    ]
    # Who takes one step at a time gets the examples of each.
    batches.plan, batches.first_step = None, 12
    x, y = next(iter(batches))
    assert torch.equal(x, PARITY.draw(torch.arange(72, 78))[0])
    assert y.shape == (6,)


def test_a_block_is_at_most_thirty_two_mebibytes_and_256_steps() -> None:
    x, _ = next(iter(TrainingBatches(SparseParity(64, 3), 1024)))
    assert x.nbytes == 2**25
    x, _ = next(iter(TrainingBatches(SparseParity(3, 3), 1)))
    assert len(x) == 256


@pytest.mark.parametrize(
    ("step", "every", "end"),
    [
        (0, 50, 50),
        (49, 50, 50),
        (50, 50, 100),
        (130, 1000, 256),
        (256, 1000, 512),
        (900, 1000, 1000),
        (1300, 1000, 1512),
    ],
)
def test_blocks_that_are_cut_at_multiples_only(step: int, every: int, end: int) -> None:
    assert TrainingBatches(PARITY, 4).block_end(step, every) == end


def test_large_batches_and_wide_inputs() -> None:
    x, y = next(iter(TrainingBatches(SparseParity(1000, 3), 65_536)))
    assert x.shape == (1, 65_536, 1000)
    assert torch.equal(SparseParity(1000, 3).label(x[0, :100]), y[0, :100])
    x, y = next(iter(TrainingBatches(SparseParity(10, 3), 65_536, num_samples=1)))
    assert x.shape == (TrainingBatches._MOST_BITS // (65_536 * 10), 65_536, 10)
    assert bool((x == x[0, 0]).all())


def test_callbacks_say_when_they_must_act() -> None:
    from lightning.pytorch.callbacks import ModelCheckpoint, Timer

    class Every:
        every_n_steps = 30

    callbacks = [Every(), ModelCheckpoint(every_n_train_steps=500), ModelCheckpoint(), Timer()]
    assert intervals_of(callbacks) == (30, 500)
