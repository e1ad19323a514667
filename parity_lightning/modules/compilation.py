"""Whether the steps of a run are compiled, from where on, and by what."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from lightning.pytorch import LightningDataModule, Trainer
from lightning.pytorch.strategies import SingleDeviceStrategy

from parity_lightning.data.batches import TrainingBatches
from parity_lightning.data.datamodule import ParityDataModule
from parity_lightning.engine.not_compiled import NotCompiled
from parity_lightning.engine.trainable import Unstackable
from parity_lightning.errors import SettingError
from parity_lightning.modules.announce import announce
from parity_lightning.modules.blocks import Stepper, allows_blocks
from parity_lightning.modules.compiled_steps import CompiledSteps, why_not_stacked
from parity_lightning.modules.driven_module import DrivenModule
from parity_lightning.modules.first_compiled_step import PYTORCH_COMPILES_FROM, first_compiled_step, reaches

_PYTORCH = "PyTorch's operations"


class Compilation:
    """Compiles the steps of a module while it is fitted.

    Args:
        module: The module.
    """

    def __init__(self, module: DrivenModule) -> None:
        self._module = module
        self.steps: CompiledSteps | None = None
        """The compiled steps; None where PyTorch's operations take them."""
        self.succeeded: bool | None = None
        """Whether steps of the run were compiled; False if they should have been and could not be, None if neither."""
        self.history: list[tuple[int, str]] = []
        """What took the steps, each with its first step; a second entry if a resumed run goes on in another way."""
        self.reset()

    def __getstate__(self) -> dict[str, Any]:
        """A copy of a module that is being trained has no compiled steps: they train the original."""
        return vars(self) | {"steps": None}

    def reset(self) -> None:
        """Forgets the steps of a run that has ended, however it did."""
        self.steps = None
        # No attempt to compile is made before this step.
        self._attempt_at: float = 0
        # From which step on the setting has steps compiled; what takes the steps now; why they are not compiled.
        self._first: int | None = None
        self._by = _PYTORCH
        self._reason = ""
        # Whether this run, new or resumed, has noted what takes its steps.
        self._is_noted = False

    def state(self) -> dict[str, Any]:
        """What a checkpoint holds of it."""
        return {"succeeded": self.succeeded, "history": [list(entry) for entry in self.history]}

    def load(self, state: Mapping[str, Any] | None) -> None:
        """Restores what `state` returned; a checkpoint without it, None, changes nothing."""
        if state is not None:
            self.succeeded = state["succeeded"]
            self.history = [(step, by) for step, by in state["history"]]

    @property
    def by(self) -> str | None:
        """What took the steps of the run, see `Computation.version`; None for PyTorch's operations.

        What is compiled from a later step on, as is intended, counts as PyTorch's operations.
        """
        if not self.history or self.history == [(0, _PYTORCH)]:
            return None
        first, *later = self.history
        return ", then ".join([first[1], *(f"{by} from step {step:,} on" for step, by in later)])

    def first_step(self, trainer: Trainer, data: LightningDataModule | None, device: torch.device) -> int | None:
        """From which step on steps are to be compiled; None if the run does not come so far, or they cannot be.

        Args:
            trainer: What trains the module.
            data: Its examples.
            device: Where it is trained.
        """
        if self._why_not(trainer, data):
            return None
        assert isinstance(data, ParityDataModule)
        first = first_compiled_step(self._module, self._module.compile_after, device, data.batch_size)
        return first if reaches(trainer.max_steps, first) else None

    def _why_not(self, trainer: Trainer, data: LightningDataModule | None) -> str | None:
        """Why the steps of a run cannot be compiled, in one line; None if they perhaps can."""
        if not (self._module.uses_default_step and allows_blocks(trainer)):
            return "a hook of the module or of a callback, or an option of the trainer, runs between optimizer steps"
        if type(trainer.strategy) is not SingleDeviceStrategy:
            return "several devices share a batch"
        return why_not_stacked(trainer, data)

    def begin(self) -> None:
        """Says why steps will not be compiled, if the run is long enough for that to be missed."""
        module, trainer = self._module, self._module.trainer
        self.succeeded, self.history = None, []
        data = trainer.datamodule  # type: ignore[attr-defined]
        expected = PYTORCH_COMPILES_FROM if module.compile_after == "auto" else module.compile_after
        if reaches(trainer.max_steps, expected) and (why := self._why_not(trainer, data)):
            announce(trainer, f"training without compiled steps: {why}")
        self._first = self.first_step(trainer, data, module.device)

    def prepare(self, step: int, batches: TrainingBatches, stepper: Stepper) -> None:
        """Compiles the steps, if it is time to; if they are compiled, looks whether they still train what they should.

        Args:
            step: The next step.
            batches: Where its examples come from.
            stepper: The optimizer.
        """
        module, were_compiled = self._module, self.steps is not None
        uses_pytorch = module.compile_after != "auto" or step >= PYTORCH_COMPILES_FROM
        try:
            if self.steps is not None:
                self.steps.renew(step)
            elif step >= self._attempt_at:
                self.steps = CompiledSteps(module, batches, stepper, step, uses_pytorch)
                self.succeeded = True
        except (Unstackable, NotCompiled, SettingError) as why:
            self.steps, self._by = None, _PYTORCH
            self._attempt_at = math.inf if uses_pytorch else PYTORCH_COMPILES_FROM
            # What has no code of our own is not expected to be compiled before PyTorch does it.
            if uses_pytorch or were_compiled or not isinstance(why, Unstackable):
                self._tell(step, str(why))
        # What is compiled from a later step on does not count: a shorter run of the same setting has none of it, and
        # all trials of a setting must say the same of how they are computed.
        if self.steps is not None and self._first == 0 and (self.steps.is_native or module.compile_after == 0):
            self._by = self.steps.computed

    def _tell(self, step: int, why: str) -> None:
        self.succeeded = False
        if why != self._reason:
            when = f"step {step:,}: going on" if step else "training"
            announce(self._module.trainer, f"{when} without compiled steps: {why}")
        self._reason = why

    def note(self, step: int) -> None:
        """Notes what takes the steps from here on, and says so if it is not what a resumed run had before.

        Args:
            step: The next step.
        """
        before = self.history[-1][1] if self.history else None
        if before not in (None, self._by) and not self._is_noted:
            message = f"the steps were taken by {before} and now are by {self._by}, so they round in another way"
            announce(self._module.trainer, f"step {step:,}: {message}")
        if before != self._by:
            self.history.append((step if self.history else 0, self._by))
        self._is_noted = True
