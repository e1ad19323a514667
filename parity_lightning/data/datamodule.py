"""The data of a run: training batches without end, and two held-out sets."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any, Literal

import torch
from lightning.pytorch import LightningDataModule, Trainer
from lightning.pytorch.trainer.states import TrainerFn

from parity_lightning.data.batches import Block, TrainingBatches, TrainingLoader
from parity_lightning.data.held_out import HELD_OUT, HeldOut
from parity_lightning.data.protocols import ChecksParity, TakesBlocks
from parity_lightning.data.sparse_parity import SparseParity, Stream
from parity_lightning.errors import SettingError, check_int

_PREDICT_BATCH = 1024


def check_interval(interval: Any) -> None:
    """Refuses an interval between evaluations that is no number of steps: an endless stream would never be validated.

    Raises:
        SettingError: If it is not a whole number of at least 1.
    """
    if isinstance(interval, bool) or not isinstance(interval, int) or interval < 1:
        raise SettingError(
            "val_check_interval", interval, "validation would never run; use a whole number of SGD steps, at least 1"
        )


def check_same_parity(trained: Mapping[str, Any], here: Mapping[str, Any]) -> None:
    """Refuses a checkpoint of another parity.

    Args:
        trained: The data's settings in the checkpoint; those it lacks are not compared.
        here: The data's settings now; those that are None are yet to be drawn and not compared.

    Raises:
        SettingError: If n, k or support differ.
    """
    for option in ("n", "k", "support"):
        now = here.get(option)
        if now is not None and option in trained and trained[option] != now:
            raise SettingError(option, now, f"the checkpoint was trained with {option}={trained[option]}; use that")


class ParityDataModule(LightningDataModule):
    """Sparse-parity data, online or from a finite sample.

    Held-out sets are the first 2^13 examples of the validation and of the test stream, with clean labels; each rank
    gets every ``world_size``-th of them.

    Args:
        n: How many bits an input has.
        k: How many of them the label depends on.
        support: The hidden support S, k different numbers from 0 to n-1; drawn from the seed by default.
        batch_size: Examples in one SGD step, over all devices together.
        num_samples: Size m of the training sample, used epoch after epoch; by default every step draws fresh
            examples (the online regime). A batch larger than the sample goes through it several times.
        label_noise: Probability that a training label is flipped, from 0 to 0.5; with 0.5 training labels are random,
            the control of Figure 3, right.
        seed: Decides examples and support; by default the seed of ``seed_everything``, or 0.
        num_workers: Processes that draw examples; 0 is fastest for small networks.
        one_per_block: Whether a drawn support has one index in each of k blocks of n/k inputs, as disjoint-PolyNets
            need it.

    Raises:
        SettingError: If a setting is out of range.

    Example:
        >>> data = ParityDataModule(n=20, k=3, batch_size=8, num_samples=100)
        >>> data.regime
        'finite'
        >>> x, y = next(iter(data.batches()))
        >>> x.shape[1:], y.shape[1:]
        (torch.Size([8, 20]), torch.Size([8]))
    """

    def __init__(
        self,
        n: int,
        k: int,
        support: list[int] | None = None,
        batch_size: int = 32,
        num_samples: int | None = None,
        label_noise: float = 0.0,
        seed: int | None = None,
        num_workers: int = 0,
        one_per_block: bool = False,
    ) -> None:
        super().__init__()
        if seed is None:
            seed = int(os.environ.get("PL_GLOBAL_SEED", 0))
        self.parity = SparseParity(n, k, support, seed, label_noise, one_per_block)
        self.batch_size = check_int("batch_size", batch_size, at_least=1, at_most=2**24)
        self.num_samples = (
            None if num_samples is None else check_int("num_samples", num_samples, at_least=1, at_most=10**8)
        )
        self.num_workers = check_int("num_workers", num_workers, at_least=0)

    @property
    def regime(self) -> Literal["online", "finite"]:
        """Whether every step draws fresh examples (``"online"``) or a finite sample is used again and again."""
        return "online" if self.num_samples is None else "finite"

    def settings(self) -> dict[str, Any]:
        """What the data depends on, as it stands in ``summary.json``."""
        return {
            "support": list(self.parity.support),
            "n": self.parity.n,
            "k": self.parity.k,
            "regime": self.regime,
            "num_samples": self.num_samples,
            "batch_size": self.batch_size,
            "label_noise": self.parity.label_noise,
            "data_seed": self.parity.seed,
        }

    def setup(self, stage: str) -> None:
        """Checks that the trainer can work with a stream of steps, and the module with the parity."""
        if self.trainer:
            self.check_trainer(self.trainer, stage)
            module = self.trainer.lightning_module
            if isinstance(module, ChecksParity):
                module.check_parity(self.parity)

    def check_trainer(self, trainer: Trainer, stage: str) -> None:
        """Refuses settings of the trainer that do not go with an endless stream of global batches.

        Raises:
            SettingError: If the batch cannot be split into equal parts, is to be accumulated, or if the trainer would
                never evaluate.
        """
        if self.batch_size % trainer.world_size:
            raise SettingError("batch_size", self.batch_size, f"must be a multiple of the {trainer.world_size} devices")
        if stage != TrainerFn.FITTING:
            return
        if trainer.accumulate_grad_batches != 1:
            accumulated = trainer.accumulate_grad_batches
            raise SettingError("accumulate_grad_batches", accumulated, "use a larger batch_size instead")
        if trainer.fast_dev_run:  # type: ignore[attr-defined]
            return
        check_interval(getattr(trainer, "val_check_interval", None))
        if trainer.check_val_every_n_epoch is not None:
            raise SettingError(
                "check_val_every_n_epoch",
                trainer.check_val_every_n_epoch,
                "validation would never run, for the stream has no epochs; use null and set val_check_interval",
            )

    def _world(self) -> tuple[int, int]:
        return (self.trainer.global_rank, self.trainer.world_size) if self.trainer else (0, 1)

    def _device(self) -> torch.device:
        # Worker processes cannot make tensors on an accelerator; Lightning moves theirs.
        # Apple's devices have no 64-bit sort.
        if not self.trainer or self.num_workers or self.trainer.strategy.root_device.type == "mps":
            return torch.device("cpu")
        return self.trainer.strategy.root_device

    def batches(self) -> TrainingBatches:
        """The training batches of this rank."""
        rank, world_size = self._world()
        return TrainingBatches(
            self.parity, self.batch_size, self.num_samples, rank=rank, world_size=world_size, device=self._device()
        )

    def train_dataloader(self) -> TrainingLoader:
        """Training batches from the step the trainer has reached, in blocks if the module takes them."""
        trainer = self.trainer
        if trainer is None:
            raise RuntimeError("train_dataloader needs a trainer; without one, iterate over batches() instead")
        module = trainer.lightning_module
        batches = self.batches()
        batches.plan = module.block_plan() if isinstance(module, TakesBlocks) else None
        return TrainingLoader(batches, lambda: trainer.global_step, self.num_workers)

    def _held_out(self, stream: Stream) -> Block:
        rank, world_size = self._world()
        return self.parity.draw(torch.arange(rank, HELD_OUT, world_size, device=self._device()), stream)

    def val_dataloader(self) -> HeldOut:
        """The validation set in one batch: the module decides how much of it to evaluate."""
        return HeldOut([self._held_out("validation")])

    def test_dataloader(self) -> HeldOut:
        """The test set in one batch."""
        return HeldOut([self._held_out("test")])

    def predict_dataloader(self) -> HeldOut:
        """The test set in batches of 1,024."""
        x, y = self._held_out("test")
        starts = range(0, len(y), _PREDICT_BATCH)
        return HeldOut([(x[i : i + _PREDICT_BATCH], y[i : i + _PREDICT_BATCH]) for i in starts])

    def state_dict(self) -> dict[str, Any]:
        """What a checkpoint remembers of the data: only its settings, for the data itself has no state."""
        return self.settings()

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Refuses a checkpoint of another parity.

        Raises:
            SettingError: If the checkpoint was trained on another n, k or support.
        """
        check_same_parity(state_dict, self.settings())
