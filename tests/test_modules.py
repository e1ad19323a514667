"""Training in blocks and in Lightning's own loop: who gets which, and that nobody's hook is lost."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
import torch
from lightning.pytorch import Callback, Trainer
from torch import Tensor, nn

from parity_lightning import MLP, DisjointPolyNet, ParityDataModule, ParityModule, SettingError
from parity_lightning.callbacks import HiddenProgress, PhaseTransition, RunSummary, StopWhenDiverged, StopWhenSolved
from parity_lightning.modules.blocks import MODULE_HOOKS, TRANSFER_HOOKS

STEPS = 30


def trainer(*callbacks: Callback, **settings: Any) -> Trainer:
    return Trainer(
        **{
            "accelerator": "cpu",
            "max_steps": STEPS,
            "val_check_interval": 10,
            "check_val_every_n_epoch": None,
            "num_sanity_val_steps": 0,
            "logger": False,
            "enable_checkpointing": False,
            "enable_progress_bar": False,
            "enable_model_summary": False,
            "callbacks": list(callbacks),
            **settings,
        }
    )


def trained(module: ParityModule, *callbacks: Callback, **settings: Any) -> Trainer:
    made = trainer(*callbacks, **settings)
    made.fit(module, datamodule=ParityDataModule(12, 2, batch_size=8))
    return made


def new(kind: type[MLP] = MLP, **settings: Any) -> MLP:
    torch.manual_seed(3)
    return kind(12, 2, width=5, **settings)


def test_the_base_class_is_abstract() -> None:
    with pytest.raises(TypeError, match="abstract"):
        ParityModule(nn.Linear(3, 1))  # type: ignore[abstract]


def test_blocks_take_the_steps_of_a_plain_loop() -> None:
    module, plain = new(compile_after=None), new()
    assert module.takes_blocks
    trained(module)
    optimizer = torch.optim.SGD(plain.parameters(), lr=0.1)
    batches = ParityDataModule(12, 2, batch_size=8).batches()
    for step in range(STEPS):
        x, y = batches.block(step, step + 1)
        optimizer.zero_grad()
        torch.relu(1 - plain.network(x[0]) * y[0]).mean().backward()
        optimizer.step()
    for one, other in zip(module.parameters(), plain.parameters(), strict=True):
        assert torch.equal(one, other)


@pytest.mark.filterwarnings("ignore:You have overridden .* but have passed in a `LightningDataModule`")
@pytest.mark.parametrize(
    "hook", [hook for hook in MODULE_HOOKS if hook not in ("training_step", "configure_optimizers")]
)
def test_every_hook_of_a_step_is_called_at_every_step(hook: str) -> None:
    called: Counter[str] = Counter()

    def counting(self: MLP, *args: Any, **kwargs: Any) -> Any:
        called[hook] += 1
        return getattr(MLP, hook)(self, *args, **kwargs)

    counted = type("Counted", (MLP,), {hook: counting})
    module = new(counted, lr_scheduler=lambda optimizer: torch.optim.lr_scheduler.StepLR(optimizer, 10))
    assert not module.takes_blocks
    trained(module)
    # Those of batches are called for each of the three evaluations, too.
    assert called[hook] == STEPS + (3 if hook in TRANSFER_HOOKS else 0)
    assert not torch.equal(module.first_layer, new().first_layer)


@pytest.mark.parametrize("hook", ["on_before_optimizer_step", "on_train_batch_end", "on_before_backward"])
def test_a_callback_with_a_hook_of_steps_gets_every_step(hook: str) -> None:
    called: Counter[str] = Counter()

    def counting(self: Callback, *args: Any) -> None:
        called[hook] += 1

    trained(new(), type("Counting", (Callback,), {hook: counting})())
    assert called[hook] == STEPS


def test_callbacks_of_ours_leave_blocks_alone() -> None:
    called: Counter[str] = Counter()

    class Blocks(Callback):
        understands_blocks = True

        def on_train_batch_end(self, *args: Any) -> None:
            called["blocks"] += 1

    trained(new(), Blocks(), StopWhenDiverged(), StopWhenSolved(), PhaseTransition(), HiddenProgress())
    assert called["blocks"] == STEPS / 10


def test_a_training_step_of_ones_own_is_lightnings() -> None:
    class Own(MLP):
        def training_step(self, batch: tuple[Tensor, Tensor]) -> Tensor:  # type: ignore[override]
            x, y = batch
            assert x.shape == (8, 12)
            return self.loss(self(x), y)

    own, usual = new(Own), new()
    assert trained(own).global_step == STEPS
    trained(usual)
    for one, other in zip(own.parameters(), usual.parameters(), strict=True):
        assert torch.allclose(one, other)


def test_an_optimizer_with_a_closure_works() -> None:
    module = new(optimizer=lambda parameters: torch.optim.LBFGS(parameters, lr=0.1))
    before = module.first_layer.detach().clone()
    assert not module.takes_blocks
    assert trained(module).global_step == STEPS
    assert not torch.equal(module.first_layer, before)


def test_a_network_of_the_wrong_shape_is_told() -> None:
    class Wide(ParityModule):
        def __init__(self, n: int, **kwargs: Any) -> None:
            super().__init__(nn.Linear(n, 8), **kwargs)

    with pytest.raises(ValueError, match=r"maps \(8, 12\) to \(8, 8\)"):
        trained(Wide(12))


def test_a_schedule_that_waits_for_a_metric_is_refused() -> None:
    with pytest.raises(SettingError, match="waits for a metric"):
        new(lr_scheduler=torch.optim.lr_scheduler.ReduceLROnPlateau)


def test_callbacks_begin_anew_with_another_run(tmp_path: Any) -> None:
    transition, progress, summary = PhaseTransition(), HiddenProgress(), RunSummary()
    callbacks = (transition, StopWhenSolved(), progress, summary)
    solver = MLP(12, 2, width=50, initialization="uniform")
    trained(solver, *callbacks, max_steps=20_000, default_root_dir=str(tmp_path))
    assert transition.convergence_time is not None
    made = trainer(*callbacks, max_steps=10, default_root_dir=str(tmp_path))
    made.fit(MLP(30, 3, width=4), datamodule=ParityDataModule(30, 3))
    assert transition.convergence_time is None
    assert summary.summary_of_run is not None
    assert (summary.summary_of_run["solved"], summary.summary_of_run["steps"]) == (False, 10)
    assert {path.name for path in tmp_path.iterdir()} == {"summary.json", "summary-2.json"}


@pytest.mark.parametrize(
    ("settings", "option"),
    [
        ({"val_check_interval": None}, "val_check_interval"),
        ({"check_val_every_n_epoch": 1}, "check_val_every_n_epoch"),
        ({"accumulate_grad_batches": 2}, "accumulate_grad_batches"),
    ],
)
def test_a_trainer_that_would_never_evaluate_is_refused(settings: dict[str, Any], option: str) -> None:
    with pytest.raises(SettingError, match=f"^{option}="):
        trained(new(), **settings)


def test_the_parity_is_looked_at_whatever_hooks_are_overridden() -> None:
    class Careless(DisjointPolyNet):
        def setup(self, stage: str) -> None:
            """Does not call the parent's."""

    with pytest.raises(SettingError, match=r"^support=\[0, 1\]: must have one index in each of 2 blocks of 6"):
        trainer().fit(Careless(12, 2), datamodule=ParityDataModule(12, 2, support=[0, 1]))
