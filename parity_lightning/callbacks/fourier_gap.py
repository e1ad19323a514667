"""The Fourier gap of a network along training (Section 4.1; extended version, Appendix C.3)."""

from __future__ import annotations

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from torch import Tensor, nn

from parity_lightning.callbacks.requirements import first_layer_of, parity_of
from parity_lightning.errors import SettingError, check_int
from parity_lightning.measures.coefficients import all_inputs
from parity_lightning.measures.fourier_gap import correlation_gradient, fourier_gap

# Beyond what a run trains, validates and tests on.
_OUTSIDE = 2**40


class FourierGap(Callback):
    """Logs how far the inputs of the support stand out in the gradient of a single unit.

    At each evaluation it logs ``fourier_gap``, the largest difference, over the units of the first layer, between the
    smallest gradient of an input of the support and the largest of another, and both of them as
    ``fourier_gap/relevant`` and ``fourier_gap/irrelevant``; and of the same unit ``fourier_gap/strongest``, the largest
    gradient of an input of the support; see `fourier_gap`. The gradient is that of the correlation loss: of the
    population if n is small enough for all 2^n inputs, and otherwise of a sample, which cannot show gaps much below
    ``1 / sqrt(examples)``.

    It costs as much as so many examples of training, at each evaluation. It needs a module whose ``first_layer`` is a
    parameter, and a datamodule with a ``parity``.

    Args:
        examples: How many inputs at most, 2^22 or fewer. With the default, n up to 15 is exact, as in the paper.
    """

    def __init__(self, examples: int = 2**15) -> None:
        self._examples = check_int("examples", examples, at_least=1, at_most=2**22)
        self._inputs: Tensor | None = None

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Draws the inputs.

        Raises:
            SettingError: If the first layer is no parameter.
        """
        parity = parity_of(trainer, self)
        if not isinstance(first_layer_of(pl_module, self, parity.n), nn.Parameter):
            message = (
                f"needs a module whose first_layer is a parameter, which that of {type(pl_module).__name__} is not"
            )
            raise SettingError("callbacks", type(self).__name__, f"{message}; leave the callback out")
        if 2**parity.n <= self._examples:
            self._inputs = all_inputs(parity.n)
        else:
            self._inputs, _ = parity.draw(_OUTSIDE + torch.arange(self._examples), stream="validation")

    def on_validation_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Measures and logs."""
        if self._inputs is None or trainer.sanity_checking:
            return
        parity = parity_of(trainer, self)
        weight = first_layer_of(pl_module, self, parity.n)
        self._inputs = x = self._inputs.to(weight)
        y = x[:, list(parity.support)].prod(-1)
        found = fourier_gap(correlation_gradient(pl_module, weight, x, y), parity.support)
        pl_module.log("fourier_gap", found.gap, sync_dist=True)
        pl_module.log("fourier_gap/relevant", found.relevant, sync_dist=True)
        pl_module.log("fourier_gap/irrelevant", found.irrelevant, sync_dist=True)
        pl_module.log("fourier_gap/strongest", found.strongest, sync_dist=True)

    def teardown(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Releases the inputs."""
        self._inputs = None
