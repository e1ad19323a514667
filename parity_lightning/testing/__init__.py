"""Checks that a `ParityModule` keeps its contract: for tests of every architecture here, and of your own.

In a test of yours:

    from parity_lightning.testing import check_module

    def test_my_network() -> None:
        check_module(MyNetwork, units=5)
"""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import torch
from lightning.pytorch import Callback, Trainer
from torch import Tensor
from torch.func import functional_call

from parity_lightning.callbacks import HiddenProgress
from parity_lightning.data import ParityDataModule
from parity_lightning.errors import SettingError
from parity_lightning.measures.hidden_progress import movement_of
from parity_lightning.modules import ParityModule
from parity_lightning.modules.arguments import arguments_of
from parity_lightning.nets.initializations import INITIALIZATIONS
from parity_lightning.optim.losses import LOSSES

__all__ = ["CHECKS", "Case", "check_module"]


class Case(NamedTuple):
    """A module to check, and the parity to check it on.

    Args:
        kind: The class.
        settings: Arguments to make it with, besides n and k.
        n: How many bits an input has.
        k: Degree of the parity.
    """

    kind: type[ParityModule]
    settings: dict[str, Any]
    n: int = 12
    k: int = 2

    def make(self, seed: int = 0, **settings: Any) -> ParityModule:
        """A new module; as on the command line it gets n and k if it has arguments of these names."""
        taken = arguments_of(self.kind)
        problem = {name: value for name, value in (("n", self.n), ("k", self.k)) if name in taken}
        torch.manual_seed(seed)
        return self.kind(**{**problem, **self.settings, **settings})

    def data(self) -> ParityDataModule:
        """Batches of 8 examples of a parity whose support suits every architecture."""
        support = [block * (self.n // self.k) for block in range(self.k)]
        return ParityDataModule(self.n, self.k, support=support, batch_size=8, seed=0)

    def fit(self, module: ParityModule, steps: int, *callbacks: Callback, ckpt_path: Path | None = None) -> Trainer:
        """Trains up to so many steps, on one CPU."""
        with _quiet():
            trainer = Trainer(
                accelerator="cpu",
                devices=1,
                max_steps=steps,
                val_check_interval=2,
                check_val_every_n_epoch=None,
                num_sanity_val_steps=0,
                logger=False,
                enable_checkpointing=False,
                enable_progress_bar=False,
                enable_model_summary=False,
                callbacks=list(callbacks),
            )
            # For networks that draw random numbers in training.
            torch.manual_seed(0)
            trainer.fit(module, datamodule=self.data(), ckpt_path=ckpt_path)
        return trainer

    def inputs(self, *shape: int) -> Tensor:
        """Random signs of shape ``shape + (n,)``."""
        return torch.randint(0, 2, (*shape, self.n), generator=torch.Generator().manual_seed(1)) * 2.0 - 1

    def expect(self, fulfilled: bool, message: str) -> None:
        """Fails with the class's name and what is wrong with it."""
        if not fulfilled:
            raise AssertionError(f"{self.kind.__name__} {message}")


@contextmanager
def _quiet() -> Iterator[None]:
    logger = logging.getLogger("lightning.pytorch.utilities.rank_zero")
    level = logger.level
    logger.setLevel(logging.WARNING)
    try:
        yield
    finally:
        logger.setLevel(level)


def check_shapes(case: Case) -> None:
    """A batch of inputs, of shape ``(B, n)``, becomes outputs of shape ``(B,)``, each example's by itself."""
    module = case.make().eval()
    x = case.inputs(6)
    with torch.no_grad():
        whole = module(x)
        case.expect(whole.shape == (6,), f"maps inputs of shape (6, {case.n}) to {tuple(whole.shape)}, not (6,)")
        alone = torch.cat([module(each.unsqueeze(0)) for each in x])
    same = torch.allclose(whole, alone, rtol=1e-4, atol=1e-5)
    case.expect(same, "gives an example another output in a batch than alone")


def check_gradients(case: Case) -> None:
    """Backpropagation agrees with finite differences in float64, and reaches every parameter that is trained."""
    module = case.make().double().eval()
    trained = {name: parameter for name, parameter in module.named_parameters() if parameter.requires_grad}
    # A little off the initial weights, which may lie on a kink on purpose.
    values = tuple((value + 0.01 * torch.randn_like(value)).detach().requires_grad_() for value in trained.values())
    x = case.inputs(4).double()
    y = case.data().parity.label(x)

    def loss_of(*values: Tensor) -> Tensor:
        return module.loss(functional_call(module, dict(zip(trained, values, strict=True)), (x,)), y)

    gradients = torch.autograd.grad(loss_of(*values), values, allow_unused=True)
    for name, gradient in zip(trained, gradients, strict=True):
        message = f"does not use its parameter {name}; take it away, or set its requires_grad to False"
        case.expect(gradient is not None, message)
    right = torch.autograd.gradcheck(loss_of, values, fast_mode=True, raise_exception=False)
    case.expect(right, "has gradients that differ from finite differences")


def check_fit(case: Case) -> None:
    """Two steps change the weights, and the same seed gives the same run, bit for bit."""
    runs = [case.make() for _ in range(2)]
    before = _weights(runs[0])
    for module in runs:
        steps = case.fit(module, 2).global_step
        case.expect(steps == 2, f"was to take 2 steps and took {steps}")
    after, again = map(_weights, runs)
    case.expect(bool(after.isfinite().all()), "has weights that are not finite after two steps")
    case.expect(not torch.equal(before, after), "does not learn: two steps change no weight")
    case.expect(torch.equal(after, again), "is not reproducible: two runs of the same seed differ")


def check_checkpoint(case: Case) -> None:
    """A module loaded from a checkpoint, which holds no code, predicts the same."""
    module = case.make()
    trainer = case.fit(module, 2)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "module.ckpt")
        trainer.save_checkpoint(path)
        loaded = case.kind.load_from_checkpoint(path, map_location="cpu", weights_only=True)
    x = case.inputs(64)
    with torch.no_grad():
        same = torch.equal(module.eval()(x), loaded.eval()(x))
    case.expect(same, "predicts otherwise when loaded from its checkpoint")


def check_resume(case: Case) -> None:
    """A run that goes on from a checkpoint ends with the weights of one that was never interrupted.

    A network that draws random numbers in training, for dropout for example, is not checked.
    """
    if _is_random(case):
        return
    whole, first, second = (case.make(seed) for seed in (0, 0, 1))
    case.fit(whole, 4)
    trainer = case.fit(first, 2)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "module.ckpt")
        trainer.save_checkpoint(path)
        case.fit(second, 4, ckpt_path=path)
    case.expect(torch.equal(_weights(whole), _weights(second)), "ends otherwise when resumed than when run through")


