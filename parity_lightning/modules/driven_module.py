"""What the parts of a training need of the module that is trained."""

from __future__ import annotations

from lightning.pytorch import LightningModule

from parity_lightning.engine.trainable import TrialModule
from parity_lightning.modules.first_compiled_step import CompileAfter


class DrivenModule(TrialModule, LightningModule):
    """A module that is trained by a `TrainingDriver`; every `ParityModule` is one."""

    compile_after: CompileAfter
    """From which SGD step on steps are compiled: a number, None for never, or ``"auto"``; see `first_compiled_step`."""
