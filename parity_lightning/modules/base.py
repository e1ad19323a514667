"""How a network is trained on a sparse parity."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar

import torch
from lightning.pytorch import Callback, LightningModule
from lightning.pytorch.cli import LRSchedulerCallable, OptimizerCallable
from lightning.pytorch.trainer.states import TrainerFn
from lightning.pytorch.utilities.types import OptimizerLRScheduler
from torch import Tensor, nn
from typing_extensions import Self

from parity_lightning.data.sparse_parity import SparseParity
from parity_lightning.errors import SettingError, nearest, whole_number
from parity_lightning.losses import LOSSES, find_loss
from parity_lightning.metrics import ErrorCount
from parity_lightning.modules.blocks import MODULE_HOOKS, CountSteps, Stepper, allows_blocks
from parity_lightning.modules.update_rule import UpdateRule
from parity_lightning.nets.initializations import check_initialization, initialize

_EVALUATION_BATCH = 1024


class ParityModule(LightningModule, ABC):
    """Trains a network whose sign predicts a parity: loss, optimizer and metrics.

    A subclass makes a network, a plain ``nn.Module`` from inputs of shape ``(..., n)`` to outputs of shape ``(...)``
    or ``(..., 1)``, and hands it over:

        class MyNetwork(ParityModule):
            def __init__(self, n: int, width: int = 100, **kwargs: Any) -> None:
                network = nn.Sequential(nn.Linear(n, width), nn.Tanh(), nn.Linear(width, 1))
                super().__init__(network, **kwargs)

    An argument named ``n`` or ``k`` gets the value of the data's when the command line makes the module.

    At each evaluation it logs ``train/loss`` and ``train/accuracy`` (means over the batches since the last evaluation,
    each taken before its update), ``val/loss``, ``val/accuracy``, ``val/errors`` and ``val/examples``. Evaluation looks
    at the first ``screen`` validation examples and, only when they are all right, at the whole set: so
    ``val/errors = 0`` always speaks of the whole set, and the accuracy of an unsolved state comes from the screen.

    Unless somebody has to act between steps, the module takes *blocks* of several of them (`takes_blocks`).

    Args:
        network: The network to train.
        loss: ``"hinge"``, ``"square"``, ``"cross_entropy"`` or ``"correlation"``.
        initialization: ``"default"`` (the network's own), ``"uniform"``, ``"gaussian"`` or ``"bernoulli"``.
        optimizer: Makes the optimizer from the parameters.
        lr_scheduler: Makes a schedule from the optimizer; it steps once per SGD step.
        layers: Options of the optimizer that single layers have for themselves, ``{"hidden": {"lr": 0.01}}``: a
            layer goes by its name in the network, as in ``network.named_parameters()``.
        screen: How many validation examples an evaluation looks at first.

    Raises:
        SettingError: If a setting is out of range.
    """

    losses: ClassVar[tuple[str, ...]] = tuple(LOSSES)
    """The losses that make sense here; others are refused."""
    initializations: ClassVar[tuple[str, ...]] = ("default", "uniform", "gaussian", "bernoulli", "sign")
    """The initializations that make sense here; others are refused."""

    _made_with: tuple[tuple[Any, ...], dict[str, Any]]
    _bare = False

    def __new__(cls, *args: Any, **kwargs: Any) -> Self:
        """Remembers what a module is made with, so that `again` can make another."""
        module = super().__new__(cls)
        object.__setattr__(module, "_made_with", (args, kwargs))
        return module

    @abstractmethod
    def __init__(
        self,
        network: nn.Module,
        loss: str = "hinge",
        initialization: str = "default",
        optimizer: OptimizerCallable = lambda parameters: torch.optim.SGD(parameters, lr=0.1),
        lr_scheduler: LRSchedulerCallable | None = None,
        layers: dict[str, dict[str, float]] | None = None,
        screen: int = 1024,
    ) -> None:
        super().__init__()
        if ParityModule._bare:
            initialize(network, initialization)
            self.network = network
            return
        # Callables stay out: a checkpoint that holds one cannot be loaded with weights_only.
        self.save_hyperparameters(ignore=["network", "optimizer", "lr_scheduler"])
        self._loss = find_loss(loss)
        self._check_suits("loss", loss, self.losses)
        self._check_suits("initialization", check_initialization(initialization), self.initializations)
        self.screen = whole_number("screen", screen, at_least=1)
        initialize(network, initialization)
        self.network = network
        self._update_rule = UpdateRule(optimizer, lr_scheduler, layers or {})
        self._update_rule.check(self)
        self._steps_alone = not self._update_rule.needs_closure and all(
            getattr(type(self), hook) is getattr(ParityModule, hook) for hook in MODULE_HOOKS
        )

        self.train_errors = ErrorCount()
        self.train_losses: list[Tensor] = []
        self.val_errors = ErrorCount()
        self.test_errors = ErrorCount()
        self._stepper: Stepper | None = None

    def again(self, bare: bool = False) -> Self:
        """Makes a module as this one was made, with the same arguments; its weights are drawn anew.

        Args:
            bare: Whether it needs nothing but its network, which is faster to make: for trials by the thousand.
        """
        args, kwargs = self._made_with
        ParityModule._bare = bare
        try:
            return type(self)(*args, **kwargs)
        finally:
            ParityModule._bare = False

    @property
    def steps_alone(self) -> bool:
        """Whether all that happens in an SGD step is what this class does: no subclass overrides a hook of steps."""
        return self._steps_alone

    def _check_suits(self, option: str, name: str, suitable: tuple[str, ...]) -> None:
        if name not in suitable:
            raise SettingError(option, name, f"makes no sense for {type(self).__name__}; {nearest(name, suitable)}")

    def check_parity(self, parity: SparseParity) -> None:
        """Refuses a parity that the network cannot learn, before training; to be overridden.

        Args:
            parity: The problem of the run.

        Raises:
            SettingError: If the network cannot learn it.
        """

    @property
    def first_layer(self) -> Tensor:
        """The weight that reads the input, of shape ``(..., n)``: what hidden progress is measured on (Section 5).

        By default the network's first parameter of at least two dimensions; a subclass may name another.
        """
        for parameter in self.network.parameters():
            if parameter.dim() >= 2:
                return parameter
        raise SettingError(
            "model", type(self).__name__, "has no weight of two dimensions; override first_layer to name its first one"
        )

    def forward(self, x: Tensor) -> Tensor:
        """Maps inputs of shape ``(..., n)`` to predictions of shape ``(...)``, whose sign is the predicted label."""
        output: Tensor = self.network(x)
        if output.shape == (*x.shape[:-1], 1):
            return output.squeeze(-1)
        if output.shape != x.shape[:-1]:
            # With labels of shape (B,), an output of shape (B, B) would train on nonsense without a word.
            told = f"its network maps {tuple(x.shape)} to {tuple(output.shape)}; it must drop the last dimension"
            raise SettingError("model", type(self).__name__, told)
        return output

    def loss(self, prediction: Tensor, y: Tensor) -> Tensor:
        """The mean loss of predictions and labels of the same shape."""
        return self._loss(prediction * y).mean()

    def configure_optimizers(self) -> OptimizerLRScheduler:
        """Makes the optimizer and, if there is one, a schedule that steps with it."""
        return self._update_rule.configure(self)

    @property
    def takes_blocks(self) -> bool:
        """Whether a training batch is a block of several SGD steps.

        It is, unless somebody has to act between steps: a subclass overrides `training_step`, `configure_optimizers` or
        a hook of single steps, a callback has such a hook, the optimizer needs a closure, or the trainer clips
        gradients or counts batches (``limit_train_batches`` and the like). Then training goes through Lightning's
        ordinary loop, one step per batch.
        """
        return self._steps_alone and (self._trainer is None or allows_blocks(self._trainer))

    @property
    def automatic_optimization(self) -> bool:
        """Whether Lightning steps the optimizer; blocks do it themselves."""
        return self._automatic_optimization and not self.takes_blocks

    @automatic_optimization.setter
    def automatic_optimization(self, automatic: bool) -> None:
        self._automatic_optimization = automatic

    def training_step(self, batch: tuple[Tensor, Tensor]) -> dict[str, Tensor]:
        """Trains on a block of batches, or computes the loss of one batch for Lightning to step on.

        Args:
            batch: Inputs of shape ``(steps, B, n)`` and labels of shape ``(steps, B)``; or, of one batch, ``(B, n)``
                and ``(B,)``.

        Returns:
            ``loss``: of each step, shape ``(steps,)``; or, of one batch for Lightning to step on, a scalar.
        """
        x, y = batch
        if self.automatic_optimization:
            prediction = self(x)
            loss = self.loss(prediction, y)
            self._record(loss.detach().unsqueeze(0), prediction.detach(), y)
            return {"loss": loss}
        if x.dim() == 2:
            x, y = x.unsqueeze(0), y.unsqueeze(0)
        assert self._stepper is not None
        losses, predictions = [], []
        for x_t, y_t in zip(x.unbind(), y.unbind(), strict=True):
            prediction = self(x_t)
            loss = self.loss(prediction, y_t)
            self._stepper.step(loss)
            losses.append(loss.detach())
            predictions.append(prediction.detach())
        step_losses = torch.stack(losses)
        self._record(step_losses, torch.stack(predictions), y)
        return {"loss": step_losses}

    def _record(self, losses: Tensor, predictions: Tensor, y: Tensor) -> None:
        self.train_losses.append(losses)
        self.train_errors.update(predictions, y)

    def configure_callbacks(self) -> list[Callback]:
        """Has Lightning's counters tell SGD steps; an overriding method adds to this list."""
        return [CountSteps()]

    def on_train_start(self) -> None:
        """Readies the stepping of blocks."""
        self._stepper = None if self.automatic_optimization else Stepper(self)

    def on_train_end(self) -> None:
        """Lets go of the optimizer."""
        self._stepper = None

    def validation_step(self, batch: tuple[Tensor, Tensor]) -> None:
        """Counts the errors on the screen and, if there are none on any device, on the rest of the batch.

        Args:
            batch: This device's share of the validation set, inputs ``(v, n)`` and labels ``(v,)``.
        """
        x, y = batch
        screen = -(-self.screen // self.trainer.world_size)
        prediction = self(x[:screen])
        self.log("val/loss", self.loss(prediction, y[:screen]), sync_dist=True, batch_size=screen)
        self.val_errors.update(prediction, y[:screen])
        if self.val_errors.compute()[0] == 0 and screen < len(y):
            self._count(self.val_errors, x[screen:], y[screen:])

    def _count(self, errors: ErrorCount, x: Tensor, y: Tensor) -> None:
        for start in range(0, len(y), _EVALUATION_BATCH):
            part = slice(start, start + _EVALUATION_BATCH)
            errors.update(self(x[part]), y[part])

    def on_validation_epoch_end(self) -> None:
        """Logs what was measured, while fitting together with the training that led there."""
        self._log_accuracy("val", self.val_errors, prog_bar=True)
        if self.trainer.state.fn != TrainerFn.FITTING or self.trainer.sanity_checking:
            return
        if self.train_losses:
            self.log("train/loss", torch.cat(self.train_losses).mean(), sync_dist=True)
            self._log_accuracy("train", self.train_errors)
            self.train_losses.clear()

    def _log_accuracy(self, stage: str, count: ErrorCount, prog_bar: bool = False) -> None:
        errors, examples = count.compute().float()
        count.reset()
        self.log(f"{stage}/accuracy", 1 - errors / examples, prog_bar=prog_bar, sync_dist=True)
        if stage != "train":
            self.log(f"{stage}/errors", errors, sync_dist=True)
            self.log(f"{stage}/examples", examples, sync_dist=True)

    def test_step(self, batch: tuple[Tensor, Tensor]) -> None:
        """Counts the errors on the whole batch."""
        self._count(self.test_errors, *batch)

    def on_test_epoch_end(self) -> None:
        """Logs ``test/accuracy``, ``test/errors`` and ``test/examples``."""
        self._log_accuracy("test", self.test_errors)

    def predict_step(self, batch: tuple[Tensor, Tensor]) -> dict[str, Tensor]:
        """Returns the real-valued ``prediction`` of each input and its ``label``."""
        x, y = batch
        return {"prediction": self(x), "label": y}
