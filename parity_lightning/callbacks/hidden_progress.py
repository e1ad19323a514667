"""The hidden-progress measure (Section 5, "A progress measure for parity")."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from torch import Tensor

from parity_lightning.callbacks.needs import begins_run, first_layer_of, parity_of


class Movement(NamedTuple):
    """How far the first layer has moved, coordinate by coordinate; see `movement_of`."""

    hidden_progress: float
    relevant: float
    relevant_min: float
    irrelevant: float
    found: int
    recovered: list[int]


def movement_of(weight: Tensor, initial: Tensor, support: tuple[int, ...]) -> Movement:
    """Measures how far a first layer has moved from where it began.

    The movement of coordinate ``i`` is ``max_j |w_ji(t) - w_ji(0)|``, over the units j that read it.

    Args:
        weight: The first layer now, of shape ``(..., n)``.
        initial: The first layer at the start, of the same shape.
        support: The hidden support S.

    Returns:
        ``hidden_progress``, the paper's ``rho(w_0:t) = ||w_t - w_0||_inf`` over the whole layer, in units of
        weight; ``relevant`` and ``relevant_min``, the largest and the smallest movement over S; ``irrelevant``, the
        largest off S (0 if S is everything); ``recovered``, the k coordinates that moved most, sorted; ``found``, how
        many of them are in S.

    Example:
        >>> movement_of(torch.tensor([[0.5, 0.0, -2.0]]), torch.zeros(1, 3), support=(0, 2))
        Movement(hidden_progress=2.0, relevant=2.0, relevant_min=0.5, irrelevant=0.0, found=2, recovered=[0, 2])
    """
    moved = (weight.detach() - initial).abs().reshape(-1, weight.shape[-1]).amax(0)
    is_relevant = torch.zeros_like(moved, dtype=torch.bool)
    is_relevant[list(support)] = True
    relevant, irrelevant = moved[is_relevant], moved[~is_relevant]
    # NaN counts as the largest; a diverged run has nothing better to say.
    recovered = sorted(moved.topk(len(support)).indices.tolist())
    largest_irrelevant = irrelevant.amax() if len(irrelevant) else torch.zeros_like(moved[0])
    most, strongest, weakest, other = torch.stack(
        [moved.amax(), relevant.amax(), relevant.amin(), largest_irrelevant]
    ).tolist()
    return Movement(most, strongest, weakest, other, len(set(recovered) & set(support)), recovered)


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
        """Takes the first weights of the run that goes on."""
        self._initial = state_dict["initial"]
        self._last = None if state_dict["last"] is None else Movement(*state_dict["last"])
