"""What the engine trains: a network together with its loss."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler
from typing_extensions import Self

from parity_lightning.data.sparse_parity import SparseParity
from parity_lightning.nets.closed_form import ClosedForm
from parity_lightning.optim.losses import LOSSES


class Unstackable(Exception):
    """Networks of this kind cannot be trained in a stack; the text is the reason."""


class Trainable(nn.Module, ABC):
    """A network that maps inputs of shape ``(..., n)`` to outputs of shape ``(...)``, and the loss it is trained on.

    Every `ParityModule` is one; `NetworkWithLoss` makes one of a plain network.
    """

    @abstractmethod
    def loss(self, prediction: Tensor, y: Tensor) -> Tensor:
        """The mean loss, a scalar, of predictions and labels of the same shape."""

    def refuse_run_state(self) -> AbstractContextManager[object]:
        """A context in which `forward` and `loss` raise `Unstackable` if they read the step, the epoch or the trainer.

        A plain network cannot read these, so by default the context does nothing.
        """
        return nullcontext()

    def closed_form(self) -> tuple[ClosedForm, str] | None:
        """What it computes, by the names of its tensors, and the name of its loss; None to find out by tracing it."""
        return None


def closed_form_of(network: nn.Module, loss: Callable[[Tensor], Tensor]) -> tuple[ClosedForm, str] | None:
    """The closed form of a module that calls its attribute ``network`` and has the mean of a loss of margins.

    Args:
        network: The network.
        loss: One of those that `find_loss` returns, or another.

    Returns:
        The form, with names of tensors in the module, and the name of the loss; None if either is not known.
    """
    names = [name for name, known in LOSSES.items() if known is loss]
    # A subclass may compute something else, and so may what was put in the place of its method.
    if "closed_form" not in vars(type(network)) or not names or "forward" in vars(network):
        return None
    form: ClosedForm = network.closed_form()  # type: ignore[operator]
    return form.within("network"), names[0]


def has_hooks(module: nn.Module) -> bool:
    """Whether PyTorch calls anything in the forward or backward pass of a module that was registered on it.

    Example:
        >>> module = nn.Linear(2, 1)
        >>> has_hooks(module)
        False
        >>> handle = module.register_forward_hook(lambda module, inputs, output: print(output))
        >>> has_hooks(nn.Sequential(module))
        True
    """
    of_modules = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")
    return has_gradient_hooks(module) or any(getattr(part, name) for part in module.modules() for name in of_modules)


def has_gradient_hooks(module: nn.Module) -> bool:
    """Whether PyTorch calls anything with the gradient of a parameter."""
    of_weights = ("_backward_hooks", "_post_accumulate_grad_hooks")
    return any(getattr(weight, name, None) for weight in module.parameters() for name in of_weights)


class NetworkWithLoss(Trainable):
    """A plain network and a loss.

    Args:
        network: Maps ``(..., n)`` to ``(...)``.
        loss: A function of margins ``y * f(x)``, elementwise, as `find_loss` returns it.

    Example:
        >>> import torch
        >>> from parity_lightning.nets import TwoLayerMLP
        >>> from parity_lightning.optim.losses import find_loss
        >>> trainable = NetworkWithLoss(TwoLayerMLP(n=5, k=2, width=3), find_loss("hinge"))
        >>> trainable.loss(torch.tensor([0.5, 2.0]), torch.tensor([1.0, 1.0]))
        tensor(0.2500)
    """

    def __init__(self, network: nn.Module, loss: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.network = network
        self._loss = loss

    def forward(self, x: Tensor) -> Tensor:
        """The network's outputs, of shape ``(...)`` for inputs of shape ``(..., n)``."""
        output: Tensor = self.network(x)
        return output

    def loss(self, prediction: Tensor, y: Tensor) -> Tensor:
        """The mean loss over a batch."""
        return self._loss(prediction * y).mean()

    def closed_form(self) -> tuple[ClosedForm, str] | None:
        """The network's, if it has one."""
        is_own = type(self) is NetworkWithLoss and not has_hooks(self)
        return closed_form_of(self.network, self._loss) if is_own else None


class TrialModule(Trainable):
    """What trials of many seeds need of a module besides its loss; every `ParityModule` is one."""

    val_screen_size: int
    """How many held-out examples an evaluation counts errors on first."""

    accuracy_thresholds: tuple[float, ...]
    """Accuracies of which the first evaluated step is kept at which they are reached."""

    @property
    @abstractmethod
    def first_layer(self) -> Tensor:
        """The weight that reads the input, of shape ``(..., n)``."""

    @property
    @abstractmethod
    def uses_default_step(self) -> bool:
        """Whether an SGD step is nothing but the loss, its gradient and the optimizer's update."""

    @property
    @abstractmethod
    def init_args(self) -> tuple[Any, ...]:
        """The values of all arguments it was made with."""

    @abstractmethod
    def reinitialize(self, network_only: bool = False) -> Self:
        """Another module made with the same arguments, its weights drawn anew from torch's global generator."""

    @abstractmethod
    def check_parity(self, parity: SparseParity) -> None:
        """Raises `SettingError` if the network cannot learn the parity."""

    @abstractmethod
    def make_optimizer(self) -> tuple[Optimizer, LRScheduler | None]:
        """The optimizer of its parameters, and the schedule that steps with it, if there is one."""
