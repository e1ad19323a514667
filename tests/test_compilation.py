"""Steps in C++ are those of PyTorch's operations whatever a user's code does around them, or they are not taken."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from torch import Tensor

from parity_lightning import MLP, ParityDataModule, ParityModule

Optimizer = Callable[[Any], torch.optim.Optimizer]

STEPS, EVERY = 60, 10


def new(kind: type[MLP] = MLP, **settings: Any) -> MLP:
    torch.manual_seed(3)
    return kind(10, 2, width=5, **settings)


def trainer(*callbacks: Callback, steps: int = STEPS, **settings: Any) -> Trainer:
    quiet = dict.fromkeys(("logger", "enable_checkpointing", "enable_progress_bar", "enable_model_summary"), False)
    return Trainer(
        **{"accelerator": "cpu", "max_steps": steps, "val_check_interval": EVERY, "check_val_every_n_epoch": None},
        **{"num_sanity_val_steps": 0, "callbacks": list(callbacks)},
        **quiet,
        **settings,
    )


def fitted(module: ParityModule, *callbacks: Callback, ckpt_path: Path | None = None, **settings: Any) -> ParityModule:
    data = ParityDataModule(10, 2, batch_size=8)
    trainer(*callbacks, **settings).fit(module.train(), datamodule=data, ckpt_path=ckpt_path)
    return module


def assert_alike(module: LightningModule, other: LightningModule) -> None:
    for one, two in zip(module.parameters(), other.parameters(), strict=True):
        torch.testing.assert_close(one, two, rtol=1e-3, atol=1e-5)


def adam(parameters: Any) -> torch.optim.Optimizer:
    # With the usual eps, gradients of 0 but for rounding would move weights by the whole learning rate.
    return torch.optim.Adam(parameters, lr=0.01, eps=1e-3)


def momentum(parameters: Any) -> torch.optim.Optimizer:
    return torch.optim.SGD(parameters, lr=0.1, momentum=0.9)


class At(Callback):
    """Does something once, after the evaluation of a step.

    Args:
        step: After which.
        act: What, to the module.
    """

    def __init__(self, step: int, act: Callable[[LightningModule], object]) -> None:
        self._step = step
        self._act = act

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Does it."""
        if trainer.global_step == self._step:
            self._act(pl_module)


@pytest.mark.compiles
@pytest.mark.parametrize("optimizer", [momentum, adam])
def test_a_run_is_that_of_pytorchs_operations(optimizer: Optimizer) -> None:
    fast, slow = (fitted(new(optimizer=optimizer, compile_after=after)) for after in ("auto", None))
    assert fast.compiled
    assert fast.compiled_by is not None
    assert fast.compiled_by.startswith("C++ ")
    assert slow.compiled is slow.compiled_by is None
    assert_alike(fast, slow)


def _replace_weights(module: LightningModule) -> None:
    for weight in module.parameters():
        weight.data = weight.detach() * 0.9


def _copy_weights(module: LightningModule) -> None:
    vector = torch.nn.utils.parameters_to_vector(module.parameters()).detach()
    torch.nn.utils.vector_to_parameters(vector * 0.9, module.parameters())


def _freeze(module: LightningModule) -> None:
    next(module.parameters()).requires_grad_(False)


def _forget(module: LightningModule) -> None:
    module.trainer.optimizers[0].state.clear()


def _raise_rate(module: LightningModule) -> None:
    module.trainer.optimizers[0].param_groups[0]["lr"] *= 2


def _watch(module: LightningModule) -> None:
    next(module.children()).register_forward_hook(lambda *_: None)


def _option(**changed: Any) -> Callable[[LightningModule], object]:
    def change(module: LightningModule) -> None:
        for group in module.trainer.optimizers[0].param_groups:
            group.update({name: value for name, value in changed.items() if name in group})

    return change


def _reset_output(module: Any) -> None:
    def zero(*_: object) -> None:
        module.network.output.weight.data.zero_()

    module.trainer.optimizers[0].register_step_post_hook(zero)


def _bend(module: Any) -> None:
    module.network.activation = torch.nn.Tanh()


def _double_loss(module: Any) -> None:
    own = module.loss
    module.loss = lambda prediction, y: 2 * own(prediction, y)


def _negate(module: Any) -> None:
    own = module.forward
    module.forward = lambda x: -own(x)


