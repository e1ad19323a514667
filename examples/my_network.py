"""A network of your own: a LightningModule subclass in your own file.

From this folder:

    parity-lightning fit --config ../configs/online.yaml --model my_network.MyNetwork --model.units 200
"""

from typing import Any

from torch import nn

from parity_lightning import ParityModule


class MyNetwork(ParityModule):
    """A two-layer network of GELUs.

    Args:
        n: How many bits an input has; the command line fills it in from the data.
        units: How many hidden units.
        **kwargs: What every ParityModule takes: loss, initialization, optimizer and so on.
    """

    def __init__(self, n: int, units: int = 100, **kwargs: Any) -> None:
        network = nn.Sequential(nn.Linear(n, units), nn.GELU(), nn.Linear(units, 1))
        super().__init__(network, **kwargs)
