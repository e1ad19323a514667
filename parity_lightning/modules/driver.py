"""What happens to a `ParityModule` while it is fitted: blocks of steps, compiling, evaluating, resuming."""

from __future__ import annotations

from typing import Any, cast

import torch
from lightning.pytorch import LightningModule
from lightning.pytorch.plugins.precision import DoublePrecision
from torch import Tensor

from parity_lightning.data.batches import Block, Steps, TrainingBatches
from parity_lightning.data.protocols import BlockPlan
from parity_lightning.measures.accuracy import is_error
from parity_lightning.modules.blocks import Stepper, allows_blocks, intervals_of
from parity_lightning.modules.compilation import Compilation
from parity_lightning.modules.driven_module import DrivenModule
from parity_lightning.modules.fast_validation import FastValidation
from parity_lightning.modules.first_compiled_step import PYTORCH_COMPILES_FROM
from parity_lightning.modules.lightning_internals import trainer_of
from parity_lightning.modules.training_record import TrainingRecord

# Where a checkpoint holds what belongs to a module besides its weights.
_KEY = "parity_lightning"


class TrainingDriver:
    """Drives the training of one module: decides about blocks, takes the steps of a block, and resumes.

    Args:
        module: The module.
        base: The class whose hooks of validation it must not override to be evaluated past Lightning's loop.
    """

    def __init__(self, module: DrivenModule, base: type[LightningModule]) -> None:
        self._module = module
        self._base = base
        self.record = TrainingRecord()
        """Losses and errors since the last evaluation."""
        self.compilation = Compilation(module)
        """Which of its steps are compiled."""
        # Settled when training begins: it is read at every step.
        self._takes_blocks: bool | None = None
        self._stepper: Stepper | None = None
        self._batches: TrainingBatches | None = None
        self._evaluation: FastValidation | None = None
        self._loaded: list[dict[str, Any]] | None = None

    def __getstate__(self) -> dict[str, Any]:
        """A copy of a module that is being trained is not being trained."""
        return vars(self) | dict.fromkeys(("_stepper", "_batches", "_takes_blocks", "_evaluation"))

    @property
    def takes_blocks(self) -> bool:
        """Whether a training batch is a block of several SGD steps."""
        return self._could_take_blocks() if self._takes_blocks is None else self._takes_blocks

    def _could_take_blocks(self) -> bool:
        trainer = trainer_of(self._module)
        return self._module.uses_default_step and (trainer is None or allows_blocks(trainer))

    def block_plan(self) -> BlockPlan | None:
        """How the data module joins batches into blocks; None for one batch at a time."""
        if not self._could_take_blocks():
            return None
        trainer = self._module.trainer
        boundaries = intervals_of(trainer.callbacks)  # type: ignore[attr-defined]
        if isinstance(trainer.val_check_interval, int):
            boundaries += (trainer.val_check_interval,)
        first = self.compilation.first_step(trainer, trainer.datamodule, self._module.device)  # type: ignore[attr-defined]
        if first == 0:
            # If there are no steps in C++, PyTorch compiles from this step on, so a block must begin there.
            boundaries += (PYTORCH_COMPILES_FROM,)
        return BlockPlan(boundaries, trainer.max_steps if trainer.max_steps > 0 else None, first)

    def begin(self) -> None:
        """Prepares training; called when it begins."""
        self.end()
        module, trainer = self._module, self._module.trainer
        self._takes_blocks = self._could_take_blocks()
        self._stepper = None if module.automatic_optimization else Stepper(module)
        self.compilation.begin()
        self._evaluation = FastValidation(module, self._base, trainer)
        self._evaluation.install()
        if self._loaded is not None:
            self._resume(self._loaded)
            self._loaded = None

    def end(self) -> None:
        """Releases the optimizer and gives Lightning its evaluation back; called however training ends."""
        self._stepper = self._batches = self._takes_blocks = None
        self.compilation.reset()
        if self._evaluation is not None:
            self._evaluation.remove()
            self._evaluation = None

    @property
    def open_evaluation(self) -> FastValidation | None:
        """The evaluation past Lightning's loop that is under way, if there is one."""
        return self._evaluation if self._evaluation is not None and self._evaluation.is_open else None

    def before_block(self, batch: Any) -> None:
        """Has the steps of a block compiled, if it is one whose examples are drawn here."""
        trainer, stepper = self._module.trainer, self._stepper
        if isinstance(batch, Steps):
            assert stepper is not None
            if self._batches is None:
                self._batches = trainer.datamodule.batches()  # type: ignore[attr-defined]
            self.compilation.prepare(batch.first, self._batches, stepper)
        self.compilation.note(trainer.global_step)

    def train_on_block(self, batch: Block | Steps) -> Tensor:
        """Takes the steps of a block; returns the loss of each, of shape ``(steps,)``."""
        if not isinstance(batch, Steps):
            return self._take_eager_steps(*batch)
        assert self._batches is not None
        if self.compilation.steps is not None:
            losses, errors = self.compilation.steps.run(batch)
            self.record.add(losses, errors, (batch.end - batch.first) * self._batches.batch_size)
            return losses
        drawn = self._batches.block(batch.first, batch.end)
        x, y = cast("Block", self._module.trainer.precision_plugin.convert_input(drawn))
        return self._take_eager_steps(x, y)

    def _take_eager_steps(self, x: Tensor, y: Tensor) -> Tensor:
        if x.dim() == 2:
            x, y = x.unsqueeze(0), y.unsqueeze(0)
        assert self._stepper is not None
        losses, predictions = [], []
        for x_t, y_t in zip(x.unbind(), y.unbind(), strict=True):
            prediction = self._module(x_t)
            loss = self._module.loss(prediction, y_t)
            self._stepper.step(loss)
            losses.append(loss.detach())
            predictions.append(prediction.detach())
        step_losses = torch.stack(losses)
        self.record.add(step_losses, is_error(torch.stack(predictions), y).sum(), y.numel())
        return step_losses

    def save(self, checkpoint: dict[str, Any]) -> None:
        """Adds to a checkpoint what was measured since the last evaluation, and the state of the random generators."""
        module, trainer = self._module, self._module.trainer
        on_gpu = module.device.type == "cuda"
        own = self.record.state() | {
            "threads": torch.get_num_threads(),
            "compilation": self.compilation.state(),
            "random_state": torch.get_rng_state(),
            "device_random_state": torch.cuda.get_rng_state(module.device) if on_gpu else None,
        }
        parts = [own]
        if trainer.world_size > 1:
            # All devices save together; each has seen its share of the batches.
            parts = [own] * trainer.world_size
            torch.distributed.all_gather_object(parts, own)
        checkpoint[_KEY] = parts

    def load(self, checkpoint: dict[str, Any]) -> None:
        """Takes over what `save` added, for training to go on as if it had never stopped."""
        self._loaded = checkpoint.get(_KEY)
        if self._loaded:
            # For a run that has no steps left, which does not begin to train.
            self.compilation.load(self._loaded[0].get("compilation"))
        trainer = trainer_of(self._module)
        if trainer is not None and isinstance(trainer.precision_plugin, DoublePrecision):
            # Lightning would do so after loading, and round the weights to float32 in between.
            self._module.double()

    def _resume(self, parts: list[dict[str, Any]]) -> None:
        module, trainer = self._module, self._module.trainer
        self.compilation.load(parts[0].get("compilation"))
        if len(parts) == trainer.world_size:
            part = parts[trainer.global_rank]
            torch.set_rng_state(part["random_state"])
            if module.device.type == "cuda" and part["device_random_state"] is not None:
                torch.cuda.set_rng_state(part["device_random_state"], module.device)
            self.record.load(part, module.device)
        else:
            self.record.load_share(parts, trainer.global_rank, trainer.world_size, module.device)