@pytest.mark.compiles
@pytest.mark.parametrize(
    "act",
    [
        *(_replace_weights, _copy_weights, _freeze, _forget, _raise_rate, _watch, _reset_output),
        *(_bend, _double_loss, _negate, _option(maximize=True), _option(weight_decay=0.1)),
    ],
)
@pytest.mark.parametrize("optimizer", [momentum, adam])
def test_what_a_callback_changes_between_blocks_takes_effect(
    act: Callable[[LightningModule], object], optimizer: Optimizer
) -> None:
    fast, slow, without = (
        fitted(new(optimizer=optimizer, compile_after=after), At(20, what))
        for after, what in (("auto", act), (None, act), (None, lambda _: None))
    )
    assert_alike(fast, slow)
    if act is not _watch:
        with pytest.raises(AssertionError):
            assert_alike(slow, without)


@pytest.mark.compiles
@pytest.mark.parametrize("changed", [{"dampening": 0.5}, {"nesterov": True}, {"maximize": True, "weight_decay": 0.1}])
def test_so_do_options_that_only_momentum_has(changed: dict[str, Any]) -> None:
    fast, slow = (
        fitted(new(optimizer=momentum, compile_after=after), At(20, _option(**changed))) for after in ("auto", None)
    )
    assert_alike(fast, slow)


@pytest.mark.compiles
@pytest.mark.parametrize("layer", ["hidden", "output"])
@pytest.mark.parametrize("frozen_at", [0, 20])
@pytest.mark.parametrize("optimizer", [momentum, adam])
def test_a_layer_is_frozen_and_trained_again(layer: str, frozen_at: int, optimizer: Optimizer) -> None:
    def train(is_trained: bool) -> Callable[[LightningModule], object]:
        return lambda module: module.get_submodule(f"network.{layer}").requires_grad_(is_trained)

    ended = []
    for after in ("auto", None):
        module = new(optimizer=optimizer, compile_after=after)
        if not frozen_at:
            train(False)(module)
        ended.append(fitted(module, At(frozen_at, train(False)), At(40, train(True))))
    assert_alike(*ended)


@pytest.mark.compiles
@pytest.mark.parametrize("optimizer", [momentum, adam])
def test_a_group_of_weights_may_be_frozen_or_of_others(optimizer: Optimizer) -> None:
    def with_others(parameters: Any) -> torch.optim.Optimizer:
        made = optimizer(parameters)
        made.add_param_group({"params": [torch.nn.Parameter(torch.ones(2))]})
        return made

    assert_alike(*(fitted(new(optimizer=with_others, compile_after=after)) for after in ("auto", None)))
    groups = {"output": {"lr": 0.01}}
    ended = []
    for after in ("auto", None):
        module = new(optimizer=optimizer, param_groups=groups, compile_after=after)
        module.get_submodule("network.output").requires_grad_(False)
        ended.append(fitted(module))
    assert_alike(*ended)


@pytest.mark.compiles
def test_a_copy_of_a_module_in_training_is_a_module() -> None:
    copies: list[Any] = []
    module = fitted(new(optimizer=adam), At(20, lambda module: copies.append(copy.deepcopy(module))))
    assert module.compiled
    (copied,) = copies
    assert not torch.equal(copied.first_layer, module.first_layer)
    assert torch.equal(copied.first_layer, fitted(new(optimizer=adam), steps=20).first_layer)
    assert fitted(copied).compiled


@pytest.mark.compiles
def test_a_module_is_validated_before_it_is_fitted_and_afterwards() -> None:
    module, data = new(), ParityDataModule(10, 2, batch_size=8)
    trainer().validate(module, datamodule=data, verbose=False)
    fitted(module)
    trainer().validate(module, datamodule=data, verbose=False)
    assert_alike(fitted(module), fitted(fitted(new(compile_after=None))))


class Interrupted(Exception):
    """Ends a run."""


def _interrupt(_: LightningModule) -> None:
    raise Interrupted


@pytest.mark.compiles
@pytest.mark.parametrize("error", [Interrupted, KeyboardInterrupt])
def test_a_module_is_fitted_again_after_a_run_that_failed(error: type[BaseException]) -> None:
    def fail(_: LightningModule) -> None:
        raise error

    ended = []
    for after in ("auto", None):
        module = new(optimizer=momentum, compile_after=after)
        with pytest.raises((error, SystemExit)):
            fitted(module, At(20, fail))
        again = trainer()
        again.fit(module.train(), datamodule=ParityDataModule(10, 2, batch_size=8))
        assert again.global_step == STEPS
        ended.append(module)
    assert ended[0].compiled
    assert_alike(*ended)


@pytest.mark.compiles
@pytest.mark.parametrize("optimizer", [momentum, adam])
def test_a_trainer_goes_on_with_a_new_optimizer(optimizer: Optimizer) -> None:
    ended = []
    for after in ("auto", None):
        module, twice = new(optimizer=optimizer, compile_after=after), trainer()
        data = ParityDataModule(10, 2, batch_size=8)
        twice.fit(module, datamodule=data)
        twice.fit_loop.epoch_loop.max_steps = 2 * STEPS
        twice.fit(module.train(), datamodule=data)
        assert twice.global_step == 2 * STEPS
        ended.append(module)
    assert_alike(*ended)


