"""The weights of the first layer along training, one by one (Figures 3 and 13)."""

from __future__ import annotations

from lightning.pytorch import Callback, LightningModule, Trainer
from torch import Tensor, nn

from parity_lightning.callbacks.requirements import first_layer_of, parity_of
from parity_lightning.errors import SettingError

MOST_WEIGHTS = 1_000
"""How many weights are logged at most: each is a column of ``metrics.csv``."""


class WeightTrajectories(Callback):
    """Logs each weight of the first layer, for networks of a few units.

    At each evaluation it logs the weight of input i in unit j as ``weights/j/relevant/i`` if i is in the support, and
    as ``weights/j/irrelevant/i`` if it is not; and the bias of unit j as ``weights/j/bias`` where the layer has one.

    It needs a module with a ``first_layer`` and a datamodule with a ``parity``, as `HiddenProgress` does. The bias is
    that of the module which has the first layer as its ``weight``.
    """

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Checks how many weights there are.

        Raises:
            SettingError: If there are more than `MOST_WEIGHTS`.
        """
        count = first_layer_of(pl_module, self, parity_of(trainer, self).n).numel()
        if count > MOST_WEIGHTS:
            message = f"logs each weight of the first layer, {count:,} here; at most {MOST_WEIGHTS:,}, or leave it out"
            raise SettingError("callbacks", type(self).__name__, message)

    def on_validation_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Logs."""
        if trainer.sanity_checking:
            return
        parity = parity_of(trainer, self)
        layer = first_layer_of(pl_module, self, parity.n)
        bias = _bias_of(pl_module, layer)
        weights = layer.detach().reshape(-1, parity.n).tolist()
        biases = [] if bias is None else bias.detach().flatten().tolist()
        values = {f"weights/{unit}/bias": value for unit, value in enumerate(biases)}
        for unit, row in enumerate(weights):
            for index, value in enumerate(row):
                kind = "relevant" if index in parity.support else "irrelevant"
                values[f"weights/{unit}/{kind}/{index}"] = value
        pl_module.log_dict(values, sync_dist=True)


def _bias_of(module: nn.Module, weight: Tensor) -> Tensor | None:
    """The bias of the layer that has this weight; None if it has none."""
    layer = next((each for each in module.modules() if getattr(each, "weight", None) is weight), None)
    bias = getattr(layer, "bias", None)
    return bias if isinstance(bias, Tensor) else None
