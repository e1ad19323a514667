"""Networks trained side by side against each by itself."""

from __future__ import annotations

import copy

import pytest
import torch

from parity_lightning.data import SparseParity
from parity_lightning.engine.side_by_side import descend, predictor
from parity_lightning.nets.mlp import TwoLayerMLP
from parity_lightning.optim.losses import find_loss


@pytest.mark.parametrize("loss", ["hinge", "square"])
def test_each_network_takes_the_steps_it_takes_alone(loss: str) -> None:
    networks = [TwoLayerMLP(6, 3, width=5, output_bias=True).double() for _ in range(3)]
    parities = [SparseParity(6, 3, seed=seed, label_noise=0.2 * seed) for seed in range(3)]
    alone = copy.deepcopy(networks)
    for network, parity in zip(alone, parities, strict=True):
        optimizer = torch.optim.SGD(network.parameters(), lr=0.2)
        for step in range(25):
            x, y = parity.draw(torch.arange(4 * step, 4 * step + 4))
            optimizer.zero_grad()
            find_loss(loss)(network(x.double()) * y).mean().backward()
            optimizer.step()
    before = copy.deepcopy(networks)
    trained = list(descend(networks, parities, steps=25, every=10, batch_size=4, lr=0.2, loss=loss))
    assert [step for step, _ in trained] == [0, 10, 20, 25]
    _, parameters = trained[-1]
    for trial, network in enumerate(alone):
        for name, wanted in network.named_parameters():
            torch.testing.assert_close(parameters[name][trial], wanted, rtol=1e-12, atol=1e-12)
    # Those that were handed over stay as they were.
    for network, kept in zip(networks, before, strict=True):
        torch.testing.assert_close(network.state_dict(), kept.state_dict(), rtol=0, atol=0)
    x = torch.randn(3, 7, 6, dtype=torch.float64)
    outputs = predictor(networks[0])(parameters, x)
    torch.testing.assert_close(outputs, torch.stack([network(own) for network, own in zip(alone, x, strict=True)]))
