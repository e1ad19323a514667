"""Schedules in steps: of the learning rate, of the decay, of single layers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from conftest import CONFIGS, Run
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from parity_lightning import MLP, SGDW, PiecewiseSchedule, SettingError

TABLES = st.dictionaries(st.integers(0, 20), st.floats(0, 1), min_size=1)


def walk(table: dict[int, dict[str, float]], steps: int, **settings: Any) -> list[dict[str, float]]:
    """The options that each step's update is made with."""
    groups = [
        {"params": [nn.Parameter(torch.zeros(1))]},
        {"params": [nn.Parameter(torch.zeros(1))], "name": "output", "lr": 3.0},
    ]
    optimizer = SGDW(groups, lr=2.0, decay=0.5)
    schedule = PiecewiseSchedule(optimizer, table, **settings)
    seen = []
    for _ in range(steps):
        rest, output = optimizer.param_groups
        seen.append({"lr": rest["lr"], "decay": rest["decay"], "output.lr": output["lr"]})
        optimizer.step()
        schedule.step()
    return seen


@given(values=TABLES)
def test_values_hold_from_their_step_on(values: dict[int, float]) -> None:
    for option in ("lr", "decay"):
        seen = walk({step: {option: value} for step, value in values.items()}, 25)
        for step, told in enumerate(seen):
            earlier = [known for known in values if known <= step]
            before = 2.0 if option == "lr" else 0.5
            assert told[option] == (values[max(earlier)] if earlier else before)


@given(values=TABLES)
def test_values_may_change_linearly(values: dict[int, float]) -> None:
    seen = walk({step: {"decay": value} for step, value in values.items()}, 25, interpolate=True)
    known = sorted(values)
    for step, told in enumerate(seen):
        if step < known[0]:
            assert told["decay"] == 0.5
        else:
            expected = torch.tensor([values[each] for each in known]).double()
            after = min((each for each in known if each >= step), default=known[-1])
            before = max(each for each in known if each <= step)
            share = (step - before) / (after - before) if after > before else 0.0
            low, high = expected[known.index(before)], expected[known.index(after)]
            assert told["decay"] == pytest.approx(float(low + share * (high - low)), abs=1e-6)


def test_a_layer_has_a_schedule_of_its_own() -> None:
    seen = walk({0: {"output.lr": 7.0}, 2: {"lr": 1.0}, 3: {"output.lr": 0.0, "decay": 0.0}}, 5)
    assert [told["output.lr"] for told in seen] == [7.0, 7.0, 1.0, 0.0, 0.0]
    assert [told["lr"] for told in seen] == [2.0, 2.0, 1.0, 1.0, 1.0]
    assert [told["decay"] for told in seen] == [0.5, 0.5, 0.5, 0.0, 0.0]


@pytest.mark.parametrize("table", [{"output.lr": 7.0, "lr": 1.0}, {"lr": 1.0, "output.lr": 7.0}])
def test_a_layers_own_entry_goes_before_that_of_all(table: dict[str, float]) -> None:
    assert walk({0: table}, 1) == [{"lr": 1.0, "decay": 0.5, "output.lr": 7.0}]


def test_entries_of_all_and_of_one_layer_are_one_schedule() -> None:
    seen = walk({0: {"lr": 0.0}, 4: {"lr": 1.0, "output.lr": 5.0}}, 5, interpolate=True)
    assert [told["output.lr"] for told in seen] == [0.0, 1.25, 2.5, 3.75, 5.0]
    assert [told["lr"] for told in seen] == [0.0, 0.25, 0.5, 0.75, 1.0]


def test_a_resumed_schedule_has_the_table_it_is_given() -> None:
    def made(table: dict[int, dict[str, float]]) -> tuple[torch.optim.Optimizer, PiecewiseSchedule]:
        optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=1.0)
        return optimizer, PiecewiseSchedule(optimizer, table)

    first, schedule = made({0: {"lr": 0.1}})
    first.step()
    schedule.step()
    second, longer = made({0: {"lr": 0.1}, 2: {"lr": 0.01}})
    longer.load_state_dict(schedule.state_dict())
    second.load_state_dict(first.state_dict())
    second.step()
    longer.step()
    assert second.param_groups[0]["lr"] == 0.01


