"""The hidden-progress measure (Section 5, "A progress measure for parity")."""

from __future__ import annotations

from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer
from torch import Tensor

from parity_lightning.callbacks.requirements import begins_run, first_layer_of, parity_of
from parity_lightning.measures.hidden_progress import Movement, movement_of


class HiddenProgress(Callback):
    """Logs how far the first layer has moved while accuracy still stands still.

    At each evaluation it logs ``hidden_progress``, the paper's measure, and what is known besides because the support
    is known here: ``hidden_progress/relevant``, ``/relevant_min``, ``/irrelevant`` and ``/found`` (see `movement_of`).

    It needs a module with a ``first_layer`` (every `ParityModule` has one) and a datamodule with a ``parity``
    (`ParityDataModule`), and works with any others that have these two attributes.
    """

    def __init__(self) -> None:
        self._initial: Tensor | None = None
        self._last: Movement | None = None

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Forgets an earlier run."""
        if begins_run(trainer, stage):
            self._initial, self._last = None, None

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Keeps the first weights, unless a checkpoint brought those of an earlier start."""
        n = parity_of(trainer, self).n
        weight = first_layer_of(pl_module, self, n)
        if self._initial is None:
            self._initial = weight.detach().clone()

    def on_validation_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Measures and logs."""
        if self._initial is None or trainer.sanity_checking:
            return
        parity = parity_of(trainer, self)
        weight = first_layer_of(pl_module, self, parity.n)
        self._initial = self._initial.to(weight.device)
        self._last = movement_of(weight, self._initial, parity.support)
        pl_module.log("hidden_progress", self._last.hidden_progress, prog_bar=True, sync_dist=True)
        for name in ("relevant", "relevant_min", "irrelevant", "found"):
            pl_module.log(f"hidden_progress/{name}", float(getattr(self._last, name)), sync_dist=True)

    def summary(self) -> dict[str, Any]:
        """The last measurement, for ``summary.json``."""
        if self._last is None:
            return {"hidden_progress": None}
        return {
            "hidden_progress": self._last.hidden_progress,
            "hidden_progress_relevant": self._last.relevant,
            "hidden_progress_irrelevant": self._last.irrelevant,
            "recovered_support": self._last.recovered,
        }

    def state_dict(self) -> dict[str, Any]:
        """The first weights, for a resumed run measures from the same start; and the last measurement."""
        return {"initial": self._initial, "last": None if self._last is None else list(self._last)}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Takes over the first weights of the run that is resumed."""
        self._initial = state_dict["initial"]
        self._last = None if state_dict["last"] is None else Movement(*state_dict["last"])
