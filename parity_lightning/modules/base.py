"""How a network is trained on a sparse parity."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar, cast

import torch
from lightning.pytorch import Callback, LightningModule
from lightning.pytorch.cli import LRSchedulerCallable, OptimizerCallable
from lightning.pytorch.plugins.precision import DoublePrecision
from lightning.pytorch.trainer.states import TrainerFn
from lightning.pytorch.utilities.types import OptimizerLRScheduler
from torch import Tensor, nn

from parity_lightning.data.batches import Steps, TrainingBatches
from parity_lightning.data.sparse_parity import SparseParity
from parity_lightning.errors import SettingError, check_int, nearest
from parity_lightning.measures.accuracy import is_error
from parity_lightning.modules.announce import announce
from parity_lightning.modules.blocks import MODULE_HOOKS, CountSteps, Stepper, allows_blocks
from parity_lightning.modules.compiled_steps import CompiledSteps, compile_steps, why_not_compiled
from parity_lightning.modules.error_count import ErrorCount
from parity_lightning.modules.light_evaluation import LightEvaluation
from parity_lightning.modules.optimizer_factory import OptimizerFactory
from parity_lightning.modules.reinitialize import Reinitializable
from parity_lightning.nets.initializations import check_initialization, initialize
from parity_lightning.optim.losses import LOSSES, find_loss

_EVALUATION_BATCH = 1024

# What a checkpoint holds of a module besides its weights.
_PROGRESS = "parity_lightning"


class ParityModule(Reinitializable, LightningModule, ABC):
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
    at the first ``val_screen_size`` validation examples and, only when they are all right, at the whole set: so
    ``val/errors = 0`` always speaks of the whole set, and the accuracy of an unsolved state comes from the screen.

    Unless somebody has to act between steps, the module takes *blocks* of several of them (`takes_blocks`).

    Args:
        network: The network to train.
        loss: ``"hinge"``, ``"square"``, ``"cross_entropy"`` or ``"correlation"``.
        initialization: ``"default"`` (the network's own), ``"uniform"``, ``"gaussian"`` or ``"bernoulli"``.
        optimizer: Makes the optimizer from the parameters.
        lr_scheduler: Makes a schedule from the optimizer; it steps once per SGD step.
        param_groups: Options of the optimizer that single layers have for themselves, ``{"hidden": {"lr": 0.01}}``: a
            layer goes by its name in the network, as in ``network.named_parameters()``.
        val_screen_size: How many validation examples an evaluation looks at first.
        compile_after: From which SGD step on to train by a compiled step, about five times as fast for small
            networks: 0 for the first, None for never. Compiling takes half a minute, once for every network and
            batch size; which steps are compiled decides how they round, so it is a matter of the step only.

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
        compile_after: int | None = 20_000,
    ) -> None:
        super().__init__()
        if self.bare:
            initialize(network, initialization)
            self.network = network
            return
        # Callables stay out: a checkpoint that holds one cannot be loaded with weights_only.
        self.save_hyperparameters(ignore=["network", "optimizer", "lr_scheduler"])
        self._loss = find_loss(loss)
        self._check_suits("loss", loss, self.losses)
        self._check_suits("initialization", check_initialization(initialization), self.initializations)
        self.val_screen_size = check_int("val_screen_size", val_screen_size, at_least=1)
        initialize(network, initialization)
        self.network = network
        self._optimizer_factory = OptimizerFactory(optimizer, lr_scheduler, param_groups or {})
        self._optimizer_factory.check(self)
        self._uses_default_step = not self._optimizer_factory.needs_closure and all(
            getattr(type(self), hook) is getattr(ParityModule, hook) for hook in MODULE_HOOKS
        )

        # Of each step since the last evaluation: its loss, its errors; and their examples.
        self.train_losses: list[Tensor] = []
        self.train_errors: list[Tensor] = []
        self.train_examples = 0
        self.val_errors = ErrorCount()
        self.test_errors = ErrorCount()
        self.compile_after = None if compile_after is None else check_int("compile_after", compile_after, at_least=0)
        self._takes_blocks: bool | None = None
        self._stepper: Stepper | None = None
        self._compiled: CompiledSteps | None = None
        self.compiled: bool | None = None
        """Whether steps of the run were compiled; False if they were to be and could not."""
        self._batches: TrainingBatches | None = None
        self._evaluation: LightEvaluation | None = None
        self._resumed: list[dict[str, Any]] | None = None

    @property
    def uses_default_step(self) -> bool:
        """Whether all that happens in an SGD step is what this class does: no subclass overrides a hook of steps."""
        return self._uses_default_step

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
            message = f"its network maps {tuple(x.shape)} to {tuple(output.shape)}; it must drop the last dimension"
            raise SettingError("model", type(self).__name__, message)
        return output

    def loss(self, prediction: Tensor, y: Tensor) -> Tensor:
        """The mean loss of predictions and labels of the same shape."""
        return self._loss(prediction * y).mean()

    def configure_optimizers(self) -> OptimizerLRScheduler:
        """Makes the optimizer and, if there is one, a schedule that steps with it."""
        return self._optimizer_factory.configure(self)

    @property
    def takes_blocks(self) -> bool:
        """Whether a training batch is a block of several SGD steps.

        It is, unless somebody has to act between steps: a subclass overrides `training_step`, `configure_optimizers` or
        a hook of single steps, a callback has such a hook, the optimizer needs a closure, or the trainer clips
        gradients or counts batches (``limit_train_batches`` and the like). Then training goes through Lightning's
        ordinary loop, one step per batch.
        """
        if self._takes_blocks is not None:
            return self._takes_blocks
        return self._uses_default_step and (self._trainer is None or allows_blocks(self._trainer))

    @property
    def automatic_optimization(self) -> bool:
        """Whether Lightning steps the optimizer; blocks do it themselves."""
        return self._automatic_optimization and not self.takes_blocks

    @automatic_optimization.setter
    def automatic_optimization(self, automatic: bool) -> None:
        self._automatic_optimization = automatic

    @property
    def compiled_from(self) -> int | None:
        """From which step on a run's steps are compiled, and blocks need not be drawn; None for never."""
        after, trainer = self.compile_after, self._trainer
        if after is None or trainer is None or 0 <= trainer.max_steps <= after:
            return None
        return after if why_not_compiled(self, trainer) is None else None

    def training_step(self, batch: tuple[Tensor, Tensor] | Steps) -> dict[str, Tensor]:
        """Trains on a block of batches, or computes the loss of one batch for Lightning to step on.

        Args:
            batch: Inputs of shape ``(steps, B, n)`` and labels of shape ``(steps, B)``; or, of one batch, ``(B, n)``
                and ``(B,)``; or the steps of a block only, whose examples are to be drawn here.

        Returns:
            ``loss``: of each step, shape ``(steps,)``; or, of one batch for Lightning to step on, a scalar.
        """
        if isinstance(batch, Steps):
            if self._compiled is not None:
                return self._run_compiled(self._compiled, batch)
            assert self._batches is not None
            drawn = self._batches.block(batch.first, batch.end)
            batch = cast("tuple[Tensor, Tensor]", self.trainer.precision_plugin.convert_input(drawn))
        x, y = batch
        if self.automatic_optimization:
            prediction = self(x)
            loss = self.loss(prediction, y)
            self._record(loss.detach().unsqueeze(0), is_error(prediction.detach(), y).sum(), y.numel())
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
        self._record(step_losses, is_error(torch.stack(predictions), y).sum(), y.numel())
        return {"loss": step_losses}

    def _record(self, losses: Tensor, errors: Tensor, examples: int) -> None:
        self.train_losses.append(losses)
        self.train_errors.append(errors)
        self.train_examples += examples

    def _run_compiled(self, compiled: CompiledSteps, steps: Steps) -> dict[str, Tensor]:
        losses, errors = compiled.run(steps)
        self._record(losses, errors, (steps.end - steps.first) * self.trainer.datamodule.batch_size)  # type: ignore[attr-defined]
        return {"loss": losses}

    def configure_callbacks(self) -> list[Callback]:
        """Has Lightning's counters tell SGD steps; an overriding method adds to this list."""
        return [CountSteps()]

    def begin_training(self) -> None:
        """Readies the stepping of blocks, and evaluations past Lightning's loop."""
        # Asked at every step, and settled from here on.
        self._takes_blocks = self.takes_blocks
        self._stepper = None if self.automatic_optimization else Stepper(self)
        after, last = self.compile_after, self.trainer.max_steps
        if after is not None and not 0 <= last <= after and (why := why_not_compiled(self, self.trainer)):
            announce(self.trainer, f"training without compiled steps, for {why}")
        self._evaluation = LightEvaluation(self, self.trainer)
        self._evaluation.install()
        if self._resumed is not None:
            self._go_on(self._resumed)
            self._resumed = None

    def on_train_batch_start(self, batch: Any, batch_idx: int) -> None:
        """Compiles, when the first block comes that nobody has drawn."""
        if isinstance(batch, Steps) and self._batches is None:
            self._batches = self.trainer.datamodule.batches()  # type: ignore[attr-defined]
            assert self._stepper is not None
            made = compile_steps(self, self._batches, self._stepper, batch.first)
            if isinstance(made, str):
                announce(self.trainer, f"step {batch.first:,}: going on without compiled steps, for {made}")
                self.compiled = False
            else:
                self.compiled = True
                self._compiled = made

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Adds what was measured since the last evaluation, and where the random numbers stand."""
        losses = torch.cat(self.train_losses).cpu() if self.train_losses else torch.zeros(0)
        own = {
            "losses": losses,
            "errors": sum(map(int, self.train_errors)),
            "examples": self.train_examples,
            "threads": torch.get_num_threads(),
            "random_state": torch.get_rng_state(),
            "device_random_state": torch.cuda.get_rng_state(self.device) if self.device.type == "cuda" else None,
        }
        parts = [own]
        if self.trainer.world_size > 1:
            # All devices save together; each has seen its share of the batches.
            parts = [own] * self.trainer.world_size
            torch.distributed.all_gather_object(parts, own)
        checkpoint[_PROGRESS] = parts

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Takes it over, for training to go on as if it had never stopped."""
        self._resumed = checkpoint.get(_PROGRESS)
        if self._trainer is not None and isinstance(self._trainer.precision_plugin, DoublePrecision):
            # Lightning would do so after loading, and the weights be rounded.
            self.double()

    def _go_on(self, parts: list[dict[str, Any]]) -> None:
        if len(parts) == self.trainer.world_size:
            part = parts[self.trainer.global_rank]
            torch.set_rng_state(part["random_state"])
            if self.device.type == "cuda" and part["device_random_state"] is not None:
                torch.cuda.set_rng_state(part["device_random_state"], self.device)
        else:
            # On another number of devices each takes its part of what all have seen, in whole numbers.
            devices, rank = self.trainer.world_size, self.trainer.global_rank
            seen = {name: sum(each[name] for each in parts) for name in ("errors", "examples")}
            part = {name: (count + rank) // devices for name, count in seen.items()}
            part["losses"] = torch.stack([each["losses"] for each in parts]).mean(0)
        if len(part["losses"]):
            self.train_losses = [part["losses"].to(self.device)]
            self.train_errors = [torch.tensor(part["errors"], device=self.device)]
            self.train_examples = part["examples"]

    def end_training(self) -> None:
        """Lets go of the optimizer."""
        self._stepper = self._compiled = self._batches = self._takes_blocks = None
        if self._evaluation is not None:
            self._evaluation.remove()
            self._evaluation = None

    def log(self, name: str, value: Any, *args: Any, **kwargs: Any) -> None:
        """Logs a metric, as Lightning does; during an evaluation of our own, past its loop."""
        if self._evaluation is not None and self._evaluation.is_open:
            self._evaluation.note(name, value, *args, **kwargs)
        else:
            super().log(name, value, *args, **kwargs)

    def validation_step(self, batch: tuple[Tensor, Tensor]) -> None:
        """Counts the errors on the screen and, if there are none on any device, on the rest of the batch.

        Args:
            batch: This device's share of the validation set, inputs ``(v, n)`` and labels ``(v,)``.
        """
        x, y = batch
        screen = -(-self.val_screen_size // self.trainer.world_size)
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
            wrong = torch.stack(self.train_errors).sum().float()
            self.log("train/accuracy", 1 - wrong / self.train_examples, sync_dist=True)
            self.train_losses.clear()
            self.train_errors.clear()
            self.train_examples = 0

    def _log_accuracy(self, stage: str, count: ErrorCount, prog_bar: bool = False) -> None:
        errors, examples = count.compute().float()
        count.reset()
        self.log(f"{stage}/accuracy", 1 - errors / examples, prog_bar=prog_bar, sync_dist=True)
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
