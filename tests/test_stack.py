"""What a stack gives out: options step by step, outputs, weights."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from parity_lightning.data.datamodule import check_same_parity
from parity_lightning.data.sparse_parity import SparseParity
from parity_lightning.engine.optimizer_options import OptimizerOptions
from parity_lightning.engine.stack import Stack
from parity_lightning.engine.trainable import NetworkWithLoss, Unstackable
from parity_lightning.engine.update_rules import find_rule
from parity_lightning.errors import SettingError
from parity_lightning.nets import TwoLayerMLP
from parity_lightning.optim.losses import find_loss
from parity_lightning.optim.optimizers import SGDW, SignSGD


def optimizer() -> torch.optim.Optimizer:
    return torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.1, momentum=0.9)


def test_options_without_a_schedule_are_the_same_at_every_step() -> None:
    sgd = optimizer()
    options = OptimizerOptions(sgd, None, find_rule([sgd]))
    assert options.is_constant
    assert options.of_steps(7, 10).tolist() == [[0.1, 0.9, 0.0, 0.0]] * 3


def test_options_follow_the_schedule_to_the_last_digit() -> None:
    sgd, alone = optimizer(), optimizer()
    schedules = [torch.optim.lr_scheduler.ExponentialLR(each, gamma=0.99) for each in (sgd, alone)]
    options = OptimizerOptions(sgd, schedules[0], find_rule([sgd]))
    rates = []
    for _ in range(2000):
        rates.append(alone.param_groups[0]["lr"])
        alone.step()
        schedules[1].step()
    assert options.of_steps(0, 10)[:, 0].tolist() == rates[:10]
    assert options.of_steps(1500, 2000)[:, 0].tolist() == rates[1500:]
    assert options.of_steps(3, 5)[:, 0].tolist() == rates[3:5]
    assert options.first == [0.1, 0.9, 0.0, 0.0]


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        (torch.optim.SGD, {"momentum": 0.9, "nesterov": True, "weight_decay": 0.1}),
        (SGDW, {"momentum": 0.9, "decay": 0.1}),
        (SignSGD, {"decay": 0.1}),
        (torch.optim.Adam, {"weight_decay": 0.1}),
        (torch.optim.AdamW, {"weight_decay": 0.1}),
    ],
)
def test_updates_are_computed_in_the_type_of_the_weights(
    kind: type[torch.optim.Optimizer], options: dict[str, Any]
) -> None:
    rule = find_rule([kind([torch.zeros(1)], lr=0.1, **options)])  # type: ignore[call-arg]
    weight = torch.ones(2, 3)
    values = {name: torch.full((2, 1), 0.1, dtype=torch.float64) for name in rule.options}
    steps = torch.ones(2, 1, dtype=torch.float64)
    new, state = rule(weight, weight, [torch.zeros(2, 3) for _ in rule.state], values, steps)
    assert {tensor.dtype for tensor in (new, *state)} == {torch.float32}


@pytest.mark.parametrize(
    ("kind", "switch"),
    [
        *((torch.optim.Adam, switch) for switch in ("amsgrad", "maximize", "differentiable", "capturable")),
        *((torch.optim.SGD, switch) for switch in ("dampening", "maximize", "differentiable")),
    ],
)
def test_an_option_without_an_update_here_is_named(kind: type[torch.optim.Optimizer], switch: str) -> None:
    with pytest.raises(Unstackable, match=f"the optimizer's option {switch} is on"):
        find_rule([kind([torch.zeros(1)], lr=0.1, **{switch: True})])  # type: ignore[call-arg]


def test_outputs_are_those_of_each_network() -> None:
    torch.manual_seed(0)
    modules = [NetworkWithLoss(TwoLayerMLP(8, 3, 6), find_loss("hinge")) for _ in range(3)]
    parities = [SparseParity(8, 3, seed=seed) for seed in range(3)]
    stack = Stack.of(modules, parities, lambda weights: torch.optim.SGD(weights, lr=0.1), 4)
    x, _ = parities[0].draw(torch.arange(15))
    with torch.no_grad():
        wanted = torch.stack([module(x) for module in modules])
        torch.testing.assert_close(stack.predict(x), wanted)
        torch.testing.assert_close(stack.predict(x.reshape(3, 5, 8))[1], modules[1](x[5:10]))
    # The last one moves to the place of one that is dropped.
    stack.drop([0])
    torch.testing.assert_close(stack.predict(x), wanted[[2, 1]])
    assert torch.equal(stack.weights["network.hidden.weight"][0], modules[2].network.hidden.weight)


@pytest.mark.parametrize(("option", "other"), [("n", 9), ("k", 2), ("support", [0, 1, 3])])
def test_a_checkpoint_of_another_parity_is_refused(option: str, other: object) -> None:
    trained = {"n": 8, "k": 3, "support": [0, 1, 2]}
    check_same_parity(trained, trained)
    check_same_parity(trained, {**trained, "support": None})
    with pytest.raises(SettingError, match=f"trained with {option}="):
        check_same_parity(trained, {**trained, option: other})
