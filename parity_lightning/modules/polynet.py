"""PolyNets: setting (xv) of Section 3.1, and the disjoint-PolyNet of Section 4.2."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from parity_lightning.data.disjoint_blocks import check_one_per_block
from parity_lightning.data.sparse_parity import SparseParity
from parity_lightning.modules.base import ParityModule
from parity_lightning.nets.polynet import DisjointPolyNetwork, PolyNetwork


class PolyNet(ParityModule):
    """Trains `PolyNetwork`, the product of k affine forms ``f(x) = prod_i (w_i . x + b_i)``.

    Hidden progress is measured over the weights of all k factors.

    Args:
        n: How many bits an input has.
        k: Degree of the parity to learn.
        bias: Whether factors have biases.
        **kwargs: As of `ParityModule`.

    Example:
        >>> PolyNet(n=50, k=3).first_layer.shape
        torch.Size([3, 50])
    """

    def __init__(self, n: int, k: int, bias: bool = True, **kwargs: Any) -> None:
        super().__init__(PolyNetwork(n, k, bias), **kwargs)


class DisjointPolyNet(ParityModule):
    """Trains `DisjointPolyNetwork`, the product of k linear forms, each of a block of ``n' = n / k`` inputs.

    The support must have one index in each block, which ``one_per_block`` of the data ensures. Loss and initial weights
    are those of the paper's analysis unless asked otherwise: correlation, all weights 1 (``"default"`` or ``"ones"``);
    its other theorem has ``"sign"``.

    Args:
        n: How many bits an input has; a multiple of k.
        k: Degree of the parity to learn.
        loss: As of `ParityModule`.
        **kwargs: As of `ParityModule`.

    Raises:
        SettingError: If k does not divide n.

    Example:
        >>> DisjointPolyNet(n=21, k=3, initialization="sign").first_layer.shape
        torch.Size([21])
    """

    initializations = (*ParityModule.initializations, "ones")

    def __init__(self, n: int, k: int, loss: str = "correlation", **kwargs: Any) -> None:
        super().__init__(DisjointPolyNetwork(n, k), loss=loss, **kwargs)

    @property
    def first_layer(self) -> Tensor:
        """The weights of all factors in the inputs' order, of shape ``(n,)``; each input has one."""
        weight: Tensor = self.network.factors.weight  # type: ignore[union-attr, assignment]
        return weight.flatten()

    def check_parity(self, parity: SparseParity) -> None:
        """Refuses a support that does not have one index in each block.

        Raises:
            SettingError: If it has not.
        """
        check_one_per_block(parity.support, parity.n, "; give one that has, or none and --data.one_per_block=true")
