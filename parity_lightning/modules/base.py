"""How a network is trained on a sparse parity."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, ClassVar

import torch
from lightning.pytorch import Callback
from lightning.pytorch.cli import LRSchedulerCallable, OptimizerCallable
from lightning.pytorch.trainer.states import TrainerFn
from lightning.pytorch.utilities.types import OptimizerLRScheduler
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from parity_lightning.data.batches import Block, Steps
from parity_lightning.data.protocols import BlockPlan
from parity_lightning.data.sparse_parity import SparseParity
from parity_lightning.engine.evaluation import screen_then_confirm
from parity_lightning.engine.trainable import closed_form_of, has_hooks
from parity_lightning.errors import SettingError, check_int, nearest
from parity_lightning.measures.accuracy import is_error
from parity_lightning.modules.blocks import MODULE_HOOKS, CountSteps
from parity_lightning.modules.driven_module import DrivenModule
from parity_lightning.modules.driver import TrainingDriver
from parity_lightning.modules.error_count import ErrorCount
from parity_lightning.modules.first_compiled_step import CompileAfter, check_compile_after
from parity_lightning.modules.forbid_trainer_access import forbid_trainer_access
from parity_lightning.modules.optimizer_factory import OptimizerFactory
from parity_lightning.modules.reinitialize import Reinitializable, needs_network_only
from parity_lightning.nets.closed_form import ClosedForm
from parity_lightning.nets.initializations import check_initialization, initialize, rescale
from parity_lightning.optim.losses import LOSSES, find_loss

_TEST_BATCH = 1024


class ParityModule(Reinitializable, DrivenModule, ABC):
    """Trains a network whose sign predicts a parity: loss, optimizer and metrics.

    A subclass makes a network, a plain ``nn.Module`` from inputs of shape ``(..., n)`` to outputs of shape ``(...)``
    or ``(..., 1)``, and hands it over:

        class MyNetwork(ParityModule):
            def __init__(self, n: int, width: int = 100, **kwargs: Any) -> None:
                network = nn.Sequential(nn.Linear(n, width), nn.Tanh(), nn.Linear(width, 1))
                super().__init__(network, **kwargs)

    An argument named ``n`` or ``k`` gets the value of the data's when the command line makes the module.

    At each evaluation it logs ``train/loss`` and ``train/accuracy`` (means over the batches since the last evaluation,
    each taken before its update), ``val/loss``, ``val/accuracy``, ``val/errors`` and ``val/examples``. It evaluates
    the first ``val_screen_size`` validation examples and, only if they are all right, the others, block by block up to
    the first block with an error: so ``val/errors = 0`` is always about the whole set, and the accuracy of an unsolved
    state is that of ``val/examples`` examples.

    Unless something has to run between two SGD steps, a training batch is a *block* of several steps (`takes_blocks`).

    Args:
        network: The network to train.
        loss: ``"hinge"``, ``"square"``, ``"cross_entropy"`` or ``"correlation"``.
        initialization: ``"default"`` (the network's own), ``"uniform"``, ``"gaussian"``, ``"bernoulli"`` or ``"sign"``.
        optimizer: Makes the optimizer from the parameters.
        lr_scheduler: Makes a schedule from the optimizer; it steps once per SGD step.
        param_groups: Options of the optimizer that single layers have for themselves, ``{"hidden": {"lr": 0.01}}``: a
            layer goes by its name in the network, as in ``network.named_parameters()``.
        val_screen_size: How many validation examples an evaluation counts errors on first.
        accuracy_thresholds: Validation accuracies, above 0.5 and up to 1, of which the first evaluated step is kept at
            which they are reached: in ``summary.json`` and in the rows of trials, as ``reached``. Each is held against
            what an evaluation counts, ``val_screen_size`` examples until these are all right.
        compile_after: From which SGD step on steps are taken in C++, or compiled, which is many times as fast for small
            networks: 0 for the first, None for never. ``"auto"`` is 0 for a network with a closed form that is trained
            on a CPU by small steps: the library in C++ is compiled once for all of them, in some seconds. For others it
            is 20,000, for PyTorch's compiler takes half a minute for each network. Compiled steps round differently, so
            which ones are compiled never depends on what has been compiled before.
        initialization_factors: By how much the initial weights of single layers are multiplied, ``{"output": 0.1}``, or
            single parameters, ``{"hidden.bias": 2.0}``; by default none is.
        initialization_offsets: What is then added to the initial weights of single layers or parameters.

    Raises:
        SettingError: If a setting is out of range.
    """

    losses: ClassVar[tuple[str, ...]] = tuple(LOSSES)
    """The losses that make sense here; others are refused."""
    initializations: ClassVar[tuple[str, ...]] = ("default", "uniform", "gaussian", "bernoulli", "sign")
    """The initializations that make sense here; others are refused."""

    @abstractmethod
    def __init__(
        self,
        network: nn.Module,
        loss: str = "hinge",
        initialization: str = "default",
        optimizer: OptimizerCallable = lambda parameters: torch.optim.SGD(parameters, lr=0.1),
        lr_scheduler: LRSchedulerCallable | None = None,
        param_groups: dict[str, dict[str, float]] | None = None,
        val_screen_size: int = 1024,
        accuracy_thresholds: tuple[float, ...] = (),
        compile_after: CompileAfter = "auto",
        initialization_factors: dict[str, float] | None = None,
        initialization_offsets: dict[str, float] | None = None,
    ) -> None:
        super().__init__()
        if needs_network_only():
            _draw(network, initialization, initialization_factors, initialization_offsets)
            self.network = network
            return
        # Callables stay out: a checkpoint that holds one cannot be loaded with weights_only.
        self.save_hyperparameters(ignore=["network", "optimizer", "lr_scheduler"])
        self._loss = find_loss(loss)
        self._check_suits("loss", loss, self.losses)
        self._check_suits("initialization", check_initialization(initialization), self.initializations)
        self.val_screen_size = check_int("val_screen_size", val_screen_size, at_least=1)
        self.accuracy_thresholds = _check_thresholds(accuracy_thresholds)
        self.compile_after = check_compile_after(compile_after)
        _draw(network, initialization, initialization_factors, initialization_offsets)
        self.network = network
        self._optimizer_factory = OptimizerFactory(optimizer, lr_scheduler, param_groups or {})
        self._optimizer_factory.check(self)
        self._uses_default_step = not self._optimizer_factory.needs_closure and all(
            getattr(type(self), hook) is getattr(ParityModule, hook) for hook in MODULE_HOOKS
        )
        self.val_errors = ErrorCount()
        self.test_errors = ErrorCount()
        self.driver = TrainingDriver(self, base=ParityModule)
        """What happens while it is fitted: blocks of steps, compiling, evaluating, resuming."""

    def _check_suits(self, option: str, name: str, suitable: tuple[str, ...]) -> None:
        if name not in suitable:
            raise SettingError(option, name, f"makes no sense for {type(self).__name__}; {nearest(name, suitable)}")

    # What a subclass may override.

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
            # With labels of shape (B,), an output of shape (B, B) would train on nonsense without a warning.
            message = f"its network maps {tuple(x.shape)} to {tuple(output.shape)}; it must drop the last dimension"
            raise SettingError("model", type(self).__name__, message)
        return output

    def loss(self, prediction: Tensor, y: Tensor) -> Tensor:
        """The mean loss of predictions and labels of the same shape."""
        return self._loss(prediction * y).mean()

    def configure_optimizers(self) -> OptimizerLRScheduler:
        """Makes the optimizer and, if there is one, a schedule that steps with it."""
        return self._optimizer_factory.configure(self)

    def configure_callbacks(self) -> list[Callback]:
        """Has Lightning's counters count SGD steps; an overriding method adds to this list."""
        return [CountSteps()]

    # Training.

    def training_step(self, batch: Block | Steps) -> dict[str, Tensor]:
        """Trains on a block of batches, or computes the loss of one batch for Lightning to step on.

        Args:
            batch: Inputs of shape ``(steps, B, n)`` and labels of shape ``(steps, B)``; or, of one batch, ``(B, n)``
                and ``(B,)``; or the steps of a block only, whose examples are drawn here.

        Returns:
            ``loss``: of each step, shape ``(steps,)``; or, of one batch for Lightning to step on, a scalar.
        """
        if isinstance(batch, Steps) or not self.automatic_optimization:
            return {"loss": self.driver.train_on_block(batch)}
        x, y = batch
        prediction = self(x)
        loss = self.loss(prediction, y)
        self.driver.record.add(loss.detach().unsqueeze(0), is_error(prediction.detach(), y).sum(), y.numel())
        return {"loss": loss}

    # Evaluating.

    def validation_step(self, batch: Block) -> None:
        """Counts errors on the screen and, if there are none on any device, on the rest; see `screen_then_confirm`.

        Args:
            batch: This device's share of the validation set, inputs ``(v, n)`` and labels ``(v,)``.
        """
        x, y = batch
        devices = self.trainer.world_size
        screen = slice(0, -(-self.val_screen_size // devices))
        predictions = self(x[screen])
        self.log("val/loss", self.loss(predictions, y[screen]), sync_dist=True, batch_size=screen.stop)
        counted = int(self.val_errors.compute()[0]) if self.val_errors.update_called else 0

        def count_errors(first: int, end: int, _: Tensor | None) -> Tensor:
            nonlocal counted
            share = slice(-(-first // devices), -(-end // devices))
            self.val_errors.update(self(x[share]) if first else predictions, y[share])
            before, counted = counted, int(self.val_errors.compute()[0])
            return torch.tensor([counted - before])

        # Shares of several devices may differ by one example, and all devices must count the same blocks.
        total = (
            len(y)
            if devices == 1
            else int(self.trainer.strategy.reduce(torch.tensor(len(y)).to(y.device), reduce_op="sum"))
        )
        screen_then_confirm(count_errors, self.val_screen_size, total=total)

    def on_validation_epoch_end(self) -> None:
        """Logs what was counted, and while fitting the loss and accuracy of training since the last evaluation."""
        self._log_accuracy("val", self.val_errors, prog_bar=True)
        if self.trainer.state.fn != TrainerFn.FITTING or self.trainer.sanity_checking:
            return
        record = self.driver.record
        if not record.is_empty:
            self.log("train/loss", record.loss, sync_dist=True)
            self.log("train/accuracy", record.accuracy, sync_dist=True)
            record.clear()

    def _log_accuracy(self, stage: str, count: ErrorCount, prog_bar: bool = False) -> None:
        errors, examples = count.compute().float()
        count.reset()
        self.log(f"{stage}/accuracy", 1 - errors / examples, prog_bar=prog_bar, sync_dist=True)
        self.log(f"{stage}/errors", errors, sync_dist=True)
        self.log(f"{stage}/examples", examples, sync_dist=True)

    def test_step(self, batch: Block) -> None:
        """Counts the errors on the whole batch."""
        x, y = batch
        for start in range(0, len(y), _TEST_BATCH):
            part = slice(start, start + _TEST_BATCH)
            self.test_errors.update(self(x[part]), y[part])

    def on_test_epoch_end(self) -> None:
        """Logs ``test/accuracy``, ``test/errors`` and ``test/examples``."""
        self._log_accuracy("test", self.test_errors)

    def predict_step(self, batch: Block) -> dict[str, Tensor]:
        """Returns the real-valued ``prediction`` of each input and its ``label``."""
        x, y = batch
        return {"prediction": self(x), "label": y}

    def log(self, name: str, value: Any, *args: Any, **kwargs: Any) -> None:
        """Logs a metric, as `LightningModule.log` does."""
        evaluation = self.driver.open_evaluation
        if evaluation is not None:
            evaluation.log(name, value, *args, **kwargs)
        else:
            super().log(name, value, *args, **kwargs)

    # What the trainer, the data module and the engine read.

    @property
    def takes_blocks(self) -> bool:
        """Whether a training batch is a block of several SGD steps.

        It is, unless something has to run between two steps: a subclass overrides `training_step`,
        `configure_optimizers` or a hook of single steps, a callback has such a hook, the optimizer needs a closure, or
        the trainer clips gradients or counts batches (``limit_train_batches`` and the like). Then training goes through
        Lightning's ordinary loop, one step per batch.
        """
        return self.driver.takes_blocks

    def block_plan(self) -> BlockPlan | None:
        """How the data module joins batches into blocks; None for one batch at a time."""
        return self.driver.block_plan()

    @property
    def automatic_optimization(self) -> bool:
        """Whether Lightning steps the optimizer; on blocks the module does."""
        return self._automatic_optimization and not self.takes_blocks

    @automatic_optimization.setter
    def automatic_optimization(self, automatic: bool) -> None:
        self._automatic_optimization = automatic

    @property
    def uses_default_step(self) -> bool:
        """Whether an SGD step is that of this class: no subclass overrides a hook of single steps."""
        return self._uses_default_step

    @property
    def compiled(self) -> bool | None:
        """Whether steps of the run were compiled; False if they should have been and could not be, None if neither."""
        return self.driver.compilation.succeeded

    @property
    def compiled_by(self) -> str | None:
        """What took the steps of the run, unless all were PyTorch's operations; see `Compilation.by`."""
        return self.driver.compilation.by

    def make_optimizer(self) -> tuple[Optimizer, LRScheduler | None]:
        """The optimizer of its parameters, and the schedule that steps with it, if there is one."""
        return self._optimizer_factory.make(self)

    def closed_form(self) -> tuple[ClosedForm, str] | None:
        """What the network computes and the name of the loss, unless a subclass computes them in its own way."""
        kind, own = type(self), {"forward", "loss"}
        if any(getattr(kind, name) is not getattr(ParityModule, name) for name in own):
            return None
        if own & vars(self).keys() or has_hooks(self):
            return None
        return closed_form_of(self.network, self._loss)

    def refuse_run_state(self) -> AbstractContextManager[object]:
        """A context in which reading the step, the epoch or the trainer raises `Unstackable`."""
        return forbid_trainer_access(self)

    def begin_training(self) -> None:
        """Prepares the driver; called when training begins, whichever hooks a subclass overrides."""
        self.driver.begin()

    def end_training(self) -> None:
        """Ends what `begin_training` began."""
        self.driver.end()

    def on_train_batch_start(self, batch: Any, batch_idx: int) -> None:
        """Compiles, before the first block that holds step indices only."""
        self.driver.before_block(batch)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Adds what was measured since the last evaluation, and the state of the random generators."""
        self.driver.save(checkpoint)

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Takes it over, for training to go on as if it had never stopped."""
        self.driver.load(checkpoint)


def _draw(
    network: nn.Module, initialization: str, factors: Mapping[str, float] | None, offsets: Mapping[str, float] | None
) -> None:
    initialize(network, initialization)
    rescale(network, factors or {}, offsets or {})


def _check_thresholds(thresholds: Sequence[float]) -> tuple[float, ...]:
    for threshold in thresholds:
        if not 0.5 < threshold <= 1:
            raise SettingError("accuracy_thresholds", list(thresholds), "must be above 0.5 and at most 1")
    return tuple(thresholds)