def test_the_big_step_of_theorem_4() -> None:
    """The docstring's table: W_1 = -gradient, biases as they were; then only the second layer moves."""
    torch.manual_seed(0)
    table = {
        0: {"hidden.weight.lr": 1.0, "hidden.weight.decay": 1.0, "hidden.bias.lr": 0.0, "lr": 0.0},
        1: {"hidden.weight.lr": 0.0, "hidden.weight.decay": 0.0, "hidden.bias.lr": 0.0, "lr": 0.1},
    }
    module = MLP(6, 2, width=4, param_groups={"hidden.weight": {}, "hidden.bias": {}}, optimizer=SGDW)
    optimizer = module.configure_optimizers()
    assert isinstance(optimizer, SGDW)
    schedule = PiecewiseSchedule(optimizer, table)
    x = torch.randn(8, 6)
    weights = dict(module.network.named_parameters())
    before = {name: weight.detach().clone() for name, weight in weights.items()}
    for step in range(2):
        optimizer.zero_grad()
        module.loss(module(x), x[:, 0].sign()).backward()
        gradients = {name: weight.grad.clone() for name, weight in weights.items() if weight.grad is not None}
        optimizer.step()
        schedule.step()
        if step == 0:
            first = -gradients["hidden.weight"]
            assert torch.equal(weights["hidden.weight"], first)
            assert torch.equal(weights["output.weight"], before["output.weight"])
    assert torch.equal(weights["hidden.weight"], first)
    assert torch.equal(weights["hidden.bias"], before["hidden.bias"])
    assert torch.equal(weights["output.weight"], before["output.weight"] - 0.1 * gradients["output.weight"])


def test_resuming_with_other_layers_is_refused(fit: Callable[..., Run], capsys: pytest.CaptureFixture[str]) -> None:
    run = fit("--trainer.max_steps=3", "--model.param_groups={hidden: {lr: 0.1}}")
    checkpoint = f"--ckpt_path={run.folder / 'checkpoints' / 'last.ckpt'}"
    with pytest.raises(SystemExit) as ended:
        fit("--trainer.max_steps=6", checkpoint)
    assert ended.value.code == 2
    (line,) = [line for line in capsys.readouterr().err.splitlines() if "error" in line]
    assert "of another optimizer or other layers; give the options it was trained with" in line


@pytest.mark.parametrize(
    ("table", "told"),
    [
        ({}, "table={}: is empty"),
        ({-1: {"lr": 1.0}}, "table=-1: must be at least 0"),
        ({0: {".lr": 1.0}}, "table=.lr: valid: output"),
        ({0: {"rate": 1.0}}, "table=rate: valid: "),
        ({0: {"outptu.lr": 1.0}}, "table=outptu.lr: did you mean output"),
        ({0: {"lr": float("nan")}}, "table=lr: nan: must be a finite number"),
        ({0: {"decay": 1.5}}, "table=decay: 1.5: must be from 0 to 1"),
    ],
)
def test_a_table_that_cannot_work_is_refused(table: dict[int, dict[str, float]], told: str) -> None:
    with pytest.raises(SettingError, match=f"^{told}"):
        walk(table, 1)


def test_a_schedule_goes_on_after_resuming(fit: Callable[..., Run]) -> None:
    """The same weights as a run through, with a decay and a learning rate that change on the way."""
    schedule = [
        "--model.optimizer=SGDW",
        "--model.param_groups={output: {lr: 0.05}}",
        "--model.lr_scheduler=PiecewiseSchedule",
        "--model.lr_scheduler.table={3: {lr: 0.2, output.decay: 0.1}, 7: {lr: 0.01, decay: 0.001}}",
        "--trainer.val_check_interval=1",
    ]
    whole = fit(*schedule, "--trainer.max_steps=10")
    half = fit(*schedule, "--trainer.max_steps=5")
    rest = fit(*schedule, "--trainer.max_steps=10", f"--ckpt_path={half.folder / 'checkpoints' / 'last.ckpt'}")
    weights = [
        torch.load(run.folder / "checkpoints" / "last.ckpt", weights_only=True)["state_dict"] for run in (whole, rest)
    ]
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])
    lines = [(run.folder / "metrics.csv").read_text().splitlines() for run in (whole, rest)]
    assert lines[0][-5:] == lines[1][-5:]


@pytest.mark.parametrize(
    "options",
    [
        ["--model.optimizer.momentum=0.9", "--model.optimizer.nesterov=true"],
        ["--model.optimizer=Adam", "--model.optimizer.lr=0.01"],
        ["--model.optimizer=AdamW", "--model.optimizer.weight_decay=0.001"],
        ["--model.optimizer=SignSGD", "--model.optimizer.lr=0.003"],
        ["--model.optimizer=SGDW", "--model.optimizer.decay=0.0001", "--model.optimizer.momentum=0.5"],
        ["--model.optimizer=RMSprop", "--model.optimizer.lr=0.003"],
        ["--model.lr_scheduler=CosineAnnealingLR", "--model.lr_scheduler.T_max=20000"],
    ],
    ids=lambda options: " ".join(option.removeprefix("--model.") for option in options),
)
def test_other_update_rules_solve_parities(options: list[str], fit: Callable[..., Run]) -> None:
    run = fit("--data.n=12", "--data.k=2", *options, config=CONFIGS / "architectures" / "i.yaml")
    assert run.summary["solved"]
    assert run.summary["convergence_time"] < 20_000
