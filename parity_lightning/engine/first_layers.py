"""The first layers of the networks of a stack."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from parity_lightning.engine.objective import Objective
from parity_lightning.engine.trainable import TrialModule


class FirstLayers:
    """Reads first layers out of stacked tensors.

    Args:
        objective: What is trained.
        reader: A module of that kind; its weights are overwritten if its first layer is none of its parameters.
    """

    def __init__(self, objective: Objective, reader: TrialModule) -> None:
        self._objective, self._reader = objective, reader
        first = reader.first_layer.detach()
        trainable, frozen = objective.tensors_of(reader)
        self._place = next(
            (place for place, tensor in enumerate([*trainable, *frozen]) if _are_the_same(tensor, first)), None
        )

    def of(self, trainable: Sequence[Tensor], frozen: Sequence[Tensor]) -> Tensor:
        """The first layers of m trials.

        Args:
            trainable: The trainable tensors, each of shape ``(m, ...)``.
            frozen: The others, likewise.

        Returns:
            Tensor of shape ``(m, ..., n)``; it may share the memory of one of them.
        """
        if self._place is not None:
            return [*trainable, *frozen][self._place]
        layers = []
        for place in range(len(trainable[0])):
            for mine, its in zip(self._objective.tensors_of(self._reader), (trainable, frozen), strict=True):
                for tensor, values in zip(mine, its, strict=True):
                    tensor.copy_(values[place])
            layers.append(self._reader.first_layer.detach().clone())
        return torch.stack(layers)


def _are_the_same(one: Tensor, other: Tensor) -> bool:
    return one.data_ptr() == other.data_ptr() and one.shape == other.shape and one.stride() == other.stride()
