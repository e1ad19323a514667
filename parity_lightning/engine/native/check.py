"""Whether a closed form computes what its network does."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from parity_lightning.data.parity_stack import stack_parities
from parity_lightning.data.sparse_parity import SparseParity
from parity_lightning.engine.computation import Training
from parity_lightning.engine.native.make import make_steps
from parity_lightning.engine.not_compiled import NotCompiled
from parity_lightning.engine.objective import Objective
from parity_lightning.engine.update_rules import find_rule

_EXAMPLES = 16


def check_closed_form(objective: Objective, n: int, trainable: Sequence[Tensor], frozen: Sequence[Tensor]) -> None:
    """Compares loss and gradient with autograd's, for random weights: replaced layers and mistakes show there.

    Args:
        objective: What is trained; it has a closed form.
        n: How many bits an input has.
        trainable: Tensors of the shapes of the trainable weights, ``(T, ...)``; their values do not matter.
        frozen: Likewise of the others.

    Raises:
        NotCompiled: If they differ, or if there is no code of our own for the form.
    """
    assert objective.closed_form is not None
    generator = torch.Generator().manual_seed(0)

    def draw(like: Tensor) -> Tensor:
        values = torch.randn(1, *like.shape[1:], generator=generator, dtype=torch.float64)
        return (values / math.sqrt(like.shape[-1])).to(like)

    weights, others = [draw(tensor) for tensor in trainable], [draw(tensor) for tensor in frozen]
    parity = SparseParity(n, 1)
    index = torch.arange(_EXAMPLES, device=weights[0].device)
    x, y = (part.to(weights[0].dtype).unsqueeze(0) for part in parity.draw(index))
    gradients, loss, _ = objective.gradients(weights, others, x, y)
    # A step of plain SGD with the learning rate 1 takes the gradient off the weights.
    rule = find_rule([torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=1.0)])
    options = torch.tensor([[1.0, 0.0, 0.0, 0.0]], dtype=torch.float64, device=index.device)
    groups = [0] * len(weights)
    steps = make_steps(Training(objective, rule, groups, n, False, _EXAMPLES), [*weights, *others])
    after = [weight.clone() for weight in weights]
    steps_made = torch.zeros_like(options[:, 0])
    words = [word.to(index.device) for word in stack_parities([parity])]
    losses, _ = steps.run(words, options, steps_made, [*after, *others], index.reshape(1, 1, -1))
    found = [losses[0], *(before - new for before, new in zip(weights, after, strict=True))]
    for wanted, value in zip([loss, *gradients], found, strict=True):
        scale = float(wanted.abs().max())
        if not torch.allclose(value, wanted, rtol=1e-3, atol=1e-3 * scale + 1e-5, equal_nan=True):
            raise NotCompiled("its closed form does not compute what the network does")