def check_hidden_progress(case: Case) -> None:
    """The first layer has a weight for each input, which begins at rest and moves."""
    module = case.make()
    layer = module.first_layer
    case.expect(layer.shape[-1] == case.n, f"has a first_layer of shape {tuple(layer.shape)}, not (..., n={case.n})")
    initial = layer.detach().clone()
    support = case.data().parity.support
    case.expect(movement_of(module.first_layer, initial, support).hidden_progress == 0, "moves before it is trained")
    trainer = case.fit(module, 2, HiddenProgress())
    moved = movement_of(module.first_layer, initial, support)
    case.expect(moved.relevant > 0, "has a first_layer whose relevant coordinates do not move in training")
    logged = float(trainer.callback_metrics["hidden_progress"])
    case.expect(logged == moved.hidden_progress, f"logs hidden progress {logged}; it is {moved.hidden_progress}")


def check_losses(case: Case) -> None:
    """It trains with every loss it lists and refuses the others."""
    _check_choices(case, "loss", "losses", LOSSES)


def check_initializations(case: Case) -> None:
    """It trains from every initialization it lists and refuses the others."""
    _check_choices(case, "initialization", "initializations", ["default", *INITIALIZATIONS])


def _is_random(case: Case) -> bool:
    module, x = case.make().train(), case.inputs(64)
    with torch.no_grad():
        return not torch.equal(module(x), module(x))


def _check_choices(case: Case, option: str, attribute: str, known: Iterable[str]) -> None:
    suitable = getattr(case.kind, attribute)
    if option not in arguments_of(case.kind):
        return
    for name in known:
        try:
            module = case.make(0, **{option: name})
        except SettingError as error:
            case.expect(error.option == option, f"refuses {option}={name} for another reason: {error}")
            message = f"lists {option} {name} and refuses it ({error}); take it out of the class's {attribute}"
            case.expect(name not in suitable, message)
            continue
        case.expect(name in suitable, f"takes {option} {name}, which it does not list")
        case.fit(module, 2)
        finite = bool(_weights(module).isfinite().all())
        case.expect(finite, f"has weights that are not finite after two steps with {option} {name}")


def _weights(module: ParityModule) -> Tensor:
    return torch.cat([parameter.detach().flatten() for parameter in module.parameters()])


CHECKS: dict[str, Callable[[Case], None]] = {
    "shapes": check_shapes,
    "gradients": check_gradients,
    "fit": check_fit,
    "checkpoint": check_checkpoint,
    "resume": check_resume,
    "hidden progress": check_hidden_progress,
    "losses": check_losses,
    "initializations": check_initializations,
}
"""All that is checked, by name."""


def check_module(kind: type[ParityModule], n: int = 12, k: int = 2, **settings: Any) -> None:
    """Checks that a module keeps the contract of every `ParityModule`, in a second or a few.

    Shapes; gradients against finite differences; two steps of training, reproducible bit for bit; the same
    predictions from a checkpoint; the same weights when resumed; hidden progress; every loss and initialization that
    the class lists in ``losses`` and ``initializations``, and none other.

    Args:
        kind: The class to check.
        n: How many bits an input has, passed on if the class takes it.
        k: Degree of the parity, passed on if the class takes it.
        **settings: Other arguments to make the module with; small networks are checked as well as large ones.

    Raises:
        AssertionError: If it does not; its text names the class and what is wrong.

    Example:
        >>> from parity_lightning import PolyNet
        >>> check_module(PolyNet, n=6)
    """
    for check in CHECKS.values():
        check(Case(kind, settings, n, k))
