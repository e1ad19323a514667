"""Plain SGD on many networks at once, for experiments that look into them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import torch
from torch import Tensor, nn
from torch.func import functional_call, stack_module_state, vmap

from parity_lightning.data.parity_stack import stack_parities
from parity_lightning.data.sparse_parity import SparseParity
from parity_lightning.optim.losses import find_loss

Parameters = dict[str, Tensor]
Predict = Callable[[Parameters, Tensor], Tensor]


def predictor(network: nn.Module) -> Predict:
    """What maps the parameters of T networks and inputs of shape ``(T, B, n)`` to outputs of shape ``(T, B)``.

    Args:
        network: Any one of them.
    """

    def predict(parameters: Parameters, x: Tensor) -> Tensor:
        output: Tensor = functional_call(network, parameters, (x,))
        return output

    stacked: Predict = vmap(predict)
    return stacked


def descend(
    networks: Sequence[nn.Module],
    parities: Sequence[SparseParity],
    *,
    steps: int,
    every: int,
    batch_size: int = 32,
    lr: float = 0.1,
    loss: str = "hinge",
) -> Iterator[tuple[int, Parameters]]:
    """Trains networks of one shape, each on a parity of its own, by online SGD.

    Every network takes the steps it would by itself with `torch.optim.SGD` on the batches of its parity: step t sees
    the training examples from ``t * batch_size`` on, with that parity's label noise.

    Args:
        networks: T networks that map ``(..., n)`` to ``(...)``.
        parities: T parities of the same n and k.
        steps: How many SGD steps.
        every: After how many of them to give the parameters, besides at the start.
        batch_size: Examples a step.
        lr: The learning rate.
        loss: Name of the loss.

    Yields:
        The steps taken, and all parameters by their names, each with a first dimension of T; they change in place.
    """
    predict, loss_of = predictor(networks[0]), find_loss(loss)
    with torch.enable_grad():
        parameters = {
            name: each.detach().requires_grad_() for name, each in stack_module_state(list(networks))[0].items()
        }
    stacked, n = stack_parities(parities), parities[0].n
    noisy = any(parity.label_noise for parity in parities)
    like = next(iter(parameters.values()))
    yield 0, parameters
    for step in range(1, steps + 1):
        index = torch.arange((step - 1) * batch_size, step * batch_size)
        x, y = (drawn.to(like) for drawn in stacked.draw(index, n, "train", noisy=noisy))
        with torch.enable_grad():
            # A sum of means: no network's gradient depends on the others.
            total = loss_of(predict(parameters, x) * y).mean(-1).sum()
        gradients = torch.autograd.grad(total, list(parameters.values()))
        with torch.no_grad():
            for parameter, gradient in zip(parameters.values(), gradients, strict=True):
                parameter -= lr * gradient
        if step % every == 0 or step == steps:
            yield step, parameters
