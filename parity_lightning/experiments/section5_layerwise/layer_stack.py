"""The trials of a task in one stack, whether whole networks or a layer are trained."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from parity_lightning.data.sparse_parity import SparseParity
from parity_lightning.experiments.training import stack_networks, train_online
from parity_lightning.theory.layerwise import Layer, QuadraticNetwork, diverged

BATCH = 64
"""Fresh examples a step."""


class LayerStack:
    """The trials of a task, trained side by side.

    In the stack of the engine one that has not diverged comes first, for from the first the engine learns what a loss
    depends on.

    Args:
        frozen: Layers of all trials that stay as they are.
        layers: Layers of all trials on top of them, which are trained.
        parities: The parity of each trial.
        lr: The learning rate.
    """

    def __init__(
        self, frozen: Sequence[Layer], layers: Sequence[Layer], parities: Sequence[SparseParity], lr: float
    ) -> None:
        every, self._layers, self._frozen = [*frozen, *layers], list(layers), len(frozen)
        lost = diverged(every).tolist()
        order = sorted(range(len(parities)), key=lambda trial: lost[trial])
        self._places = torch.tensor(order).argsort()
        self._stack = None
        if not all(lost):
            networks = [QuadraticNetwork(every, trial, len(frozen)) for trial in order]
            self._stack = stack_networks(networks, [parities[trial] for trial in order], BATCH, lr)

    def train(self, steps: int, first: int) -> list[Layer]:
        """Trains by SGD on the hinge loss.

        Args:
            steps: How many steps.
            first: The first training example to take.

        Returns:
            The trained layers; as they were if all trials have diverged.
        """
        if self._stack is None:
            return self._layers
        train_online(self._stack, steps, BATCH, first)
        weights = self._stack.weights
        return [
            Layer(*(weights[f"network.{part}.{self._frozen + place}"][self._places] for part in ("weights", "biases")))
            for place in range(len(self._layers))
        ]
