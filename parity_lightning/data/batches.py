"""Endless training batches, each a pure function of its step."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from torch import Tensor
from torch.utils.data import DataLoader, IterableDataset, get_worker_info

from parity_lightning.data.protocols import BlockPlan
from parity_lightning.data.sparse_parity import SparseParity

Block = tuple[Tensor, Tensor]
"""Inputs and labels of several batches."""


class Steps:
    """The steps of a block, without its examples.

    (A class of its own, for Lightning would move a ``range`` to the device item by item.)

    Args:
        first: The first step.
        end: The one after the last.
    """

    def __init__(self, first: int, end: int) -> None:
        self.first = first
        self.end = end


class TrainingBatches(IterableDataset[Block | Steps]):
    """The batches of the online or of the finite-sample regime, from any step on.

    Batch ``t`` holds the examples at positions ``t*B .. t*B + B - 1`` of an endless sequence. Online that sequence is
    the training stream itself; with a finite sample of size m it is one epoch after another, each a permutation of the
    first m examples of the stream, so a batch may hold the end of one epoch and the beginning of the next. Nothing
    depends on how the sequence is walked: a run resumed at step t, split over ranks or drawn by several workers sees
    the same batches.

    Iterating yields *blocks*, the batches of several steps stacked, or `Steps` without examples, as ``plan`` says.

    Args:
        parity: Where examples come from.
        batch_size: The global batch size B.
        num_samples: The size m of the finite sample; ``None`` is the online regime.
        rank: Which slice of each batch to draw, 0 to ``world_size - 1``.
        world_size: Into how many slices of equal size batches are split; it divides B.
        device: Where examples are made.
    """

    # A block of at most this many input bits, so that memory stays small for large batches (32 MiB of float32).
    _MOST_BITS = 2**23
    # A block of at most this many steps, so that the progress bar moves and Ctrl-C takes effect soon.
    _MOST_STEPS = 256

    def __init__(
        self,
        parity: SparseParity,
        batch_size: int,
        num_samples: int | None = None,
        *,
        rank: int = 0,
        world_size: int = 1,
        device: torch.device | str = "cpu",
    ) -> None:
        super().__init__()
        self.parity = parity
        self.batch_size = batch_size
        self.num_samples = num_samples
        self.device = device
        share = batch_size // world_size
        self._slice = range(rank * share, (rank + 1) * share)
        self.first_step = 0
        """Where iterating begins."""
        self.plan: BlockPlan | None = BlockPlan()
        """How batches are joined into blocks; None for one batch at a time."""
        self._orders: tuple[tuple[int, int], Tensor] | None = None

    def indices(self, first_step: int, last_step: int) -> Tensor:
        """Which training examples the batches of steps ``first_step .. last_step - 1`` hold.

        Returns:
            int64 tensor of shape ``(last_step - first_step, B / world_size)``.
        """
        steps = torch.arange(first_step, last_step, device=self.device)
        slots = torch.arange(self._slice.start, self._slice.stop, device=self.device)
        positions = steps.unsqueeze(-1) * self.batch_size + slots
        if self.num_samples is None:
            return positions
        epochs, places = positions // self.num_samples, positions % self.num_samples
        first_epoch = first_step * self.batch_size // self.num_samples
        last_epoch = (last_step * self.batch_size - 1) // self.num_samples
        orders = self._epoch_orders(self.num_samples, first_epoch, last_epoch)
        return orders[epochs - first_epoch, places]

    def _epoch_orders(self, num_samples: int, first: int, last: int) -> Tensor:
        # A large sample takes many blocks to go through, all of the same epoch: its order is kept.
        if self._orders is None or self._orders[0] != (first, last):
            epochs = torch.arange(first, last + 1, device=self.device)
            self._orders = (first, last), self.parity.shuffle(num_samples, epochs)
        return self._orders[1]

    def block(self, first_step: int, last_step: int) -> Block:
        """The batches of steps ``first_step .. last_step - 1``.

        Returns:
            Inputs of shape ``(steps, B / world_size, n)`` and labels of shape ``(steps, B / world_size)``.
        """
        return self.parity.draw(self.indices(first_step, last_step))

    def _longest(self) -> int:
        return max(1, min(self._MOST_STEPS, self._MOST_BITS // (len(self._slice) * self.parity.n)))

    def block_end(self, step: int, every: int) -> int:
        """Where the block ends that holds a step, if blocks are cut at the multiples of ``every`` and nowhere else."""
        first, longest = step // every * every, self._longest()
        return min(first + every, first + ((step - first) // longest + 1) * longest)

    def _block_end(self, step: int, plan: BlockPlan) -> int:
        ends = [step + self._longest(), *((step // every + 1) * every for every in plan.boundaries)]
        ends += [end for end in (plan.last_step, plan.lazy_from_step) if end is not None and step < end]
        return min(ends)

    def __iter__(self) -> Iterator[Block | Steps]:
        worker = get_worker_info()
        this_worker, workers = (worker.id, worker.num_workers) if worker else (0, 1)
        step, number = self.first_step, 0
        while True:
            end = step + 1 if self.plan is None else self._block_end(step, self.plan)
            if number % workers == this_worker:
                yield self._item(step, end)
            step, number = end, number + 1

    def _item(self, first_step: int, last_step: int) -> Block | Steps:
        if self.plan is None:
            x, y = self.block(first_step, last_step)
            return x[0], y[0]
        if self.plan.lazy_from_step is not None and first_step >= self.plan.lazy_from_step:
            return Steps(first_step, last_step)
        return self.block(first_step, last_step)


class TrainingLoader(DataLoader[Block | Steps]):
    """Loads `TrainingBatches` from the step that training has reached.

    Args:
        batches: What to load.
        reached: Returns the number of SGD steps taken so far; asked whenever the loader is iterated anew.
        num_workers: How many worker processes draw examples; 0 draws them in this process.
    """

    def __init__(self, batches: TrainingBatches, reached: Callable[[], int], num_workers: int = 0) -> None:
        super().__init__(batches, batch_size=None, num_workers=num_workers)
        self._batches = batches
        self._reached = reached

    def __iter__(self) -> Iterator[Block | Steps]:  # type: ignore[override]
        self._batches.first_step = self._reached()
        return super().__iter__()