class Scaled(MLP):
    """Changes its batches."""

    def on_after_batch_transfer(self, batch: Any, dataloader_idx: int) -> Any:
        """Doubles the inputs."""
        x, y = batch
        return 2 * x, y


@pytest.mark.compiles
@pytest.mark.filterwarnings("ignore:You have overridden `on_after_batch_transfer`")
def test_hooks_are_called() -> None:
    scaled, plain = (fitted(new(Scaled, compile_after=after)) for after in ("auto", None))
    assert_alike(scaled, plain)
    assert scaled.compiled is None
    with pytest.raises(AssertionError):
        assert_alike(scaled, fitted(new()))
    calls = []
    for after in ("auto", None):
        module, called = new(compile_after=after), [0, 0]

        def count(*_: object, called: list[int] = called) -> None:
            called[0] += 1

        def halve(gradient: Tensor, called: list[int] = called) -> Tensor:
            called[1] += 1
            return gradient / 2

        module.network.register_forward_hook(count)
        module.first_layer.register_hook(halve)
        calls.append((called, fitted(module)))
    assert calls[0][0] == calls[1][0]
    assert calls[0][0][1] == STEPS
    assert_alike(calls[0][1], calls[1][1])


@pytest.mark.compiles
def test_an_optimizer_may_hold_some_of_the_weights() -> None:
    def first_two(parameters: Any) -> torch.optim.Optimizer:
        return torch.optim.SGD(list(parameters)[:2], lr=0.1)

    assert_alike(*(fitted(new(optimizer=first_two, compile_after=after)) for after in ("auto", None)))


def test_anomalies_are_found() -> None:
    huge: Any = {"optimizer": lambda parameters: torch.optim.SGD(parameters, lr=1e20), "loss": "square"}
    with pytest.raises(RuntimeError, match="returned nan values"):
        fitted(new(activation="power", **huge), detect_anomaly=True)


@pytest.mark.compiles
def test_a_schedule_may_begin_with_the_first_step() -> None:
    def halving(optimizer: torch.optim.Optimizer) -> torch.optim.lr_scheduler.LRScheduler:
        return torch.optim.lr_scheduler.StepLR(optimizer, 7, gamma=0.5)

    # A warning would be an error.
    assert_alike(*(fitted(new(lr_scheduler=halving, compile_after=after)) for after in ("auto", None)))


def _save_to(path: Path) -> Callable[[LightningModule], None]:
    return lambda module: module.trainer.save_checkpoint(path)


@pytest.mark.compiles
def test_a_resumed_run_says_what_takes_its_steps_now(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    checkpoint = tmp_path / "run.ckpt"
    begun = fitted(new(optimizer=adam), At(20, _save_to(checkpoint)))
    by = begun.compiled_by
    same = fitted(new(optimizer=adam), ckpt_path=checkpoint)
    assert same.compiled_by == by
    assert all(torch.equal(*pair) for pair in zip(begun.parameters(), same.parameters(), strict=True))
    assert "round" not in capsys.readouterr().out
    # One that has no steps left does not begin to train.
    over = fitted(new(optimizer=adam), ckpt_path=checkpoint, steps=20)
    assert over.compiled
    assert over.compiled_by == by
    other = fitted(new(optimizer=adam, compile_after=None), At(40, _save_to(checkpoint)), ckpt_path=checkpoint)
    assert other.compiled_by == f"{by}, then PyTorch's operations from step 20 on"
    told = f"step 20: the steps were taken by {by} and now are by PyTorch's operations, so they round in another way"
    assert told in capsys.readouterr().out.splitlines()
    assert_alike(begun, other)
    assert fitted(new(optimizer=adam, compile_after=None), ckpt_path=checkpoint).compiled_by == other.compiled_by
    assert "round" not in capsys.readouterr().out


@pytest.mark.compiles
def test_a_run_resumed_after_the_step_from_which_pytorch_compiles_has_the_same_steps(
    set_pytorch_compiles_from: Callable[[int], None], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    set_pytorch_compiles_from(30)
    checkpoint = tmp_path / "run.ckpt"
    begun = fitted(new(optimizer=adam), At(40, _save_to(checkpoint)))
    resumed = fitted(new(optimizer=adam), ckpt_path=checkpoint)
    assert resumed.compiled_by == begun.compiled_by
    assert "round" not in capsys.readouterr().out
    assert all(torch.equal(*pair) for pair in zip(begun.parameters(), resumed.parameters(), strict=True))
