"""The loss of a module as a pure function of its weights."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.func import functional_call, grad_and_value, vmap

from parity_lightning.engine.kept_tensors import kept_tensors
from parity_lightning.engine.trainable import Trainable, Unstackable, has_gradient_hooks


class _Loss(nn.Module):
    """The loss of a batch, together with the predictions."""

    def __init__(self, module: Trainable) -> None:
        super().__init__()
        self.module = module

    def forward(self, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        prediction = self.module(x)
        return self.module.loss(prediction, y), prediction


def _examples(n: int, like: Tensor) -> Tensor:
    """Some inputs of shape ``(3, n)``."""
    bits = torch.arange(3 * n, device=like.device).reshape(3, n) * 5 // 3 % 2
    return (1 - 2 * bits).to(like.dtype)


class Objective:
    """What a module predicts and loses, for the weights of many trials at once.

    Trainable weights, and all else (frozen weights, buffers), are given as lists of tensors with a leading trial axis,
    in the order of the names in ``trainable`` and ``frozen``. The module's own ``forward`` and ``loss`` are called, so
    whatever a subclass overrides there takes part.

    Args:
        module: One of the trials; its values do not matter.
        n: How many bits an input has.

    Raises:
        Unstackable: If its loss is not a function of weights and examples: in training it draws random numbers or
            changes buffers, it depends on the step or on whether it trains, or it cannot be computed for several
            trials at once; or if hooks wait for the gradients of its weights, for these are computed as a function.
    """

    def __init__(self, module: Trainable, n: int) -> None:
        if has_gradient_hooks(module):
            raise Unstackable("hooks are registered on the gradients of its weights")
        self._loss = _Loss(module)
        self.closed_form = module.closed_form()
        """What the module computes and the name of its loss; None if it is known by calling it only."""
        with module.refuse_run_state():
            self._learn(module, n)

    def _learn(self, module: Trainable, n: int) -> None:
        every = dict(self._loss.named_parameters()) | dict(self._loss.named_buffers())
        shared = len(list(self._loss.named_parameters(remove_duplicate=False))) - len(list(self._loss.parameters()))
        if shared:
            raise Unstackable("its network uses the same weights in several places")
        reached = self._reached(n)
        self.trainable = [name for name in every if name in reached]
        self.frozen = [name for name in every if name not in reached]
        self._try(module, n)

    def _try(self, module: Trainable, n: int) -> None:
        """Refuses what does not come out for two trials as it does for one."""
        trainable, frozen = self.tensors_of(module)
        x = _examples(n, trainable[0])
        y = x[..., 0]
        try:
            with torch.no_grad():
                alone = self._call(trainable, frozen, x, y)
                stacked = [[torch.stack([tensor, tensor]) for tensor in tensors] for tensors in (trainable, frozen)]
                _, *together = self.gradients(stacked[0], stacked[1], torch.stack([x, x]), torch.stack([y, y]))
        except Exception as error:
            why = " ".join(f"{type(error).__name__}: {error}".split())
            raise Unstackable(f"its network cannot be computed for several trials at once ({why[:200]})") from error
        if not all(torch.allclose(own, two[0], rtol=1e-3, atol=1e-4) for own, two in zip(alone, together, strict=True)):
            raise Unstackable("its network predicts otherwise for several trials at once")

    def _reached(self, n: int) -> set[str]:
        """The names of the parameters that a loss depends on; optimizers leave others alone."""
        changed = {name: buffer.clone() for name, buffer in self._loss.named_buffers()}
        state = torch.get_rng_state()
        trained = [(name, parameter) for name, parameter in self._loss.named_parameters() if parameter.requires_grad]
        with torch.enable_grad():
            x = _examples(n, trained[0][1])
            loss, prediction = self._loss(x, x[:, 0])
            training = self._loss.training
            _, evaluated = self._loss.eval()(x, x[:, 0])
            self._loss.train(training)
            gradients = torch.autograd.grad(loss, [parameter for _, parameter in trained], allow_unused=True)
        drew = not torch.equal(state, torch.get_rng_state())
        torch.set_rng_state(state)
        unchanged = all(torch.equal(buffer, changed[name]) for name, buffer in self._loss.named_buffers())
        for name, buffer in self._loss.named_buffers():
            buffer.copy_(changed[name])
        if drew:
            raise Unstackable("its network draws random numbers in training, as dropout does")
        if not unchanged:
            raise Unstackable("its network changes buffers in training, as batch normalization does")
        if not torch.equal(prediction, evaluated):
            raise Unstackable("its network predicts otherwise when it trains than when it is evaluated")
        return {name for (name, _), gradient in zip(trained, gradients, strict=True) if gradient is not None}

    def largest_kept(self, n: int) -> int:
        """How many numbers of an example there are in the largest tensor that backpropagation keeps of a batch."""
        parameters = list(self._loss.parameters())
        x = _examples(n, next(parameter for parameter in parameters if parameter.requires_grad))
        with kept_tensors(parameters) as kept:
            self._loss(x, x[:, 0])
        return -(-max((tensor.numbers for tensor in kept), default=0) // len(x))

    def tensors_of(self, module: Trainable) -> tuple[list[Tensor], list[Tensor]]:
        """The trainable tensors of a module, and the frozen ones, without a trial axis; they share its memory."""
        known = {f"module.{name}": value.detach() for name, value in module.named_parameters()}
        known |= {f"module.{name}": value for name, value in module.named_buffers()}
        return [known[name] for name in self.trainable], [known[name] for name in self.frozen]

    @property
    def names(self) -> list[str]:
        """The names of the trainable tensors in the module."""
        return [name.removeprefix("module.") for name in self.trainable]

    @property
    def frozen_names(self) -> list[str]:
        """The names of the other tensors."""
        return [name.removeprefix("module.") for name in self.frozen]

    def parameters_of(self, module: Trainable) -> list[nn.Parameter]:
        """The trainable parameters of a module."""
        known = dict(module.named_parameters())
        return [known[name] for name in self.names]

    def _call(
        self, trainable: Sequence[Tensor], frozen: Sequence[Tensor], x: Tensor, y: Tensor
    ) -> tuple[Tensor, Tensor]:
        tensors = dict(zip(self.trainable, trainable, strict=True)) | dict(zip(self.frozen, frozen, strict=True))
        loss, prediction = functional_call(self._loss, tensors, (x, y))
        return loss, prediction

    def gradients(
        self, trainable: Sequence[Tensor], frozen: Sequence[Tensor], x: Tensor, y: Tensor
    ) -> tuple[tuple[Tensor, ...], Tensor, Tensor]:
        """The gradients of every trial.

        Args:
            trainable: Each of shape ``(T, ...)``.
            frozen: Likewise.
            x: Inputs of shape ``(T, B, n)``.
            y: Labels of shape ``(T, B)``.

        Returns:
            The gradients of the trainable tensors, the losses of shape ``(T,)`` and the predictions of shape
            ``(T, B)``.
        """
        each = vmap(grad_and_value(self._call, has_aux=True))
        gradients, (loss, prediction) = each(tuple(trainable), tuple(frozen), x, y)
        return gradients, loss, prediction

    def losses(
        self, trainable: Sequence[Tensor], frozen: Sequence[Tensor], x: Tensor, y: Tensor
    ) -> tuple[Tensor, Tensor]:
        """The losses and predictions of every trial, of shapes as in `gradients`."""
        loss, prediction = vmap(self._call)(tuple(trainable), tuple(frozen), x, y)
        return loss, prediction
