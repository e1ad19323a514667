"""The Fourier gap of a network, along training (Section 4.1, Definition 1; extended version, Appendix C.3).

Under the correlation loss ``-y f(x)`` the population gradient of the weight by which unit j reads input i is, but for
its sign, the Fourier coefficient of ``df/dz_j``, z_j being what the unit sums up: at ``S - {i}`` if i is in the support
S, and at ``S + {i}`` if not. For one ReLU neuron that is the indicator of Section 4.1. Under the hinge loss it is the
same as long as no ``y f(x)`` exceeds 1, that is, on the plateau.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

_CHUNK = 2**13


class GradientGap(NamedTuple):
    """How far the inputs of the support stand out in the gradient of one unit; see `fourier_gap`.

    Attributes:
        relevant: The smallest of the k inputs of the support.
        irrelevant: The largest of all others; 0 if there are none.
        strongest: The largest of the k inputs of the support.
    """

    relevant: float
    irrelevant: float
    strongest: float

    @property
    def gap(self) -> float:
        """Their difference: above 0, the support is where the k largest gradients of the unit are."""
        return self.relevant - self.irrelevant


def fourier_gap(gradient: Tensor, support: Sequence[int]) -> GradientGap:
    """The Fourier gap of a first layer's gradient: that of the unit in which it is largest.

    It is the extended version's, a difference of coefficients (Appendix C.3); `coefficient_gap` is that of Definition
    1, which asks for a factor of two between them.

    Args:
        gradient: Of shape ``(..., n)``.
        support: The support S.

    Example:
        >>> fourier_gap(torch.tensor([[0.5, 0.0, -0.25], [0.0, 1.0, 0.0]]), support=[0, 2])
        GradientGap(relevant=0.25, irrelevant=0.0, strongest=0.5)
    """
    by_unit = gradient.abs().reshape(-1, gradient.shape[-1])
    is_relevant = torch.zeros(by_unit.shape[-1], dtype=torch.bool, device=by_unit.device)
    is_relevant[list(support)] = True
    relevant, others = by_unit[:, is_relevant].amin(1), by_unit[:, ~is_relevant]
    irrelevant = others.amax(1) if others.shape[1] else torch.zeros_like(relevant)
    best = (relevant - irrelevant).argmax()
    return GradientGap(float(relevant[best]), float(irrelevant[best]), float(by_unit[best, is_relevant].max()))


def correlation_gradient(predict: Callable[[Tensor], Tensor], weight: Tensor, x: Tensor, y: Tensor) -> Tensor:
    """The gradient of the mean correlation loss ``-y f(x)``; over all 2^n inputs, the population gradient.

    Args:
        predict: Maps inputs of shape ``(B, n)`` to outputs of shape ``(B,)``.
        weight: A parameter it depends on.
        x: The inputs, of shape ``(examples, n)``.
        y: Their labels, of shape ``(examples,)``.

    Returns:
        A tensor of the shape of ``weight``. Nothing is added to ``weight.grad``.

    Example:
        >>> w = torch.ones(2, requires_grad=True)
        >>> x = torch.tensor([[1.0, 1.0], [-1.0, 1.0]])
        >>> correlation_gradient(lambda x: (x @ w).relu(), w, x, y=torch.tensor([1.0, -1.0]))
        tensor([-0.5000, -0.5000])
    """
    total = torch.zeros_like(weight)
    # The caller may have switched gradients off.
    with torch.inference_mode(False), torch.enable_grad():
        for start in range(0, len(x), _CHUNK):
            part = slice(start, start + _CHUNK)
            # Copies: what was made in inference mode cannot take part.
            loss = -(y[part].clone() * predict(x[part].clone())).sum() / len(y)
            (gradient,) = torch.autograd.grad(loss, weight)
            total += gradient
    return total.detach()
